"""What the voting app's tests are made of: its programs, a PostgreSQL, a stand-in for votes-api."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psycopg2

from kardinal_neon_local.programs import Account, find_programs, reachable_programs
from lab.demo_images import DemoImage, contents

NOBODY = 65534  # PostgreSQL refuses to run as root


def eventually(check: Callable[[], bool], seconds: float = 30) -> None:
    """Waits for something to become true; fails when it does not."""
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline, f"still not so after {seconds} s"
        time.sleep(0.02)


def lay_out(image: DemoImage, root: Path) -> Path:
    """Copies what an image holds into a folder; its /app there."""
    for target, file in contents(image).items():
        path = root / target.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, path)
    return root / "app"


@dataclass
class Program:
    """A running program of the app."""

    process: subprocess.Popen[str]
    client: httpx.Client
    log: Path

    def stop(self) -> int:
        """Asks it to end, and waits."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=30)


Start = Callable[..., Program]


@dataclass
class Upstream:
    """Stands for votes-api where the answer matters less than what was asked."""

    url: str
    seen: list[tuple[str, str, dict[str, str], bytes]]
    answers: list[tuple[int, object]]


class Database:
    """A PostgreSQL of its own on a socket in its folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._owner: dict[str, Any] = (
            {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
        )
        if self._owner:
            os.chown(folder, NOBODY, NOBODY)
        account = Account("nobody", NOBODY, NOBODY) if self._owner else Account(None, None, None)
        self._programs = reachable_programs(find_programs(None), account, folder)
        self._run("initdb", "--username=owner", "--auth=trust", "--no-sync", "-D", str(folder / "data"))
        self.start()

    def start(self) -> None:
        """Starts the server and waits until it answers."""
        options = f"-c listen_addresses= -c unix_socket_directories={self.folder} -c fsync=off"
        log = str(self.folder / "log")
        self._run("pg_ctl", "-w", "-D", str(self.folder / "data"), "-o", options, "-l", log, "start")

    def stop(self) -> None:
        """Stops the server; open connections are cut."""
        self._run("pg_ctl", "-w", "-m", "fast", "-D", str(self.folder / "data"), "stop")

    def create(self, name: str) -> str:
        """Makes an empty database and returns its URL."""
        self.query("postgres", f"CREATE DATABASE {name}")
        return self.url(name)

    def url(self, name: str) -> str:
        """The URL of a database."""
        return f"postgresql://owner@/{name}?host={self.folder}"

    def query(self, name: str, statement: str) -> list[tuple[object, ...]]:
        """Runs one statement outside a transaction."""
        connection = psycopg2.connect(self.url(name))
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(statement)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    def _run(self, program: str, *arguments: str) -> None:
        # A real file as the output: pg_ctl hands it to the server, and a pipe would stay open with it.
        with (self.folder / f"{program}.out").open("w+") as output:
            command = [self._programs.path(program), *arguments]
            done = subprocess.run(
                command, stdout=output, stderr=output, cwd=self.folder, check=False, **self._owner
            )
            output.seek(0)
            assert done.returncode == 0, output.read()
