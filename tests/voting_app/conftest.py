"""The voting app as its images hold it: real processes, real PostgreSQL, everything on loopback."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from lab.demo_images import DEMO_IMAGES
from tests.loopback import Answer, Request, serving
from tests.voting_app.harness import Database, Program, Start, Upstream, eventually, lay_out


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The folder /app of each image, by the image's name."""
    return {
        image.name: lay_out(image, tmp_path_factory.mktemp(image.name.replace(":", "-")))
        for image in DEMO_IMAGES
    }


@pytest.fixture
def start(images: dict[str, Path], tmp_path: Path) -> Iterator[Start]:
    """Starts an image's program on a free port; all are ended after the test."""
    started: list[Program] = []

    def run(image: str, **settings: str) -> Program:
        log = tmp_path / f"{len(started)}.log"
        environment = {"PATH": os.environ["PATH"], "PORT": "0", "DRAIN_SECONDS": "0", **settings}
        with log.open("w") as output:
            process = subprocess.Popen(
                [sys.executable, str(images[image] / "server.py")],
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                text=True,
            )
        eventually(lambda: "listens on port" in log.read_text() or process.poll() is not None)
        port = re.search(r"listens on port (\d+)", log.read_text())
        if port is None:
            raise AssertionError(f"{image} ended with {process.returncode}: {log.read_text()}")
        program = Program(process, httpx.Client(base_url=f"http://127.0.0.1:{port[1]}", timeout=20), log)
        started.append(program)
        return program

    yield run
    for program in started:
        program.client.close()
        program.process.kill()
        program.process.wait()


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """The server for all tests; each takes a database of its own."""
    # Not below pytest's folder: a socket's path has at most 107 bytes, and only its owner may enter there.
    folder = Path("/tmp") / tmp_path_factory.mktemp("pg").name.replace("pg", f"voting-pg-{os.getpid()}-")
    folder.mkdir(mode=0o755)
    server = Database(folder)
    yield server
    server.stop()
    shutil.rmtree(folder)


@pytest.fixture
def empty(database: Database, request: pytest.FixtureRequest) -> Iterator[str]:
    """The name of an empty database, dropped after the test."""
    name = "t_" + re.sub(r"\W", "_", request.node.name).lower()[:50]
    database.create(name)
    yield name
    database.query("postgres", f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    """An HTTP server that records requests and gives the answers it was handed, the last one for ever."""
    seen: list[tuple[str, str, dict[str, str], bytes]] = []
    answers: list[tuple[int, object]] = []

    def record(request: Request) -> Answer:
        seen.append((request.method, request.target, dict(request.headers), request.body))
        status, answer = answers.pop(0) if len(answers) > 1 else answers[0]
        return Answer(status, json.dumps(answer).encode())

    with serving(record) as address:
        yield Upstream(address, seen, answers)
