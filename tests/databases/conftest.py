from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.databases.backends import SYSTEMS, System, configure
from tests.databases.engine import close
from tests.databases.server import PostgresServer, postgres_server


@pytest.fixture(scope="module", params=sorted(SYSTEMS))
def running_system(request: pytest.FixtureRequest) -> Iterator[System]:
    with SYSTEMS[request.param]() as system:
        yield system


@pytest.fixture
def system(running_system: System, monkeypatch: pytest.MonkeyPatch) -> Iterator[System]:
    configure(monkeypatch, running_system)
    yield running_system
    close()


@pytest.fixture(scope="module")
def running_server() -> Iterator[PostgresServer]:
    with postgres_server() as started:
        started.production()
        yield started


@pytest.fixture
def server(running_server: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> PostgresServer:
    monkeypatch.setenv("KARDINAL_POSTGRES_URI", running_server.uri())
    monkeypatch.setenv("PATH", running_server.path())
    return running_server
