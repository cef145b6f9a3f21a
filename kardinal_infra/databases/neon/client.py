"""The Neon client: everything that this package asks of the API, synchronous and free of Pulumi.

Usage:
    client = NeonClient(resolve_settings())
    project = client.projects.find("voting")
    for found in client.branches.list(project.id):
        print(found.branch.name, found.annotations)
"""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Self

import httpx

from kardinal_infra.databases.neon.anonymized import AnonymizedBranches
from kardinal_infra.databases.neon.branches import Branches
from kardinal_infra.databases.neon.clock import Clock
from kardinal_infra.databases.neon.http import NeonHttp
from kardinal_infra.databases.neon.operations import OperationWaiter
from kardinal_infra.databases.neon.parts import Databases, Endpoints, Roles
from kardinal_infra.databases.neon.projects import Connections, Operations, Projects
from kardinal_infra.databases.neon.retry import RetryPolicy
from kardinal_infra.databases.neon.settings import NeonSettings


class NeonClient:
    """Groups of calls over one connection pool; thread-safe.

    Args:
        settings: Address and key.
        clock: Source of time for retries and waiting.
        transport: Replaces the network in tests.

    Attributes:
        projects: Projects.
        branches: Branches, with restore and schema comparison.
        endpoints: Computes.
        roles: Roles and their passwords.
        databases: Databases.
        connections: Connection URIs.
        operations: Operations and the waiting for them.
        anonymized: Masked branches.
        clock: The clock that was given.
    """

    def __init__(
        self,
        settings: NeonSettings,
        *,
        clock: Clock | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.clock = clock or Clock()
        self._http = NeonHttp(settings, retry=RetryPolicy(clock=self.clock), transport=transport)
        self.projects = Projects(self._http)
        self.branches = Branches(self._http)
        self.endpoints = Endpoints(self._http)
        self.roles = Roles(self._http)
        self.databases = Databases(self._http)
        self.connections = Connections(self._http)
        self.operations = Operations(self._http, OperationWaiter(clock=self.clock))
        self.anonymized = AnonymizedBranches(self._http)
        self._locks: dict[str, threading.RLock] = {}
        self._locks_guard = threading.Lock()

    def __repr__(self) -> str:
        """Names the host only."""
        return f"NeonClient({self._http!r})"

    def __enter__(self) -> Self:
        """Returns itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Closes the connections."""
        self.close()

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()

    @property
    def host(self) -> str:
        """Address of the API."""
        return self._http.host

    @property
    def settle(self) -> float:
        """Seconds that a write may take to show in reads."""
        return self._http.retry.settle

    def writing(self, project_id: str) -> threading.RLock:
        """Returns the lock that keeps the writes of this process on one project in a row.

        Neon runs them one after the other anyway and answers 423 to the rest; without the lock the branches
        of one `pulumi up` would fight each other.
        """
        with self._locks_guard:
            return self._locks.setdefault(project_id, threading.RLock())
