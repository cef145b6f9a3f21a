from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.databases.backends import SYSTEMS, System, configure
from tests.databases.engine import close
from tests.databases.server import PostgresServer, postgres_server
from tests.databases.toy import install


@pytest.fixture(scope="session")
def toy_distribution(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder into which the distribution with the backend `folders` is installed."""
    target = tmp_path_factory.mktemp("installed")
    install(target)
    return target


@pytest.fixture(scope="module")
def folders_backend(toy_distribution: Path) -> Iterator[None]:
    """The backend `folders` is installed, for this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(toy_distribution))
        yield
    for name in [name for name in sys.modules if name.partition(".")[0] == "kardinal_folders"]:
        del sys.modules[name]


@pytest.fixture(scope="module", params=sorted(SYSTEMS))
def running_system(request: pytest.FixtureRequest, folders_backend: None) -> Iterator[System]:
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
