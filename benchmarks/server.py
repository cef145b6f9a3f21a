"""The backend `postgres` on one server: a branch is a database made from a golden copy, a template."""

from __future__ import annotations

import contextlib
import secrets
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
from psycopg import sql
from pydantic import SecretStr

from benchmarks.database import Measured, ask, fill, free_port
from kardinal_infra.databases.postgres.branch import ensure_branch
from kardinal_infra.databases.postgres.removal import discard_branch
from kardinal_infra.databases.postgres.settings import PostgresSettings
from kardinal_infra.databases.postgres.spec import BranchSpec
from kardinal_neon_local.programs import find_account, find_programs, reachable_programs

ANNOTATIONS = {"kardinal-stack": "organization/benchmarks/branches"}


class Server:
    """A running server.

    Args:
        port: Where it listens.
        password: Of its superuser.
    """

    def __init__(self, port: int, password: str) -> None:
        self._port = port
        self._password = password

    def uri(self, database: str, user: str = "postgres", password: str | None = None) -> str:
        """Connection URI."""
        return f"postgresql://{user}:{quote(password or self._password)}@127.0.0.1:{self._port}/{database}"

    def filled(self, size: int) -> str:
        """Makes a template of about `size` bytes; returns its name."""
        name = f"size_{size}"
        with psycopg.connect(self.uri("postgres"), autocommit=True) as connection:
            for statement in ("CREATE ROLE {0} LOGIN PASSWORD {1}", "CREATE DATABASE {0} OWNER {0}"):
                connection.execute(sql.SQL(statement).format(sql.Identifier(name), self._password))
        fill(self.uri(name, name), size)
        with psycopg.connect(self.uri("postgres"), autocommit=True) as connection:
            template = sql.SQL("ALTER DATABASE {} IS_TEMPLATE true ALLOW_CONNECTIONS false")
            connection.execute(template.format(sql.Identifier(name)))
        return name

    def measure(self, source: str, name: str, used: Callable[[], int]) -> Measured:
        """Makes a branch, asks it one question, and deletes it.

        Args:
            source: A template.
            name: Name of the branch.
            used: Tells the bytes in use.
        """
        settings = PostgresSettings(SecretStr(self.uri("postgres")))
        spec = BranchSpec(name=f"{source}-{name}", database=source, role=source, annotations=ANNOTATIONS)
        before = used()
        started = time.monotonic()
        view = ensure_branch(settings, spec, datetime.now(UTC))
        assert view.password is not None
        uri = self.uri(view.name, view.name, view.password.get_secret_value())
        with psycopg.connect(uri) as connection:
            ask(connection)
            seconds = time.monotonic() - started
        with psycopg.connect(self.uri("postgres"), autocommit=True) as connection:
            connection.execute("CHECKPOINT")  # what is in memory only takes space, too
        disk = used() - before
        started = time.monotonic()
        discard_branch(settings, spec.name, ANNOTATIONS)
        return Measured(seconds, disk, None, time.monotonic() - started)


@contextlib.contextmanager
def server(place: Path) -> Iterator[Server]:
    """A server whose data is on a volume.

    Args:
        place: A directory that PostgreSQL's user can reach.
    """
    folder = place / "server"
    folder.mkdir()
    folder.chmod(0o755)
    account = find_account(None, folder / "none")
    programs = reachable_programs(find_programs(None), account, folder)
    data, password, log = folder / "data", secrets.token_hex(16), folder / "log"
    identity: dict[str, Any] = (
        {} if account.uid is None else {"user": account.uid, "group": account.gid, "extra_groups": []}
    )
    data.mkdir(mode=0o700)
    account.own(data)
    secret = folder / "password"
    secret.write_text(password)
    secret.chmod(0o600)
    account.own(secret)
    subprocess.run(
        [programs.path("initdb"), f"--pgdata={data}", "--username=postgres", "--auth=scram-sha-256",
         f"--pwfile={secret}", "--encoding=UTF8", "--locale=C.UTF-8"],
        check=True, stdout=subprocess.DEVNULL, cwd="/", **identity,
    )  # fmt: skip
    port = free_port()
    with log.open("wb") as output:
        process = subprocess.Popen(
            [programs.path("postgres"), "-D", str(data), "-p", str(port), "-c", "listen_addresses=127.0.0.1",
             "-c", "unix_socket_directories=", "-c", "max_wal_size=256MB"],
            stdout=output, stderr=output, cwd="/", **identity,
        )  # fmt: skip
    running = Server(port, password)
    try:
        deadline = time.monotonic() + 120
        while True:
            with contextlib.suppress(psycopg.OperationalError):
                psycopg.connect(running.uri("postgres")).close()
                break
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the server did not start:\n{log.read_text()}")
            time.sleep(0.05)
        yield running
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(120)
