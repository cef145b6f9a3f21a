"""A real PgBouncer, as the pod would start it, between an unchanged connection string and a real branch."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import psycopg
import pytest
from psycopg import sql

from kardinal_infra.databases.sidecar import POOLER_UID, server_sslmode
from kardinal_neon_local.testing.server import Server, free_port, running
from lab.debian import ensure_packages
from lab.report import Report
from lab.settings import from_environment
from tests.components.pooling import command, pod_of, variables, with_pooler

pytestmark = pytest.mark.postgres

PATIENCE = 30.0
AS_IN_PRODUCTION = "production-user:password-of-production"


@pytest.fixture(scope="module")
def service() -> Iterator[Server]:
    """The local Neon service; its main branch is production."""
    ensure_packages(from_environment(), Report(), ("openssl", "pgbouncer"))
    with running() as started:
        started.sql(started.main(), "CREATE TABLE place (name text)")
        started.sql(started.main(), "INSERT INTO place VALUES ('production')")
        yield started


def connection(uri: str) -> dict[str, str]:
    """What the flow's Secret for the pooler would hold."""
    parts = urlsplit(uri)
    return {
        "host": parts.hostname or "",
        "port": str(parts.port),
        "database": parts.path.removeprefix("/"),
        "user": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
        "sslmode": server_sslmode(uri),
    }


@contextlib.contextmanager
def pooler(manifest: dict[str, object], branch: dict[str, str], number: int = 0) -> Iterator[None]:
    """The pooler's container, without a container; yields when its startup probe holds."""
    folder = Path(tempfile.mkdtemp(prefix="pooler-"))
    log = folder / "log"
    user = None
    if os.geteuid() == 0:  # PgBouncer refuses root, and so does the pod
        os.chown(folder, POOLER_UID, POOLER_UID)
        user = POOLER_UID
    with log.open("wb") as output:
        process = subprocess.Popen(
            command(manifest, folder, number),
            env=variables(manifest, branch, f"{os.environ['PATH']}:/usr/sbin", number),
            stdout=output,
            stderr=output,
            user=user,
            group=user,
        )
    try:
        probe = pod_of(manifest)["initContainers"][number]["startupProbe"]["exec"]["command"]
        deadline = time.monotonic() + PATIENCE
        while subprocess.run(probe, check=False).returncode != 0:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait(PATIENCE)
        shutil.rmtree(folder)


def branch_with(service: Server, name: str, place: str) -> dict[str, str]:
    """A branch on which the data say its name."""
    branch = service.branch(name)
    service.sql(branch, f"UPDATE place SET name = '{place}'")
    return connection(service.uri(branch))


@pytest.fixture(scope="module")
def port(service: Server) -> Iterator[int]:
    """A pooler in front of a branch; the port that the application uses."""
    port = free_port()
    manifest = with_pooler(client_port=port, client_database="votes")
    with pooler(manifest, branch_with(service, "pooled", "branch")):
        yield port


def places(port: int, *, host: str = "127.0.0.1", database: str = "votes", parameters: str = "") -> list[str]:
    uri = f"postgresql://{AS_IN_PRODUCTION}@{host}:{port}/{database}{parameters}"
    with psycopg.connect(uri, connect_timeout=10) as connection:
        return [str(row[0]) for row in connection.execute("SELECT name FROM place").fetchall()]


def test_the_unchanged_connection_string_leads_to_the_branch(service: Server, port: int) -> None:
    # Neither user nor password are the branch's, nor anybody's.
    assert places(port) == ["branch"]
    assert service.sql(service.main(), "SELECT name FROM place") == [("production",)]


def test_a_client_that_demands_tls_gets_it(port: int) -> None:
    uri = f"postgresql://{AS_IN_PRODUCTION}@127.0.0.1:{port}/votes?sslmode=require"
    with psycopg.connect(uri) as connection:
        assert connection.pgconn.ssl_in_use
    with psycopg.connect(uri.replace("require", "disable")) as connection:
        assert not connection.pgconn.ssl_in_use


def test_a_client_that_verifies_the_server_is_refused_and_not_misled(port: int) -> None:
    with pytest.raises(psycopg.OperationalError, match="certificate"):
        places(port, parameters="?sslmode=verify-full&sslrootcert=system")


def test_another_database_is_refused(port: int) -> None:
    with pytest.raises(psycopg.OperationalError, match=r"no such database|bouncer config error"):
        places(port, database="postgres")


def test_options_are_refused_instead_of_dropped(port: int) -> None:
    with pytest.raises(psycopg.OperationalError, match="unsupported startup parameter"):
        places(port, parameters="?options=-csearch_path%3Dother")


def test_a_session_keeps_its_settings_and_its_temporary_tables(port: int) -> None:
    uri = f"postgresql://{AS_IN_PRODUCTION}@127.0.0.1:{port}/votes"
    with psycopg.connect(uri, autocommit=True) as first, psycopg.connect(uri, autocommit=True) as second:
        first.execute("SET statement_timeout = '7s'")
        first.execute("CREATE TEMPORARY TABLE mine (x int)")
        assert first.execute("SHOW statement_timeout").fetchone() == ("7s",)
        assert first.execute("SELECT count(*) FROM mine").fetchone() == (0,)
        assert second.execute("SHOW statement_timeout").fetchone() == ("0",)
        with pytest.raises(psycopg.errors.UndefinedTable):
            second.execute("SELECT count(*) FROM mine")
    with psycopg.connect(uri) as third:
        # The next client gets a server connection that nobody has touched.
        assert third.execute("SHOW statement_timeout").fetchone() == ("0",)


def test_nobody_outside_of_the_pod_reaches_it(port: int) -> None:
    with pytest.raises(psycopg.OperationalError, match="Connection refused"):
        places(port, host="127.0.0.9")


def test_two_databases_on_one_port_lead_to_their_own_branches(service: Server) -> None:
    port = free_port()
    first = with_pooler(client_port=port, client_host="votes-db")
    both = with_pooler(first, client_port=port, client_host="users-db")
    votes = branch_with(service, "two-votes", "votes' branch".replace("'", "''"))
    users = branch_with(service, "two-users", "users")

    # The last one added stands first.
    with pooler(both, votes, number=1), pooler(both, users, number=0):
        addresses = {alias["hostnames"][0]: alias["ip"] for alias in pod_of(both)["hostAliases"]}
        assert places(port, host=addresses["votes-db"]) == ["votes' branch"]
        assert places(port, host=addresses["users-db"]) == ["users"]


def test_a_password_with_every_kind_of_quote_opens_the_branch(service: Server) -> None:
    branch = branch_with(service, "quoted", "quoted")
    password = 'it\'s \\ "x" $HOME `id`'
    where: dict[str, Any] = {
        "host": branch["host"],
        "port": branch["port"],
        "dbname": "votes",
        "user": branch["user"],
    }
    with psycopg.connect(**where, password=branch["password"], autocommit=True) as connection:
        change = sql.SQL("ALTER ROLE {} PASSWORD {}")
        connection.execute(change.format(sql.Identifier(branch["user"]), sql.Literal(password)))
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(**where, password=branch["password"])
    port = free_port()
    manifest = with_pooler(client_port=port)
    with pooler(manifest, {**branch, "password": password}):
        assert places(port) == ["quoted"]
