"""A real PostgreSQL server on the loopback, with a database in production."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from kardinal_neon_local.programs import Programs, find_account, find_programs, reachable_programs
from kardinal_neon_local.testing.server import free_port

ADMIN_PASSWORD = "admin-of-the-tests-5b1/?"
OWNER_PASSWORD = "production-of-the-tests-77c"
PATIENCE = 60.0


@dataclass
class PostgresServer:
    """A server.

    Attributes:
        port: Of its host.
        programs: Its installation.
        log: Its log, with all statements.
        host: The address that it listens on.
    """

    port: int
    programs: Programs
    log: Path
    host: str = "127.0.0.1"

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"

    def uri(self, database: str = "postgres", user: str = "postgres", password: str | None = None) -> str:
        quoted = (password or ADMIN_PASSWORD).replace("/", "%2F").replace("?", "%3F")
        return f"postgresql://{user}:{quoted}@{self.address}/{database}"

    def path(self) -> str:
        return os.pathsep.join([str(self.programs.directory), os.environ["PATH"]])

    def sql(self, statement: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        with psycopg.connect(self.uri(database), autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def databases(self) -> list[str]:
        return [row[0] for row in self.sql("SELECT datname FROM pg_database ORDER BY 1")]

    def roles(self) -> list[str]:
        return [row[0] for row in self.sql("SELECT rolname FROM pg_roles WHERE rolname !~ '^pg_' ORDER BY 1")]

    def production(self, name: str = "votes", owner: str = "votes_owner") -> None:
        """Makes a database as applications have it: an owner of its own, CONNECT for everybody."""
        self.sql(f"CREATE ROLE {owner} LOGIN PASSWORD '{OWNER_PASSWORD}'")
        self.sql(f"CREATE DATABASE {name} OWNER {owner}")
        self.sql(
            f"SET ROLE {owner}; CREATE TABLE vote (id serial PRIMARY KEY, choice text NOT NULL);"
            " INSERT INTO vote (choice) SELECT 'cat' FROM generate_series(1, 300)",
            name,
        )


@contextlib.contextmanager
def postgres_server(programs: Path | None = None, host: str = "127.0.0.1") -> Iterator[PostgresServer]:
    """A started server with an empty cluster.

    Args:
        programs: Directory of the installation; default: the one that the local Neon service would use.
        host: The address to listen on; whoever reaches it may log in with a password.
    """
    directory = Path(tempfile.mkdtemp(prefix="kardinal-postgres-"))
    directory.chmod(0o755)
    account = find_account(None, directory / "none")
    found = reachable_programs(find_programs(programs), account, directory)
    data, port = directory / "data", free_port()
    data.mkdir(mode=0o700)
    account.own(data)
    identity: dict[str, Any] = (
        {} if account.uid is None else {"user": account.uid, "group": account.gid, "extra_groups": []}
    )
    password = directory / "password"
    password.write_text(ADMIN_PASSWORD)
    subprocess.run(
        [found.path("initdb"), f"--pgdata={data}", "--username=postgres", "--auth=scram-sha-256",
         f"--pwfile={password}", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"],
        check=True, stdout=subprocess.DEVNULL, cwd="/", **identity,
    )  # fmt: skip
    with (data / "pg_hba.conf").open("a") as rules:
        rules.write("host all all all scram-sha-256\n")
    log = directory / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [found.path("postgres"), "-D", str(data), "-p", str(port), "-c", f"listen_addresses={host}",
             "-c", "unix_socket_directories=", "-c", "fsync=off", "-c", "log_statement=all"],
            stdout=output, stderr=output, cwd="/", **identity,
        )  # fmt: skip
    server = PostgresServer(port, found, log, host)
    try:
        deadline = time.monotonic() + PATIENCE
        while True:
            with contextlib.suppress(psycopg.OperationalError):
                server.sql("SELECT 1")
                break
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        yield server
    finally:
        os.kill(process.pid, signal.SIGINT)
        process.wait(PATIENCE)
        shutil.rmtree(directory)
