"""One PostgreSQL instance: its process, on a Unix socket only. Blocking; called from threads."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from kardinal_neon_local.cloning import drop_old_wal
from kardinal_neon_local.errors import LocalNeonError
from kardinal_neon_local.programs import Account, Programs

ADMIN = "cloud_admin"
SUPERUSER_GROUP = "neon_superuser"
_START_TIMEOUT = 600.0  # crash recovery of a large instance takes its time
_STOP_TIMEOUT = 60.0
_POLL = 0.01
_ORPHANS_END = 10.0
_PROCESSES = Path("/proc")


def _process_ids() -> list[int]:
    return [int(entry.name) for entry in _PROCESSES.iterdir() if entry.name.isdecimal()]


def _works_in(pid: int, directory: Path) -> bool:
    """Whether a process lives (a zombie has no working directory) and works in the directory."""
    try:
        return (_PROCESSES / str(pid) / "cwd").readlink() == directory.resolve()
    except OSError:
        return False


def owner(directory: Path) -> int | None:
    """Returns the process id of the live server of a data directory, or None.

    Args:
        directory: The data directory.
    """
    try:
        pid = int((directory / "postmaster.pid").read_text().splitlines()[0])
    except (FileNotFoundError, IndexError, ValueError):
        return None
    if (_PROCESSES / "self").exists():
        # The number may belong to another process by now: after a crash, a reboot, in another container.
        return pid if _works_in(pid, directory) else None
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, PermissionError):
        return None
    return pid


def end(directory: Path) -> None:
    """Stops the server of a data directory if one runs: connections are cut, a checkpoint is written.

    One that does not end in time is ended the hard way; its next start then recovers.

    Args:
        directory: The data directory.
    """
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
        pid = owner(directory)
        if pid is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
        deadline = time.monotonic() + _STOP_TIMEOUT
        while owner(directory) is not None and time.monotonic() < deadline:
            time.sleep(_POLL)


@dataclass(frozen=True)
class Places:
    """Where the instances of one service are.

    Attributes:
        instances: Directory of the data directories.
        sockets: Directory of the Unix sockets; short, because a socket's path has at most 107 bytes.
        logs: Directory of the instances' logs.
    """

    instances: Path
    sockets: Path
    logs: Path


class Postmaster:
    """The server process of one data directory.

    Args:
        directory: The data directory.
        slot: Number that names the socket.
        places: See `Places`.
        programs: The PostgreSQL to run.
        account: As whom it runs.
        admin_password: Password of the service's own superuser.
    """

    def __init__(
        self,
        directory: Path,
        slot: int,
        places: Places,
        programs: Programs,
        account: Account,
        admin_password: str,
    ) -> None:
        self.directory = directory
        self.slot = slot
        self._places = places
        self._programs = programs
        self._account = account
        self._password = admin_password
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def socket(self) -> Path:
        """Path of the Unix socket."""
        return self._places.sockets / f".s.PGSQL.{self.slot}"

    @property
    def log(self) -> Path:
        """Path of the server log."""
        return self._places.logs / f"{self.directory.name}.log"

    def initialise(self) -> None:
        """Makes the (empty) data directory a cluster with the service's superuser and Neon's group role."""
        password_file = self._places.instances / f"{self.directory.name}.pw"
        password_file.write_text(self._password + "\n")
        try:
            password_file.chmod(0o600)
            self._account.own(password_file)
            self._run(
                "initdb",
                "--pgdata",
                str(self.directory),
                "--username",
                ADMIN,
                "--auth",
                "scram-sha-256",
                "--pwfile",
                str(password_file),
                "--encoding",
                "UTF8",
                "--locale",
                "C.UTF-8",
                "--no-sync",
                "--wal-segsize",
                "1",
            )
        finally:
            password_file.unlink(missing_ok=True)

    def start(self, options: Mapping[str, str]) -> None:
        """Starts the server, unless it runs already, and waits until it takes connections.

        Args:
            options: Configuration parameters beyond those that the service needs itself.

        Raises:
            LocalNeonError: If it ends or does not come up; carries the end of its log.
        """
        if self.pid() is None:
            self._launch(options)
        deadline = time.monotonic() + _START_TIMEOUT
        while not self._ready():
            if self.pid() is None and (self._child is None or self._child.poll() is not None):
                raise LocalNeonError(f"PostgreSQL did not start in {self.directory}: {self._log_end()}")
            if time.monotonic() > deadline:
                raise LocalNeonError(
                    f"PostgreSQL did not start within {_START_TIMEOUT:.0f} s: {self._log_end()}"
                )
            time.sleep(_POLL)

    def _launch(self, options: Mapping[str, str]) -> None:
        self._clear_stale_locks()
        arguments = [self._programs.path("postgres"), "-D", str(self.directory)]
        for name, value in {**self._own_options(), **options}.items():
            arguments += ["-c", f"{name}={value}"]
        with self.log.open("ab") as log:
            os.fchmod(log.fileno(), 0o600)
            self._child = subprocess.Popen[bytes](
                arguments,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.directory,
                start_new_session=True,  # a Ctrl-C is for the service, which stops the instances in order
                umask=0o077,
                env=self._environment(),
                **self._identity(),
            )

    def _clear_stale_locks(self) -> None:
        """Removes the lock files of a postmaster that was killed.

        PostgreSQL takes a lock for live when its process id is in use again, or belongs to a zombie that
        nobody reaps. On the other hand it must not start while backends of the killed one still write: they
        are waited for, and ended if they do not end by themselves. All processes of an instance have its
        directory as their working directory.
        """
        file = self.directory / "postmaster.pid"
        if not (_PROCESSES / "self").exists() or not file.exists():
            return
        deadline = time.monotonic() + _ORPHANS_END
        while orphans := [pid for pid in _process_ids() if _works_in(pid, self.directory)]:
            if time.monotonic() > deadline:
                for pid in orphans:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
            time.sleep(_POLL)
        for stale in (file, self.socket, self.socket.with_name(self.socket.name + ".lock")):
            stale.unlink(missing_ok=True)

    def _own_options(self) -> dict[str, str]:
        options = {
            "listen_addresses": "",
            "unix_socket_directories": str(self._places.sockets),
            "port": str(self.slot),
            # Small: many instances side by side, most of them nearly idle.
            "min_wal_size": "2MB",
            "max_wal_size": "256MB",
            "max_logical_replication_workers": "0",
            "huge_pages": "off",
            # Nothing that a statement contains may reach the log: it could be a password.
            "log_min_error_statement": "panic",
            "log_statement": "none",
        }
        if self._programs.major >= 18:
            options["io_method"] = "sync"  # the default starts three worker processes
        return options

    def pid(self) -> int | None:
        """Returns the process id of the live server of this directory, or None."""
        if self._child is not None:
            self._child.poll()  # reaps it when it has ended
        return owner(self.directory)

    def _ready(self) -> bool:
        try:
            lines = (self.directory / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        return len(lines) >= 8 and lines[7].strip() == "ready" and self.pid() is not None

    def stop(self) -> None:
        """Stops the server if it runs: see `end`."""
        end(self.directory)
        if self._child is not None:
            self._child.wait()
            self._child = None

    def forget_wal(self) -> None:
        """Stops the server cleanly and begins a new WAL; the old one, with what rows were, is removed.

        Raises:
            LocalNeonError: It could not be stopped cleanly.
        """
        self.stop()
        drop_old_wal(self.directory)
        self._run("pg_resetwal", "--pgdata", str(self.directory))  # refuses after anything but a clean end

    def connect(self, database: str = "postgres") -> psycopg.Connection[tuple[Any, ...]]:
        """Opens a connection as the service's superuser, in autocommit mode.

        Args:
            database: The database to connect to.
        """
        return psycopg.connect(
            host=str(self._places.sockets),
            port=self.slot,
            user=ADMIN,
            password=self._password,
            dbname=database,
            autocommit=True,
            connect_timeout=10,
            application_name="kardinal-neon-local",
        )

    def command(self, program: str, *arguments: str, stdin: str | None = None) -> str:
        """Runs one of PostgreSQL's client programs against this instance and returns what it prints.

        Args:
            program: Its name.
            arguments: Its arguments beside the connection's.
            stdin: What it reads.
        """
        return self._run(
            program,
            "--host",
            str(self._places.sockets),
            "--port",
            str(self.slot),
            "--username",
            ADMIN,
            "--no-password",
            *arguments,
            stdin=stdin,
        )

    def _identity(self) -> dict[str, Any]:
        """The user of child processes."""
        if self._account.uid is None:
            return {}
        return {"user": self._account.uid, "group": self._account.gid, "extra_groups": []}

    def _environment(self) -> dict[str, str]:
        """The environment of child processes: nothing of the service's own, which may hold the API key."""
        return {"PATH": f"{self._programs.directory}:/usr/bin:/bin", "LC_ALL": "C.UTF-8"}

    def _run(self, program: str, *arguments: str, stdin: str | None = None) -> str:
        done: subprocess.CompletedProcess[str] = subprocess.run(
            [self._programs.path(program), *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
            env={**self._environment(), "PGPASSWORD": self._password},
            **self._identity(),
        )
        if done.returncode:
            raise LocalNeonError(f"{program} failed ({done.returncode}): {done.stderr.strip()[-2000:]}")
        return done.stdout

    def _log_end(self) -> str:
        try:
            return self.log.read_text(errors="replace")[-1500:].strip()
        except FileNotFoundError:
            return "no log"
