from __future__ import annotations

from collections.abc import Iterator

import pytest

from kardinal_neon_local.testing.server import Server, running


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """One service for a module: tests name their branches differently."""
    with running() as started:
        started.sql(started.main(), "CREATE TABLE vote (id serial PRIMARY KEY, choice text NOT NULL)")
        started.sql(started.main(), "INSERT INTO vote (choice) SELECT 'cat' FROM generate_series(1, 300)")
        yield started
