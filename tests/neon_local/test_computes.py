from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from tests.neon_local.server import PATIENCE, Server, refused, running

pytestmark = pytest.mark.postgres


def endpoint(server: Server, branch: str) -> dict[str, Any]:
    return dict(server.get(f"/branches/{branch}/endpoints")["endpoints"][0])


def test_suspended_endpoint_costs_no_process_and_wakes_on_connect(server: Server) -> None:
    branch = server.branch("napper")
    uri, first = server.uri(branch), endpoint(server, branch)
    assert first["current_state"] == "active"
    with psycopg.connect(uri, autocommit=True) as connection:
        server.finish(server.call("POST", f"/endpoints/{first['id']}/suspend"))
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
    assert endpoint(server, branch)["current_state"] == "idle"
    assert branch not in server.postmasters()
    assert server.sql(branch, "SELECT 1") == [(1,)]
    assert server.uri(branch) == uri
    assert endpoint(server, branch)["current_state"] == "active"


def test_start_and_restart(server: Server) -> None:
    branch = server.branch("restarted")
    identifier = endpoint(server, branch)["id"]
    before = server.postmasters()[branch]
    server.finish(server.call("POST", f"/endpoints/{identifier}/restart"))
    after = server.postmasters()[branch]
    assert after != before
    server.finish(server.call("POST", f"/endpoints/{identifier}/suspend"))
    server.finish(server.call("POST", f"/endpoints/{identifier}/start"))
    assert branch in server.postmasters()


def test_settings_are_applied_by_a_restart(server: Server) -> None:
    branch = server.branch("tuned")
    identifier = endpoint(server, branch)["id"]
    wanted = {"settings": {"pg_settings": {"work_mem": "7MB"}}, "suspend_timeout_seconds": -1}
    answer = server.finish(server.call("PATCH", f"/endpoints/{identifier}", endpoint=wanted))
    assert [o["action"] for o in answer["operations"]] == ["apply_config"]
    assert server.sql(branch, "SHOW work_mem") == [("7MB",)]
    assert server.get(f"/endpoints/{identifier}")["endpoint"]["suspend_timeout_seconds"] == -1


def test_disabled_endpoint_refuses_connections_in_words(server: Server) -> None:
    branch = server.branch("disabled")
    identifier, uri = endpoint(server, branch)["id"], server.uri(branch)
    server.finish(server.call("PATCH", f"/endpoints/{identifier}", endpoint={"disabled": True}))
    assert f"endpoint {identifier} is disabled" in refused(uri)
    server.finish(server.call("PATCH", f"/endpoints/{identifier}", endpoint={"disabled": False}))
    assert server.sql(branch, "SELECT 1") == [(1,)]


def test_deleted_endpoint_can_be_replaced_and_the_data_stays(server: Server) -> None:
    branch = server.branch("replaced-endpoint")
    server.sql(branch, "CREATE TABLE stays (a int)")
    old, identifier = server.uri(branch), endpoint(server, branch)["id"]
    server.finish(server.call("DELETE", f"/endpoints/{identifier}"))
    server.call("DELETE", f"/endpoints/{identifier}", 204)
    assert "refused" in refused(old)
    wanted = {"branch_id": branch, "type": "read_write"}
    server.finish(server.call("POST", "/endpoints", 201, endpoint=wanted))
    assert server.uri(branch) != old
    assert server.sql(branch, "SELECT count(*) FROM stays") == [(0,)]


def test_large_answers_and_many_connections_pass_the_gateway(server: Server) -> None:
    branch = server.branch("busy")
    text = server.sql(branch, "SELECT repeat('x', 20000000)")[0][0]
    assert len(text) == 20_000_000
    connections = [psycopg.connect(server.uri(branch), autocommit=True) for _ in range(40)]
    try:
        assert [c.execute("SELECT 7").fetchone() for c in connections] == [(7,)] * 40
    finally:
        for connection in connections:
            connection.close()


def test_long_query_can_be_cancelled_through_the_gateway(server: Server) -> None:
    branch = server.branch("cancelled")
    running_now = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep%' AND state = 'active'"
    with psycopg.connect(server.uri(branch), autocommit=True) as connection, ThreadPoolExecutor() as pool:
        answer = pool.submit(connection.execute, "SELECT pg_sleep(600)")
        while server.sql(branch, running_now + " AND pid <> pg_backend_pid()") == [(0,)]:
            time.sleep(0.05)
        connection.cancel_safe()
        assert isinstance(answer.exception(PATIENCE), psycopg.errors.QueryCanceled)


def test_idle_instances_stop_by_themselves_but_not_under_a_connection() -> None:
    with running(**{"idle-timeout": 1}) as server:
        busy, idle = server.branch("busy"), server.branch("idle")
        with psycopg.connect(server.uri(busy), autocommit=True) as connection:
            deadline = time.monotonic() + PATIENCE
            while idle in server.postmasters():
                assert time.monotonic() < deadline
                time.sleep(0.1)
            assert connection.execute("SELECT 1").fetchone() == (1,)
            assert busy in server.postmasters()
        assert endpoint(server, idle)["current_state"] == "idle"
        actions = [o["action"] for o in server.get("/operations")["operations"] if o.get("branch_id") == idle]
        assert actions[0] == "suspend_compute"
        assert server.sql(idle, "SELECT 1") == [(1,)]
