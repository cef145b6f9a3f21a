"""Every installed backend with something real behind it."""

from __future__ import annotations

import contextlib
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import psycopg
import pytest

from kardinal_infra.databases.branching import BranchRequest
from kardinal_neon_local.testing.server import KEY, PROJECT, running
from tests.databases.server import ADMIN_PASSWORD, OWNER_PASSWORD, postgres_server

MARKS = {"kardinal-flow": "dev", "kardinal-database": "votes"}


def query(uri: str, statement: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(uri, autocommit=True, connect_timeout=10) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


@dataclass
class System:
    """A backend and the database in production that it branches.

    Attributes:
        name: Of the backend.
        request: A request that it fulfils; tests change the name.
        parent_uri: Opens the database in production as its role.
        names: Lists the branches that there are.
        credentials: What configures it, by variable.
        secret: Must show up nowhere; empty when it has none.
        query: Runs one statement over a URI.
        logged_in: A branch is a PostgreSQL database that one logs in to with its credentials; else a file.
    """

    name: str
    request: BranchRequest
    parent_uri: Callable[[], str]
    names: Callable[[], list[str]]
    credentials: dict[str, str]
    secret: str
    query: Callable[[str, str], list[tuple[Any, ...]]] = query
    logged_in: bool = True

    def asked(self, name: str, **changes: Any) -> BranchRequest:
        values = {**dict(self.request), "name": f"kardinal/voting/{name}/votes", **changes}
        return BranchRequest(**values)

    def parent(self, statement: str) -> list[tuple[Any, ...]]:
        return self.query(self.parent_uri(), statement)


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


@contextlib.contextmanager
def folders() -> Iterator[System]:
    """A folder of SQLite files."""
    with tempfile.TemporaryDirectory() as root:
        database = Path(root) / "shop" / "votes.db"
        make_database(database)
        yield System(
            "folders",
            BranchRequest(name="", project="shop", database="votes", role="nobody", annotations=MARKS),
            lambda: f"sqlite:///{database}",
            lambda: [unquote(file.stem) for file in database.parent.glob("branches/*.db")],
            {"KARDINAL_FOLDERS_ROOT": root},
            "",
            query_file,
            logged_in=False,
        )


def make_database(file: Path) -> None:
    """Makes what is in production: 300 votes."""
    file.parent.mkdir(parents=True)
    file.touch()
    uri = f"sqlite:///{file}"
    query_file(uri, "CREATE TABLE vote (id integer PRIMARY KEY, choice text NOT NULL)")
    numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300)"
    query_file(uri, f"INSERT INTO vote (choice) {numbers} SELECT 'cat' FROM n")


def query_file(uri: str, statement: str) -> list[tuple[Any, ...]]:
    """Runs a statement on a SQLite file that is there."""
    file = quote(uri.removeprefix("sqlite:///"))
    with contextlib.closing(sqlite3.connect(f"file:{file}?mode=rw", uri=True)) as connection:
        found = connection.execute(statement).fetchall()
        connection.commit()
    return found


SYSTEMS = {"folders": folders, "neon": neon, "postgres": postgres}
VARIABLES = ("NEON_API_KEY", "NEON_API_HOST", "KARDINAL_POSTGRES_URI", "KARDINAL_FOLDERS_ROOT")


def configure(monkeypatch: pytest.MonkeyPatch, system: System) -> None:
    """Gives this process the credentials of one backend and of no other."""
    # Or the first error would set `sys.tracebacklimit`, with which the SDK's mocks wait for ever.
    monkeypatch.setenv("KARDINAL_TRACEBACK", "1")
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    for name, value in system.credentials.items():
        monkeypatch.setenv(name, value)
