"""A real service process on the loopback, and what the tests do with it."""

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
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from tests.neon_local.openapi import require_contract

KEY = "key-of-the-tests-93f1"
PROJECT = "shop"
DONE = ("finished", "skipped", "cancelled")
PATIENCE = 60.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """One service on a data directory of its own; may be ended and started again."""

    def __init__(self, directory: Path, **options: object) -> None:
        self.directory = directory
        self.data = directory / "data"
        self.port = free_port()
        self.options: dict[str, object] = {"database": "votes", "role": "votes_owner", **options}
        first = 21000 + (self.port % 90) * 100  # away from what the kernel gives out, and from other tests
        self.options.setdefault("port-range", f"{first}-{first + 99}")
        self.log = directory / "service.log"
        self.process: subprocess.Popen[bytes] | None = None
        self.http = httpx.Client(
            base_url=f"http://127.0.0.1:{self.port}/api/v2/projects/{PROJECT}",
            headers={"Authorization": f"Bearer {KEY}"},
            timeout=60,
            event_hooks={"response": [require_contract]},
        )

    def command(self) -> list[str]:
        arguments = [sys.executable, "-m", "kardinal_infra.neon_local", "serve", "--project", PROJECT]
        arguments += ["--port", str(self.port), "--data-dir", str(self.data)]
        for name, value in self.options.items():
            arguments += [f"--{name}"] if value is True else [f"--{name}", str(value)]
        return arguments

    def environment(self) -> dict[str, str]:
        return {**os.environ, "NEON_LOCAL_API_KEY": KEY}

    def start(self) -> Server:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.command(), stdout=log, stderr=log, env=self.environment())
        deadline = time.monotonic() + PATIENCE
        while True:
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(f"http://127.0.0.1:{self.port}/healthz").status_code == 200:
                    return self
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.05)

    def end(self, number: int = signal.SIGTERM) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        code = self.process.wait(PATIENCE)
        self.process = None
        return code

    def postmasters(self) -> dict[str, int]:
        """Process ids of the instances that run, by data directory."""
        found = {}
        for file in (self.data / "instances").glob("*/postmaster.pid"):
            pid = int(file.read_text().split()[0])
            with contextlib.suppress(OSError):
                if Path(f"/proc/{pid}/cwd").resolve() == file.parent.resolve():
                    found[file.parent.name] = pid
        return found

    def close(self) -> None:
        if self.process is not None:
            self.end()
        for pid in self.postmasters().values():
            os.kill(pid, signal.SIGQUIT)
        self.http.close()

    # Calls.

    def call(self, method: str, path: str, expect: int = 200, **body: Any) -> dict[str, Any]:
        """One call that must answer with ``expect``; tries again for as long as the project is busy."""
        deadline = time.monotonic() + PATIENCE
        while True:
            answer = self.http.request(method, path, json=body or None)
            if answer.status_code != 423 or expect == 423 or time.monotonic() > deadline:
                assert answer.status_code == expect, f"{answer.status_code}: {answer.text}"
                return answer.json() if answer.content else {}
            time.sleep(0.02)

    def get(self, path: str, **parameters: Any) -> dict[str, Any]:
        answer = self.http.get(path, params=parameters)
        assert answer.status_code == 200, f"{answer.status_code}: {answer.text}"
        return dict(answer.json())

    def finish(self, answer: dict[str, Any]) -> dict[str, Any]:
        """Wait for the operations of an answer, which must succeed; returns the answer."""
        deadline = time.monotonic() + PATIENCE
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
        """Make a branch, wait until it can be used, and return its id."""
        body: dict[str, Any] = {"branch": {"name": name, **fields}}
        if compute:
            body["endpoints"] = [{"type": "read_write"}]
        if annotations:
            body["annotation_value"] = annotations
        return str(self.finish(self.call("POST", "/branches", 201, **body))["branch"]["id"])

    def main(self) -> str:
        return next(str(b["id"]) for b in self.get("/branches")["branches"] if b["default"])

    def uri(self, branch: str, database: str = "votes", role: str = "votes_owner") -> str:
        answer = self.get("/connection_uri", branch_id=branch, database_name=database, role_name=role)
        return str(answer["uri"])

    def sql(self, branch: str, statement: str, **where: str) -> list[tuple[Any, ...]]:
        """Run a statement on a branch through its endpoint."""
        with psycopg.connect(self.uri(branch, **where), autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []


@contextlib.contextmanager
def running(under: Path | None = None, /, **options: object) -> Iterator[Server]:
    """A started service in a directory that PostgreSQL's user can reach; pytest's own is closed to it."""
    directory = Path(tempfile.mkdtemp(prefix="neon-local-", dir=under))
    directory.chmod(0o755)
    server = Server(directory, **options)
    try:
        yield server.start()
    finally:
        server.close()
        shutil.rmtree(directory)


def refused(uri: str) -> str:
    """The message with which a connection is refused."""
    with pytest.raises(psycopg.OperationalError) as caught:
        psycopg.connect(uri, connect_timeout=5).close()
    return str(caught.value)
