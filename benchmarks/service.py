"""The local Neon service as a program that uses its API sees it: a branch is an instance of its own."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg

from benchmarks.database import Measured, ask, fill, free_port

KEY = "key-of-the-benchmark"


class Service:
    """A running service.

    Args:
        data: Its data directory.
        log: File for what it prints.
    """

    def __init__(self, data: Path, log: Path) -> None:
        self.data = data
        self.port = free_port()
        command = [sys.executable, "-m", "kardinal_neon_local", "serve", "--project", "bench"]
        # Parents stay awake, however long the filling of another one takes.
        command += ["--data-dir", str(data), "--port", str(self.port), "--idle-timeout", "0"]
        command += ["--port-range", "21000-21099"]
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                command, stdout=output, stderr=output, env={**os.environ, "NEON_LOCAL_API_KEY": KEY}
            )
        self._http = httpx.Client(
            base_url=f"http://127.0.0.1:{self.port}/api/v2",
            headers={"Authorization": f"Bearer {KEY}"},
            timeout=600,
        )
        try:
            self._wait_until_healthy(log)
        except BaseException:
            self.close()
            raise

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
        project = str(answer["project"]["id"])
        self._finish(project, answer)
        fill(answer["connection_uris"][0]["connection_uri"], size)
        return project

    def measure(self, source: str, name: str, used: Callable[[], int]) -> Measured:
        """Makes a branch, asks it one question, and deletes it.

        Args:
            source: A filled project.
            name: Name of the branch.
            used: Tells the bytes in use.
        """
        before = used()
        started = time.monotonic()
        request = {"branch": {"name": name}, "endpoints": [{"type": "read_write"}]}
        answer = self._call("POST", f"/projects/{source}/branches", request)
        with self._connected(answer["connection_uris"][0]["connection_uri"]) as connection:
            ask(connection)
            seconds = time.monotonic() - started
        self._finish(source, answer)
        branch = answer["branch"]["id"]
        time.sleep(1)  # the client's backend ends
        disk, memory = used() - before, _memory(self.data / "instances" / branch)
        started = time.monotonic()
        deleted = self._http.delete(f"/projects/{source}/branches/{branch}", params={"hard_delete": True})
        self._finish(source, deleted.raise_for_status().json())
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
    data = place / "service"
    data.mkdir()
    data.chmod(0o755)
    running = Service(data, place / "service.log")
    try:
        yield running
    finally:
        running.close()


def _memory(directory: Path) -> int:
    """Proportional set size of the processes that work in a directory."""
    total = 0
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (process / "cwd").readlink() == directory:
                lines = (process / "smaps_rollup").read_text().splitlines()
                total += sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
    return total
