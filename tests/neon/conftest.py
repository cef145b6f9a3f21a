from collections.abc import Iterator

import pytest

from kardinal_neon_local.testing.server import Server, running
from tests.neon.fake import KEY, FakeNeon
from tests.neon.plugin import plugin
from tests.neon.ring import Ring
from tests.neon.served import served


@pytest.fixture(scope="module")
def service() -> Iterator[Server]:
    """The local Neon service with a `vote` table of 300 rows on its main branch."""
    with running() as started:
        started.sql(started.main(), "CREATE TABLE vote (id serial PRIMARY KEY, choice text NOT NULL)")
        started.sql(started.main(), "INSERT INTO vote (choice) SELECT 'cat' FROM generate_series(1, 300)")
        yield started


@pytest.fixture(scope="module")
def shared_ring(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ring]:
    neon, folder = FakeNeon(), tmp_path_factory.mktemp("plugin")
    with served(neon) as host, plugin(folder, NEON_API_KEY=KEY, NEON_API_HOST=host) as started:
        yield Ring(neon, started, host)


@pytest.fixture
def ring(shared_ring: Ring) -> Ring:
    """A new Neon behind a provider process that has served others before, as the engine's does."""
    shared_ring.neon.reset()
    return shared_ring
