"""The local Neon service, with a database of each size, as a program that uses its API sees it."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psycopg

KEY = "key-of-the-benchmark"
ROWS_A_BATCH = 20_000
"""About 20 MB."""

FILL = """
INSERT INTO filler SELECT id, repeat(md5(random()::text), 30)
FROM generate_series(%(first)s::bigint, %(last)s::bigint) AS id
"""


@dataclass
class Measured:
    """One branch.

    Attributes:
        seconds: From the request to the answer of the first query.
        disk: Bytes that it takes at that time.
        memory: Bytes of memory of its processes, shared pages in proportion, after the client has left.
        removal: Seconds until it is gone.
    """

    seconds: float
    disk: int
    memory: int
    removal: float


class Service:
    """A running service.

    Args:
        data: Its data directory.
        log: File for what it prints.
    """

    def __init__(self, data: Path, log: Path) -> None:
        self.data = data
        self.port = _free_port()
        command = [sys.executable, "-m", "kardinal_infra.neon_local", "serve", "--project", "bench"]
        command += ["--data-dir", str(data), "--port", str(self.port), "--port-range", "21000-21099"]
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                command, stdout=output, stderr=output, env={**os.environ, "NEON_LOCAL_API_KEY": KEY}
            )
        self._http = httpx.Client(
            base_url=f"http://127.0.0.1:{self.port}/api/v2",
            headers={"Authorization": f"Bearer {KEY}"},
            timeout=600,
        )
        self._wait_until_healthy(log)

    def _wait_until_healthy(self, log: Path) -> None:
        deadline = time.monotonic() + 120
        while True:
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(f"http://127.0.0.1:{self.port}/healthz").status_code == 200:
                    return
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the service did not start:\n{log.read_text()}")
            time.sleep(0.05)

    def close(self) -> None:
        """Ends the service with all its instances."""
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(120)
        self._http.close()

    def filled(self, size: int) -> str:
        """Makes a project whose database has about `size` bytes; returns its id."""
        answer = self._call("POST", "/projects", {"project": {"name": f"size-{size}"}})
        project, uri = answer["project"]["id"], answer["connection_uris"][0]["connection_uri"]
        self._finish(project, answer)
        with psycopg.connect(uri, autocommit=True) as connection:
            connection.execute("SET synchronous_commit = off")
            connection.execute("CREATE TABLE filler (id bigint PRIMARY KEY, content text)")
            last = 0
            while (missing := size - _size(connection)) > 0:
                # Small databases exactly, large ones in batches.
                rows = min(ROWS_A_BATCH, missing // 1050 + 1)
                connection.execute(FILL, {"first": last + 1, "last": last + rows})
                last += rows
        # As a database that was filled long ago: what is still in memory is written, and vacuum has come by.
        with psycopg.connect(uri, autocommit=True) as connection:
            connection.execute("VACUUM ANALYZE filler")
            with contextlib.suppress(psycopg.errors.InsufficientPrivilege):
                connection.execute("CHECKPOINT")
        return str(project)

    def measure(self, project: str, name: str, used: Any) -> Measured:
        """Makes a branch, asks it one question, and deletes it.

        Args:
            project: A filled one.
            name: Name of the branch.
            used: Tells the bytes in use.
        """
        before = used()
        started = time.monotonic()
        request = {"branch": {"name": name}, "endpoints": [{"type": "read_write"}]}
        answer = self._call("POST", f"/projects/{project}/branches", request)
        uri = answer["connection_uris"][0]["connection_uri"]
        with self._connected(uri) as connection:
            row = connection.execute("SELECT count(*) FROM filler WHERE id BETWEEN 1 AND 100").fetchone()
            seconds = time.monotonic() - started
        if row != (100,):
            raise RuntimeError(f"the branch does not hold its parent's data: {row}")
        self._finish(project, answer)
        branch = answer["branch"]["id"]
        time.sleep(1)  # the client's backend ends
        disk, memory = used() - before, _memory(self.data / "instances" / branch)
        started = time.monotonic()
        deleted = self._http.delete(f"/projects/{project}/branches/{branch}", params={"hard_delete": True})
        self._finish(project, deleted.raise_for_status().json())
        return Measured(seconds, disk, memory, time.monotonic() - started)

    def _connected(self, uri: str) -> psycopg.Connection[Any]:
        """Connects as soon as the branch's port is open."""
        while True:
            try:
                return psycopg.connect(uri, connect_timeout=600)
            except psycopg.OperationalError:
                if self._process.poll() is not None:
                    raise
                time.sleep(0.005)

    def _call(self, method: str, path: str, body: Any) -> dict[str, Any]:
        return dict(self._http.request(method, path, json=body).raise_for_status().json())

    def _finish(self, project: str, answer: dict[str, Any]) -> None:
        for operation in answer["operations"]:
            while True:
                path = f"/projects/{project}/operations/{operation['id']}"
                status = self._http.get(path).raise_for_status().json()["operation"]["status"]
                if status == "finished":
                    break
                if status not in ("scheduling", "running"):
                    raise RuntimeError(f"operation {operation['action']} is {status}")
                time.sleep(0.01)


@contextlib.contextmanager
def service(place: Path) -> Iterator[Service]:
    """A service whose data is on a volume.

    Args:
        place: A directory that PostgreSQL's user can reach.
    """
    data = place / "data"
    data.mkdir()
    data.chmod(0o755)
    running = Service(data, place / "service.log")
    try:
        yield running
    finally:
        running.close()


def _size(connection: psycopg.Connection[Any]) -> int:
    row = connection.execute("SELECT pg_database_size(current_database())").fetchone()
    assert row is not None
    return int(row[0])


def _memory(directory: Path) -> int:
    """Proportional set size of the processes that work in a directory."""
    total = 0
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (process / "cwd").readlink() == directory:
                lines = (process / "smaps_rollup").read_text().splitlines()
                total += sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
    return total


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
