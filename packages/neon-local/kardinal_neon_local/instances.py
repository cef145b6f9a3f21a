"""All instances of the service: started when needed, stopped when idle, one change at a time for each."""

from __future__ import annotations

import asyncio
import contextlib
import shlex
import shutil
import time
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import psycopg

from kardinal_neon_local.cloning import (
    Method,
    clone,
    copy_resting,
    drop_old_wal,
    make_directory,
    remove_directory,
    size_of,
)
from kardinal_neon_local.errors import ApiError
from kardinal_neon_local.postmaster import Places, Postmaster
from kardinal_neon_local.programs import Account, Programs
from kardinal_neon_local.records import Branch

T = TypeVar("T")
_STOPPING_AT_ONCE = 8
_LEAST_FREE = 32 << 20  # bytes: what an instance writes when it starts


class Instance:
    """Run-time state of one data directory.

    Attributes:
        users: Work and client connections that need the instance now.
        idle_since: `time.monotonic()` of the moment the last user left.
    """

    def __init__(self, postmaster: Postmaster) -> None:
        self.postmaster = postmaster
        self.lock = asyncio.Lock()
        self.users = 0
        self.idle_since = time.monotonic()


class Instances:
    """The instances by data directory.

    Args:
        places: Where they are.
        programs: The PostgreSQL to run.
        account: As whom it runs.
        method: How data directories are copied.
        admin_password: Password of the service's own superuser, the same in all instances.
        options: Configuration parameters of a branch's instance.
    """

    def __init__(
        self,
        places: Places,
        programs: Programs,
        account: Account,
        method: Method,
        admin_password: str,
        options: Callable[[Branch], Mapping[str, str]],
    ) -> None:
        self._places = places
        self._programs = programs
        self._account = account
        self.method = method
        self._password = admin_password
        self._options = options
        self._instances: dict[str, Instance] = {}
        self._chores: set[asyncio.Task[None]] = set()

    def get(self, branch: Branch) -> Instance:
        """Returns the run-time state of a branch.

        Args:
            branch: The branch.
        """
        found = self._instances.get(branch.directory)
        if found is None:
            postmaster = Postmaster(
                self._places.instances / branch.directory,
                branch.slot,
                self._places,
                self._programs,
                self._account,
                self._password,
            )
            found = self._instances[branch.directory] = Instance(postmaster)
        return found

    def exists(self, branch: Branch) -> bool:
        """Says whether the data directory has been made completely.

        Args:
            branch: The branch.
        """
        return (self._places.instances / branch.directory).exists()

    def running(self, branch: Branch) -> bool:
        """Says whether the instance runs.

        Args:
            branch: The branch.
        """
        return self.get(branch).postmaster.pid() is not None

    @contextlib.asynccontextmanager
    async def using(self, branch: Branch) -> AsyncIterator[Postmaster]:
        """Runs the instance for as long as the block lasts, at least.

        Args:
            branch: The branch.
        """
        instance = self.get(branch)
        instance.users += 1
        try:
            async with instance.lock:
                await asyncio.to_thread(instance.postmaster.start, self._options(branch))
            yield instance.postmaster
        finally:
            instance.users -= 1
            instance.idle_since = time.monotonic()

    async def execute(
        self,
        branch: Branch,
        work: Callable[[psycopg.Connection[tuple[Any, ...]]], T],
        database: str = "postgres",
    ) -> T:
        """Does work with an administrator's connection, in a thread, and returns its result.

        Args:
            branch: The branch.
            work: Takes the connection.
            database: The database to connect to.
        """

        def run() -> T:
            with postmaster.connect(database) as connection:
                return work(connection)

        async with self.using(branch) as postmaster:
            return await asyncio.to_thread(run)

    async def initialise(self, branch: Branch) -> None:
        """Makes the data directory of a root branch with an empty cluster, unless it is there already.

        Args:
            branch: The branch.
        """
        instance = self.get(branch)
        target = instance.postmaster.directory

        def run() -> None:
            unfinished = target.with_name(target.name + ".unfinished")
            remove_directory(unfinished)
            make_directory(unfinished, self.method, self._account)
            Postmaster(
                unfinished, branch.slot, self._places, self._programs, self._account, self._password
            ).initialise()
            unfinished.rename(target)

        async with instance.lock:
            if not target.exists():
                await asyncio.to_thread(run)

    async def clone(self, source: Branch, target: Branch) -> None:
        """Copies the source's data directory, unless the target's is there already. The source stays online.

        Args:
            source: The branch that is copied.
            target: The branch to be made.
        """
        destination = self.get(target)
        async with self.using(source) as postmaster, destination.lock:
            if not destination.postmaster.directory.exists():
                await asyncio.to_thread(
                    clone,
                    postmaster.directory,
                    destination.postmaster.directory,
                    self.method,
                    self._account,
                    postmaster.connect,
                )
                chore = asyncio.create_task(asyncio.to_thread(drop_old_wal, destination.postmaster.directory))
                self._chores.add(chore)
                chore.add_done_callback(self._chores.discard)

    async def require_space(self, source: Branch) -> None:
        """Refuses a copy that the disk has no room for.

        Args:
            source: The branch that would be copied.

        Raises:
            ApiError: 422 with what is needed and what is there.
        """
        directory = self._places.instances / source.directory
        needed = _LEAST_FREE
        if self.method is Method.COPY:
            needed += await asyncio.to_thread(size_of, directory)
        free = shutil.disk_usage(self._places.instances).free
        if free < needed:
            raise ApiError(
                422,
                f"not enough disk space for a copy of branch {source.id}: {needed >> 20} MiB are needed,"
                f" {free >> 20} MiB are free in {self._places.instances}",
            )

    async def copy_to(self, source: Branch, target: Path) -> None:
        """Copies the source's data directory to a place where nothing will run.

        Args:
            source: The branch that is copied.
            target: The place.
        """
        async with self.using(source) as postmaster:
            await asyncio.to_thread(
                clone, postmaster.directory, target, self.method, self._account, postmaster.connect
            )
            await asyncio.to_thread(drop_old_wal, target)

    async def remove_copy(self, copy: Path) -> None:
        """Removes what `copy_to` made.

        Args:
            copy: The place.
        """
        await asyncio.to_thread(remove_directory, copy)

    async def rewind(self, source: Branch, base: Path, target: Branch, moment: Mapping[str, str]) -> None:
        """Makes the target's data directory what the source's was, unless it is there already.

        Args:
            source: The branch whose WAL leads from the base to the moment.
            base: An earlier copy of its data directory.
            target: The branch to be made.
            moment: PostgreSQL's recovery target.

        Raises:
            LocalNeonError: If PostgreSQL does not reach the moment.
        """
        destination = self.get(target)
        directory = destination.postmaster.directory
        wal = shlex.quote(str(self._places.instances / source.directory / "pg_wal")).replace("%", "%%")
        options = {
            **self._options(target),
            **moment,
            "restore_command": f"cp {wal}/%f %p",
            "recovery_target_action": "promote",
            "recovery_target_timeline": "current",
            "hot_standby": "off",  # nobody connects before the moment is reached
        }

        def run() -> None:
            unfinished = directory.with_name(directory.name + ".unfinished")
            remove_directory(unfinished)
            copy_resting(base, unfinished, self.method, self._account)
            signal = unfinished / "recovery.signal"
            signal.touch(mode=0o600)
            self._account.own(signal)
            postmaster = Postmaster(
                unfinished, target.slot, self._places, self._programs, self._account, self._password
            )
            try:
                postmaster.start(options)
            finally:
                postmaster.stop()
                postmaster.log.unlink(missing_ok=True)
            unfinished.rename(directory)

        async with self.using(source), destination.lock:
            if not directory.exists():
                await asyncio.to_thread(run)

    def fork_position(self, branch: Branch) -> str | None:
        """Returns the LSN at which the data of a branch left the WAL that it was recovered from.

        Args:
            branch: The branch.
        """
        files = sorted((self._places.instances / branch.directory / "pg_wal").glob("*.history"))
        lines = [line for line in files[-1].read_text().splitlines() if line.strip()] if files else []
        return lines[-1].split("\t")[1] if lines else None

    async def stop(self, branch: Branch) -> None:
        """Stops the instance if it runs; its connections are cut.

        Args:
            branch: The branch.
        """
        instance = self.get(branch)
        async with instance.lock:
            await asyncio.to_thread(instance.postmaster.stop)

    async def forget_wal(self, branch: Branch) -> None:
        """Stops the instance and throws away its WAL, which still has rows as they were.

        Args:
            branch: The branch.
        """
        instance = self.get(branch)
        async with instance.lock:
            await asyncio.to_thread(instance.postmaster.forget_wal)

    async def stop_if_idle(self, branch: Branch, seconds: float) -> bool:
        """Stops the instance if nobody has used it for so long; returns whether it was stopped.

        Args:
            branch: The branch.
            seconds: How long.
        """
        instance = self.get(branch)
        if instance.lock.locked() or not self.running(branch):
            return False
        async with instance.lock:
            # A connection that arrived meanwhile has raised users before it waits for the lock.
            if instance.users or time.monotonic() - instance.idle_since < seconds:
                return False
            await asyncio.to_thread(instance.postmaster.stop)
            return True

    async def stop_all(self) -> None:
        """Stops every instance, some at a time."""
        gate = asyncio.Semaphore(_STOPPING_AT_ONCE)

        async def stop(instance: Instance) -> None:
            async with gate, instance.lock:
                await asyncio.to_thread(instance.postmaster.stop)

        await asyncio.gather(*(stop(instance) for instance in self._instances.values()))

    async def remove(self, directory: str) -> None:
        """Stops what runs in a data directory and removes it with its log.

        Args:
            directory: Name of the data directory.
        """
        instance = self._instances.pop(directory, None)
        postmaster = instance.postmaster if instance else self._stranger(directory)

        def run() -> None:
            postmaster.stop()
            trash = postmaster.directory.with_name(directory + ".trash")
            if postmaster.directory.exists():
                remove_directory(trash)
                postmaster.directory.rename(trash)
            remove_directory(trash)
            postmaster.log.unlink(missing_ok=True)

        async with instance.lock if instance else asyncio.Lock():
            await asyncio.to_thread(run)

    def _stranger(self, directory: str) -> Postmaster:
        return Postmaster(
            self._places.instances / directory, 0, self._places, self._programs, self._account, self._password
        )

    async def remove_unknown(self, known: set[str]) -> list[str]:
        """Removes everything under `instances/` that no branch owns or needs; returns the former.

        Args:
            known: Names of the data directories that branches own.
        """
        unknown = [entry.name for entry in self._places.instances.iterdir() if entry.name not in known]
        for name in unknown:
            await self.remove(name)
        for directory in self._places.instances.iterdir():
            await asyncio.to_thread(drop_old_wal, directory)
        return unknown
