"""The service as a whole: its parts, its start after a clean end or a crash, its background work, its end."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import os
import secrets
import tempfile
import time
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

from kardinal_neon_local import sql
from kardinal_neon_local.cloning import probe
from kardinal_neon_local.errors import ApiError, LocalNeonError, not_found
from kardinal_neon_local.gateway import Gateway
from kardinal_neon_local.identifiers import new_password, now
from kardinal_neon_local.instances import Instances
from kardinal_neon_local.operations import Operations, Step
from kardinal_neon_local.postmaster import Places
from kardinal_neon_local.programs import find_account, find_programs, reachable_programs, require_reachable
from kardinal_neon_local.records import Base, Branch, Database, Endpoint, Masking, Operation, Project, Role
from kardinal_neon_local.settings import Settings
from kardinal_neon_local.store import Store
from kardinal_neon_local.tls import load_tls

log = logging.getLogger("kardinal_neon_local")

_LONGEST_SOCKET_DIRECTORY = 80
_CONNECT_PATIENCE = 60.0
_FIRST_SLOT = 1024
_POSTGRES_PORT = 5432
_MOST_TRIALS = 4096


class Service:
    """One running service on one data directory; `ownership.take_lock` keeps it the only one.

    Raises:
        LocalNeonError: If PostgreSQL, its user or the directories do not work out.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        data_dir = settings.data_dir.resolve()
        data_dir.mkdir(parents=True, exist_ok=True)
        instances = data_dir / "instances"
        self.programs = find_programs(settings.postgres_bin)
        self.account = find_account(settings.run_as, instances)
        require_reachable(self.account, data_dir, "the data directory")
        self.programs = reachable_programs(self.programs, self.account, data_dir)
        places = Places(instances, self._socket_directory(data_dir), data_dir / "logs")
        self.history = data_dir / "history"
        for directory in (places.instances, places.sockets, self.history):
            directory.mkdir(mode=0o700, exist_ok=True)
            self.account.own(directory)
        places.logs.mkdir(mode=0o700, exist_ok=True)
        self.store = Store(data_dir / "state.db")
        self.method = probe(places.instances)
        self.instances = Instances(
            places,
            self.programs,
            self.account,
            self.method,
            self.store.meta("admin_password", new_password()),
            self._options,
        )
        self.operations = Operations(self.store, settings.operation_delay)
        self.tls = load_tls(data_dir) if settings.tls else None
        self.gateway = Gateway(self._open_connection, self._verifier, self.tls)
        log.info(
            "PostgreSQL %s from %s (%s), run as %s; branches are made by: %s",
            self.programs.version,
            self.programs.directory,
            self.programs.source,
            self.account.name or "this user",
            self.method,
        )

    @staticmethod
    def _socket_directory(data_dir: Path) -> Path:
        inside = data_dir / "run"
        if len(str(inside).encode()) <= _LONGEST_SOCKET_DIRECTORY:
            return inside
        digest = hashlib.sha256(str(data_dir).encode()).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"kardinal-neon-{os.geteuid()}-{digest}"

    def _options(self, branch: Branch) -> dict[str, str]:
        durable = self.settings.fsync_default if branch.default else self.settings.fsync_branches
        options = {"shared_buffers": self.settings.shared_buffers, "fsync": "on" if durable else "off"}
        for endpoint in self.store.endpoints(branch.id):
            options.update(endpoint.pg_settings)
        return options

    # Look-ups: a miss is the caller's 404.

    def project(self, project_id: str) -> Project:
        """Finds a project.

        Args:
            project_id: Id of the project.

        Raises:
            ApiError: 404 if there is none.
        """
        found = self.store.get(Project, project_id)
        if found is None:
            raise not_found("project", project_id)
        return found

    def branch(self, project_id: str, branch_id: str, *, deleted: bool = False) -> Branch:
        """Finds a branch.

        Args:
            project_id: Id of the project.
            branch_id: Its id.
            deleted: Whether a deleted one counts too.

        Raises:
            ApiError: 404 if there is none.
        """
        self.project(project_id)
        found = self.store.get(Branch, branch_id)
        if found is None or found.project_id != project_id or (found.deleted_at is not None and not deleted):
            raise not_found("branch", branch_id)
        return found

    def branch_of(self, operation: Operation) -> Branch:
        """Finds the branch that an operation is for.

        Args:
            operation: The operation.

        Raises:
            LocalNeonError: If it is gone.
        """
        found = self.store.get(Branch, operation.branch_id or "")
        if found is None:
            raise LocalNeonError(f"branch {operation.branch_id} does not exist")
        return found

    def default_branch(self, project_id: str) -> Branch:
        """Returns the project's default branch.

        Args:
            project_id: Id of the project.
        """
        return next(b for b in self.store.branches(project_id) if b.default)

    def endpoint(self, project_id: str, endpoint_id: str) -> Endpoint:
        """Finds an endpoint.

        Args:
            project_id: Id of the project.
            endpoint_id: Its id.

        Raises:
            ApiError: 404 if there is none.
        """
        found = self.store.get(Endpoint, endpoint_id)
        if found is None or found.project_id != project_id:
            raise not_found("endpoint", endpoint_id)
        self.branch(project_id, found.branch_id)
        return found

    def role(self, branch: Branch, name: str) -> Role:
        """Finds a role.

        Args:
            branch: The branch.
            name: Its name.

        Raises:
            ApiError: 404 if there is none.
        """
        found = self.store.get(Role, f"{branch.id}/{name}")
        if found is None:
            raise not_found("role", name)
        return found

    def database(self, branch: Branch, name: str) -> Database:
        """Finds a database.

        Args:
            branch: The branch.
            name: Its name.

        Raises:
            ApiError: 404 if there is none.
        """
        found = self.store.get(Database, f"{branch.id}/{name}")
        if found is None:
            raise not_found("database", name)
        return found

    def next_slot(self) -> int:
        """Returns a number for a new branch's socket."""
        return self.store.next_number("slot", _FIRST_SLOT) % 60000 + _FIRST_SLOT

    def next_place(self) -> tuple[str | None, int]:
        """Returns an address and a port for a new endpoint; used ones come round again as late as possible.

        Raises:
            ApiError: 422 if the whole range is taken.
        """
        network = self.settings.network
        if network is None:
            return None, self._next_port()
        taken = {endpoint.address for endpoint in self.store.every(Endpoint)}
        # Services of other data directories draw from the same range, so each begins somewhere else.
        size = max(1, network.num_addresses - 2)
        first = int(self.store.meta("first_address", str(secrets.randbelow(size))))
        for _ in range(min(size, _MOST_TRIALS)):
            address = str(network[1 + (first + self.store.next_number("address", 0)) % size])
            if address not in taken and self.gateway.free([address], _POSTGRES_PORT):
                return address, _POSTGRES_PORT
        raise ApiError(422, f"no free address in {network}, or this machine does not have these addresses")

    def _next_port(self) -> int:
        taken = {endpoint.port for endpoint in self.store.every(Endpoint)}
        size = self.settings.last_port - self.settings.first_port + 1
        for _ in range(size):
            port = self.settings.first_port + self.store.next_number("port", 0) % size
            if port not in taken and self.gateway.free(self.settings.hosts_of(None), port):
                return port
        raise ApiError(422, f"no free port between {self.settings.first_port} and {self.settings.last_port}")

    # Life of the service.

    async def start(self) -> None:
        """Brings everything to where the records say it should be."""
        known = {branch.directory for branch in self.store.every(Branch)}
        for name in await self.instances.remove_unknown(known):
            log.info("removed %s, which no branch owns", name)
        copies = {base.id for base in self.store.every(Base)}
        for entry in [*self.history.iterdir()]:
            if entry.name not in copies:
                await self.instances.remove_copy(entry)
        for endpoint in self.store.every(Endpoint):
            await self._restore_endpoint(endpoint)
        self.operations.resume()

    async def _restore_endpoint(self, endpoint: Endpoint) -> None:
        branch = self.store.get(Branch, endpoint.branch_id)
        if branch is None or branch.deleted_at is not None:
            return
        if endpoint.current_state == "active" and not self.instances.running(branch):
            # Stopped with the service or by a crash; the first connection wakes it.
            endpoint.current_state = "idle"
            self.store.change(endpoint)
        if endpoint.current_state != "init":
            try:
                await self.open_endpoint(endpoint)
            except LocalNeonError as error:
                log.error("%s; the endpoint cannot be reached until the port is free", error)  # noqa: TRY400

    async def open_endpoint(self, endpoint: Endpoint) -> None:
        """Listens on an endpoint's address.

        Args:
            endpoint: The endpoint.

        Raises:
            LocalNeonError: If it is taken.
        """
        await self.gateway.open(endpoint.id, self.settings.hosts_of(endpoint.address), endpoint.port)

    async def _verifier(self, endpoint_id: str, user: str) -> str | None:
        endpoint = await self._connectable(endpoint_id)
        branch = self.branch(endpoint.project_id, endpoint.branch_id)
        return await self.instances.execute(branch, partial(sql.verifier, role=user))

    async def stop(self) -> None:
        """Ends cleanly: no new work, running steps finish, all instances stop."""
        await self.operations.stop()
        await self.gateway.close_all()
        await self.instances.stop_all()
        self.store.close()

    @contextlib.asynccontextmanager
    async def _open_connection(self, endpoint_id: str) -> AsyncIterator[Path]:
        """For the gateway: the socket behind an endpoint, with the instance running meanwhile."""
        endpoint = await self._connectable(endpoint_id)
        branch = self.branch(endpoint.project_id, endpoint.branch_id)
        started = time.monotonic()
        async with self.instances.using(branch) as postmaster:
            if endpoint.current_state != "active":
                self.mark_active(endpoint)
                step = Step("start_compute", "start_compute", branch.id, endpoint.id)
                self.operations.note(endpoint.project_id, step, time.monotonic() - started)
            try:
                yield postmaster.socket
            finally:
                endpoint.last_active = now()

    async def _connectable(self, endpoint_id: str) -> Endpoint:
        deadline = time.monotonic() + _CONNECT_PATIENCE
        while True:
            endpoint = self.store.get(Endpoint, endpoint_id)
            branch = self.store.get(Branch, endpoint.branch_id) if endpoint else None
            if endpoint is None or branch is None or branch.deleted_at is not None:
                raise LocalNeonError(f"endpoint {endpoint_id} does not exist")
            if endpoint.disabled:
                raise LocalNeonError(f"endpoint {endpoint_id} is disabled")
            masking = self.store.get(Masking, branch.id)
            if masking is not None and masking.state != "anonymized":
                raise LocalNeonError(
                    f"branch {branch.id} is not anonymized yet: its state is {masking.state}"
                )
            if branch.current_state == "ready" and endpoint.current_state != "init":
                return endpoint
            if time.monotonic() > deadline:
                raise LocalNeonError(f"branch {branch.id} is not ready ({branch.current_state})")
            await asyncio.sleep(0.05)

    async def apply_role(self, branch: Branch, role: Role) -> None:
        """Makes a role or gives it its recorded password; then forgets that, if so configured.

        Args:
            branch: The branch.
            role: The role.
        """
        login, password = not role.no_login, role.password
        await self.instances.execute(branch, lambda c: sql.put_role(c, role.name, password, login=login))
        if not self.project(branch.project_id).store_passwords:
            role.password = None
            self.store.change(role)

    def mark_active(self, endpoint: Endpoint) -> None:
        """Records that an endpoint's instance runs.

        Args:
            endpoint: The endpoint.
        """
        endpoint.current_state = "active"
        endpoint.pending_state = None
        endpoint.started_at = endpoint.last_active = endpoint.updated_at = now()
        self.store.change(endpoint)

    def mark_idle(self, endpoint: Endpoint) -> None:
        """Records that an endpoint's instance is stopped.

        Args:
            endpoint: The endpoint.
        """
        endpoint.current_state = "idle"
        endpoint.pending_state = None
        endpoint.suspended_at = endpoint.updated_at = now()
        self.store.change(endpoint)
