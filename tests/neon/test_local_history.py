"""Branches from an earlier moment, on real PostgreSQL."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from kardinal_infra.databases.neon.branch import ensure_branch
from kardinal_infra.databases.neon.client import NeonClient
from kardinal_infra.databases.neon.errors import NeonError
from kardinal_infra.databases.neon.settings import resolve_settings
from kardinal_neon_local.testing.server import KEY, PROJECT, Server, running
from tests.neon.test_openapi import SPEC, Checked, rows
from tests.neon.wanted import replace

pytestmark = pytest.mark.postgres

COUNT = "SELECT count(*) FROM vote"


@pytest.fixture(scope="module")
def remembering() -> Iterator[Server]:
    """A service that keeps the past of its main branch, from now on."""
    with running(history=600) as started:
        started.sql(started.main(), "CREATE TABLE vote (id int)")
        deadline = time.monotonic() + 60
        while "since" not in first_moment(started):
            assert time.monotonic() < deadline
            time.sleep(0.2)
        yield started


def first_moment(service: Server) -> str:
    body = {"branch": {"name": "too-early", "parent_lsn": "0/1"}}
    answer = service.http.post("/branches", json=body)
    assert answer.status_code in (422, 423)
    return str(answer.json()["message"])


def test_a_branch_holds_what_its_parent_held_then(remembering: Server) -> None:
    main = remembering.main()
    remembering.sql(main, "INSERT INTO vote SELECT generate_series(1, 300)")
    [(position,)] = remembering.sql(main, "SELECT pg_current_wal_lsn()::text")
    moment = datetime.now(UTC).isoformat()
    time.sleep(0.1)
    remembering.sql(main, "DELETE FROM vote")
    environment = {"NEON_API_KEY": KEY, "NEON_API_HOST": f"http://127.0.0.1:{remembering.port}"}
    with NeonClient(resolve_settings(environment=environment), transport=Checked()) as client:
        then = replace(SPEC, name="kardinal/voting/then/votes", parent_timestamp=moment)
        made = ensure_branch(client, then)
        assert rows(made, COUNT) == [(300,)]
        assert ensure_branch(client, then).branch.id == made.branch.id
        there = replace(SPEC, name="kardinal/voting/there/votes", parent_lsn=position)
        assert rows(ensure_branch(client, there), COUNT) == [(300,)]
        assert rows(ensure_branch(client, replace(SPEC, name="kardinal/voting/now/votes")), COUNT) == [(0,)]
        with pytest.raises(NeonError, match=r"422.*keeps history since .* not further back"):
            ensure_branch(client, replace(SPEC, name="kardinal/voting/early/votes", parent_lsn="0/1"))
        assert client.branches.named(PROJECT, "kardinal/voting/early/votes") == []
