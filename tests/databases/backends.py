"""Every registered backend with something real behind it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import psycopg
import pytest

from kardinal_infra.databases.branching import BranchRequest
from kardinal_neon_local.testing.server import KEY, PROJECT, running
from tests.databases.server import ADMIN_PASSWORD, OWNER_PASSWORD, postgres_server

MARKS = {"kardinal-flow": "dev", "kardinal-database": "votes"}


@dataclass
class System:
    """A backend and the database in production that it branches.

    Attributes:
        name: Of the backend.
        request: A request that it fulfils; tests change the name.
        parent_uri: Opens the database in production as its role.
        names: Lists the branches that there are.
        credentials: What configures it, by variable.
        secret: Must show up nowhere.
    """

    name: str
    request: BranchRequest
    parent_uri: Callable[[], str]
    names: Callable[[], list[str]]
    credentials: dict[str, str]
    secret: str

    def asked(self, name: str, **changes: Any) -> BranchRequest:
        return replace(self.request, **{"name": f"kardinal/voting/{name}/votes", **changes})

    def parent(self, statement: str) -> list[tuple[Any, ...]]:
        return query(self.parent_uri(), statement)


def query(uri: str, statement: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(uri, autocommit=True, connect_timeout=10) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


@contextlib.contextmanager
def neon() -> Iterator[System]:
    """The local Neon service."""
    with running() as service:
        main = service.main()
        service.sql(main, "CREATE TABLE vote (id serial PRIMARY KEY, choice text NOT NULL)")
        service.sql(main, "INSERT INTO vote (choice) SELECT 'cat' FROM generate_series(1, 300)")
        yield System(
            "neon",
            BranchRequest(name="", project=PROJECT, database="votes", role="votes_owner", annotations=MARKS),
            lambda: service.uri(main),
            lambda: [branch["name"] for branch in service.get("/branches")["branches"]],
            {"NEON_API_KEY": KEY, "NEON_API_HOST": f"http://127.0.0.1:{service.port}"},
            KEY,
        )


@contextlib.contextmanager
def postgres() -> Iterator[System]:
    """A PostgreSQL server."""

    with postgres_server() as server:
        server.production()
        yield System(
            "postgres",
            BranchRequest(
                name="", project=server.address, database="votes", role="votes_owner", annotations=MARKS
            ),
            lambda: server.uri("votes", "votes_owner", OWNER_PASSWORD),
            lambda: [
                row[0]
                for row in server.sql(
                    "SELECT shobj_description(oid, 'pg_database')::json ->> 'branch' FROM pg_database"
                    " WHERE shobj_description(oid, 'pg_database') LIKE '{%kardinal%'"
                )
            ],
            # A dump needs the programs of the server's version, whichever others there are.
            {"KARDINAL_POSTGRES_URI": server.uri(), "PATH": server.path()},
            ADMIN_PASSWORD,
        )


SYSTEMS = {"neon": neon, "postgres": postgres}
VARIABLES = ("NEON_API_KEY", "NEON_API_HOST", "KARDINAL_POSTGRES_URI")


def configure(monkeypatch: pytest.MonkeyPatch, system: System) -> None:
    """Gives this process the credentials of one backend and of no other."""
    # Or the first error would set `sys.tracebacklimit`, with which the SDK's mocks wait for ever.
    monkeypatch.setenv("KARDINAL_TRACEBACK", "1")
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    for name, value in system.credentials.items():
        monkeypatch.setenv(name, value)
