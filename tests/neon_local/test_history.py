"""The default branch's past: branches, restores and schemas of earlier moments."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.neon_local.server import PATIENCE, Server, running

pytestmark = pytest.mark.postgres


@pytest.fixture(scope="module")
def past() -> Iterator[Server]:
    """A service that keeps history, whose main branch has some."""
    with running(history=3600) as server:
        deadline = time.monotonic() + PATIENCE
        moment = {"db_name": "votes", "timestamp": datetime.now(UTC).isoformat()}
        while server.http.get(f"/branches/{server.main()}/schema", params=moment).status_code != 200:
            moment["timestamp"] = datetime.now(UTC).isoformat()
            assert time.monotonic() < deadline
            time.sleep(0.1)
        yield server


def here(server: Server) -> tuple[str, str]:
    """The main branch's position and its clock, between two transactions."""
    query = "SELECT pg_current_wal_insert_lsn()::text, clock_timestamp()"
    lsn, moment = server.sql(server.main(), query)[0]
    return lsn, moment.isoformat()


def test_branches_and_schemas_of_the_past(past: Server) -> None:
    main = past.main()
    past.sql(main, "CREATE TABLE bill AS SELECT generate_series(1, 100) AS id")
    lsn, moment = here(past)
    past.sql(main, "DELETE FROM bill WHERE id > 10")
    later, _ = here(past)
    past.sql(main, "DROP TABLE bill")
    by_time = past.branch("by-time", parent_timestamp=moment)
    by_lsn = past.branch("by-lsn", parent_lsn=lsn)
    by_later = past.branch("by-later", parent_lsn=later)
    counts = [past.sql(b, "SELECT count(*) FROM bill")[0][0] for b in (by_time, by_lsn, by_later)]
    assert counts == [100, 100, 10]
    assert past.sql(main, "SELECT to_regclass('bill')") == [(None,)]
    seen = past.get(f"/branches/{by_lsn}")["branch"]
    assert (seen["parent_id"], seen["parent_lsn"]) == (main, lsn)
    assert past.get(f"/branches/{by_time}")["branch"]["parent_lsn"].startswith("0/")
    assert past.sql(past.branch("child-of-the-past", parent_id=by_time), "SELECT count(*) FROM bill") == [
        (100,)
    ]
    schema = f"/branches/{main}/schema"
    assert "bill" in past.get(schema, db_name="votes", timestamp=moment)["sql"]
    assert "bill" not in past.get(schema, db_name="votes")["sql"]
    compared = past.get(
        f"/branches/{main}/compare_schema", db_name="votes", base_branch_id=main, base_lsn=lsn
    )
    assert "-CREATE TABLE public.bill" in compared["diff"]
    assert not [p for p in (past.data / "instances").iterdir() if "visit" in p.name]


def test_restore_of_a_branch_to_its_own_past_and_its_history_goes_on(past: Server) -> None:
    main = past.main()
    past.sql(main, "CREATE TABLE cart AS SELECT generate_series(1, 7) AS id")
    uri, (_, moment) = past.uri(main), here(past)
    past.sql(main, "DROP TABLE cart")
    wanted: dict[str, Any] = {"source_branch_id": main, "source_timestamp": moment}
    assert "preserve_under_name" in past.call("POST", f"/branches/{main}/restore", 422, **wanted)["message"]
    past.finish(past.call("POST", f"/branches/{main}/restore", preserve_under_name="before", **wanted))
    assert past.uri(main) == uri
    assert past.sql(main, "SELECT count(*) FROM cart") == [(7,)]
    before = past.get("/branches", search="before")["branches"][0]
    assert past.get(f"/branches/{main}")["branch"]["parent_id"] == before["id"]
    # A base of the new data is taken soon; the old one's are given up.
    deadline = time.monotonic() + PATIENCE
    body = {"branch": {"name": "after"}, "endpoints": [{"type": "read_write"}]}
    while True:
        body["branch"] = {"name": "after", "parent_timestamp": here(past)[1]}
        answer = past.http.post("/branches", json=body)
        if answer.status_code == 201:
            break
        assert time.monotonic() < deadline, answer.text
        time.sleep(0.1)
    branch = past.finish(answer.json())["branch"]["id"]
    assert past.sql(branch, "SELECT count(*) FROM cart") == [(7,)]
    assert len([p for p in (past.data / "history").iterdir() if p.suffix != ".unfinished"]) == 1


def test_moment_that_is_not_kept_is_refused_with_what_is(past: Server) -> None:
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    other = past.branch("no-default", compute=False)
    for fields, words in [
        ({"parent_lsn": "0/1"}, "keeps history since"),
        ({"parent_timestamp": "2001-01-01T00:00:00Z"}, "keeps history since"),
        ({"parent_timestamp": tomorrow}, "future"),
        ({"parent_lsn": "FFF/0"}, "future"),
        ({"parent_lsn": "0/1", "parent_id": other}, "only default branches keep history"),
        ({"parent_lsn": "0/1", "init_source": "schema-only"}, "schema-only"),
    ]:
        message = past.call("POST", "/branches", 422, branch={"name": "never", **fields})["message"]
        assert words in message
    assert "0/1DE2850" in past.call("POST", "/branches", 400, branch={"parent_lsn": "yesterday"})["message"]
    assert past.get("/branches/count", search="never")["count"] == 0


def test_history_survives_a_kill_and_a_restart(past: Server) -> None:
    main = past.main()
    past.sql(main, "CREATE TABLE kept AS SELECT 1 AS id")
    _, moment = here(past)
    past.sql(main, "DROP TABLE kept")
    past.end(9)
    past.start()
    branch = past.branch("after-the-kill", parent_timestamp=moment)
    assert past.sql(branch, "SELECT count(*) FROM kept") == [(1,)]
