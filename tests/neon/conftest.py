from collections.abc import Iterator

import pytest

from tests.neon_local.server import Server, running


@pytest.fixture(scope="module")
def service() -> Iterator[Server]:
    """The local Neon service with a `vote` table of 300 rows on its main branch."""
    with running() as started:
        started.sql(started.main(), "CREATE TABLE vote (id serial PRIMARY KEY, choice text NOT NULL)")
        started.sql(started.main(), "INSERT INTO vote (choice) SELECT 'cat' FROM generate_series(1, 300)")
        yield started
