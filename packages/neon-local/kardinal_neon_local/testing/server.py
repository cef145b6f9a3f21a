"""A real service process on the loopback, and what tests do with it."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx
import psycopg

from kardinal_neon_local.testing.contract import require_contract

KEY = "key-of-the-tests-93f1"
"""The API key of every started service."""
PROJECT = "shop"
"""The id of its project."""
DONE = ("finished", "skipped", "cancelled")
"""States of an operation that has ended without an error."""
PATIENCE_SECONDS = 60.0
"""How long anything may take before a test fails."""


def free_port() -> int:
    """Returns a TCP port of 127.0.0.1 on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """One service on a data directory of its own; may be ended and started again.

    Args:
        directory: For its data and its log.
        options: Options of `serve`, such as `idle_timeout=1`; True for one without a value.
    """

    def __init__(self, directory: Path, **options: object) -> None:
        self.directory = directory
        self.data = directory / "data"
        self.port = free_port()
        self.options: dict[str, object] = {"database": "votes", "role": "votes_owner", **options}
        first = 21000 + (self.port % 90) * 100  # away from what the kernel gives out, and from other tests
        self.options.setdefault("port_range", f"{first}-{first + 99}")
        self.log = directory / "service.log"
        self.process: subprocess.Popen[bytes] | None = None
        self.http = httpx.Client(
            base_url=f"http://127.0.0.1:{self.port}/api/v2/projects/{PROJECT}",
            headers={"Authorization": f"Bearer {KEY}"},
            timeout=PATIENCE_SECONDS,
            event_hooks={"response": [require_contract]},
        )

    def command(self) -> list[str]:
        """Returns the command line that starts it."""
        arguments = [sys.executable, "-m", "kardinal_neon_local", "serve", "--project", PROJECT]
        arguments += ["--port", str(self.port), "--data-dir", str(self.data)]
        for name, value in self.options.items():
            option = f"--{name.replace('_', '-')}"
            arguments += [option] if value is True else [option, str(value)]
        return arguments

    def environment(self) -> dict[str, str]:
        """Returns the environment that goes with the command line."""
        return {**os.environ, "NEON_LOCAL_API_KEY": KEY}

    def start(self) -> Server:
        """Starts it, waits until it is healthy, and returns it."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.command(), stdout=log, stderr=log, env=self.environment())
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(f"http://127.0.0.1:{self.port}/healthz").status_code == HTTPStatus.OK:
                    return self
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.05)

    def end(self, number: int = signal.SIGTERM) -> int:
        """Ends the process and returns its exit code.

        Args:
            number: The signal to end it with.
        """
        assert self.process is not None
        self.process.send_signal(number)
        code = self.process.wait(PATIENCE_SECONDS)
        self.process = None
        return code

    def postmasters(self) -> dict[str, int]:
        """Returns the process ids of the instances that run, by the name of their data directory."""
        found = {}
        for file in (self.data / "instances").glob("*/postmaster.pid"):
            pid = int(file.read_text().split()[0])
            with contextlib.suppress(OSError):
                if Path(f"/proc/{pid}/cwd").resolve() == file.parent.resolve():
                    found[file.parent.name] = pid
        return found

    def close(self) -> None:
        """Ends the process if it runs, and instances that it left behind."""
        if self.process is not None:
            self.end()
        for pid in self.postmasters().values():
            os.kill(pid, signal.SIGQUIT)
        self.http.close()

    def call(self, method: str, path: str, expect: int = 200, **body: Any) -> dict[str, Any]:
        """Makes one call that must answer as expected; tries again for as long as the project is busy.

        Args:
            method: HTTP method.
            path: Below the project.
            expect: The status that is expected.
            body: Fields of the JSON body; none: no body.

        Returns:
            The decoded body of the answer.
        """
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            answer = self.http.request(method, path, json=body or None)
            busy = answer.status_code == HTTPStatus.LOCKED and expect != HTTPStatus.LOCKED
            if not busy or time.monotonic() > deadline:
                assert answer.status_code == expect, f"{answer.status_code}: {answer.text}"
                return _object(answer) if answer.content else {}
            time.sleep(0.02)

    def get(self, path: str, **parameters: Any) -> dict[str, Any]:
        """Reads.

        Args:
            path: Below the project.
            parameters: Of the query.

        Returns:
            The decoded body.
        """
        answer = self.http.get(path, params=parameters)
        assert answer.status_code == HTTPStatus.OK, f"{answer.status_code}: {answer.text}"
        return _object(answer)

    def finish(self, answer: dict[str, Any]) -> dict[str, Any]:
        """Waits for the operations of an answer, which must succeed.

        Args:
            answer: A decoded body.

        Returns:
            The same answer.
        """
        deadline = time.monotonic() + PATIENCE_SECONDS
        for operation in answer["operations"]:
            while True:
                seen = self.get(f"/operations/{operation['id']}")["operation"]
                if seen["status"] in DONE:
                    break
                assert seen["status"] in ("scheduling", "running"), seen
                assert time.monotonic() < deadline, seen
                time.sleep(0.02)
            assert seen["status"] == "finished", seen
        return answer

    def branch(
        self, name: str, *, compute: bool = True, annotations: dict[str, str] | None = None, **fields: Any
    ) -> str:
        """Makes a branch and waits until it can be used.

        Args:
            name: Its name.
            compute: Whether it gets an endpoint.
            annotations: To be stored with it.
            fields: More fields of the request's `branch`.

        Returns:
            Its id.
        """
        body: dict[str, Any] = {"branch": {"name": name, **fields}}
        if compute:
            body["endpoints"] = [{"type": "read_write"}]
        if annotations:
            body["annotation_value"] = annotations
        return str(self.finish(self.call("POST", "/branches", 201, **body))["branch"]["id"])

    def main(self) -> str:
        """Returns the id of the default branch."""
        return next(str(branch["id"]) for branch in self.get("/branches")["branches"] if branch["default"])

    def uri(self, branch: str, database: str = "votes", role: str = "votes_owner") -> str:
        """Returns the connection URI of a branch.

        Args:
            branch: Its id.
            database: Database to connect to.
            role: Role to connect as.
        """
        answer = self.get("/connection_uri", branch_id=branch, database_name=database, role_name=role)
        return str(answer["uri"])

    def sql(self, branch: str, statement: str, **where: str) -> list[tuple[Any, ...]]:
        """Runs a statement on a branch through its endpoint.

        Args:
            branch: Its id.
            statement: One statement.
            where: Database and role, as for `uri`.

        Returns:
            The rows; none of a statement that has no result.
        """
        with psycopg.connect(self.uri(branch, **where), autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []


@contextlib.contextmanager
def running(under: Path | None = None, **options: object) -> Iterator[Server]:
    """Runs a service in a new directory that PostgreSQL's user can reach; pytest's own is closed to it.

    Args:
        under: Where the directory is made; default: with temporary files.
        options: As for `Server`.
    """
    directory = Path(tempfile.mkdtemp(prefix="neon-local-", dir=under))
    directory.chmod(0o755)
    server = Server(directory, **options)
    try:
        yield server.start()
    finally:
        server.close()
        shutil.rmtree(directory)


def refused(uri: str) -> str:
    """Returns the message with which a connection is refused, as it must be.

    Args:
        uri: What to connect to.
    """
    try:
        psycopg.connect(uri, connect_timeout=5).close()
    except psycopg.OperationalError as error:
        return str(error)
    raise AssertionError("the connection was not refused")


def _object(answer: httpx.Response) -> dict[str, Any]:
    decoded = answer.json()
    assert isinstance(decoded, dict)
    return decoded
