from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.neon_local.server import KEY, Server

pytestmark = pytest.mark.postgres


@pytest.fixture(scope="module")
def names(server: Server) -> list[str]:
    found = [f"page-{letter}" for letter in "abcde"]
    for name in found:
        server.branch(name, compute=False)
    return found


def pages(server: Server, **parameters: object) -> list[list[str]]:
    """All pages of the list of branches, by the rule: until an empty page or no cursor."""
    collected: list[Any] = []
    cursor = None
    while True:
        query = {**parameters, **({"cursor": cursor} if cursor else {})}
        answer = server.get("/branches", **query)
        if not answer["branches"]:
            return collected
        collected.append([b["name"] for b in answer["branches"]])
        cursor = answer["pagination"].get("next")
        if cursor is None:
            return collected


def test_pages_of_branches_hold_each_once_in_order(server: Server, names: list[str]) -> None:
    query = {"search": "page-", "sort_by": "name", "sort_order": "asc", "limit": 2}
    assert pages(server, **query) == [names[0:2], names[2:4], names[4:5]]
    query["sort_order"] = "desc"
    assert [name for page in pages(server, **query) for name in page] == names[::-1]


def test_default_order_is_latest_change_first(server: Server, names: list[str]) -> None:
    first = server.get("/branches", search="page-c")["branches"][0]["id"]
    server.call("PATCH", f"/branches/{first}", branch={"name": "page-c"})
    answer = server.get("/branches", search="page-")
    assert answer["branches"][0]["name"] == "page-c"
    assert answer["pagination"]["sort_by"] == "updated_at"
    assert answer["pagination"]["sort_order"] == "DESC"


def test_search_is_by_part_of_name_or_id_and_can_be_counted(server: Server, names: list[str]) -> None:
    identifier = server.get("/branches", search="page-a")["branches"][0]["id"]
    assert [b["name"] for b in server.get("/branches", search=identifier[3:-2])["branches"]] == ["page-a"]
    assert server.get("/branches/count", search="page-")["count"] == len(names)


@pytest.mark.parametrize(
    "query",
    [
        {"limit": 0},
        {"limit": 10001},
        {"limit": "x"},
        {"sort_by": "colour"},
        {"cursor": "?"},
        {"include_deleted": "perhaps"},
    ],
)
def test_bad_queries_are_400(server: Server, query: dict[str, object]) -> None:
    answer = server.http.get("/branches", params=query)  # type: ignore[arg-type]
    assert answer.status_code == 400
    assert next(iter(query)) in answer.json()["message"]


def test_operations_are_paged_by_a_moment(server: Server, names: list[str]) -> None:
    everything = [o["id"] for o in server.get("/operations", limit=1000)["operations"]]
    collected: list[str] = []
    query: dict[str, object] = {"limit": 3}
    while page := server.get("/operations", **query):
        if not page["operations"]:
            break
        collected += [o["id"] for o in page["operations"]]
        query["cursor"] = page["pagination"]["cursor"]
    assert collected == everything
    assert len(everything) > 5
    one = server.get(f"/operations/{everything[0]}")["operation"]
    assert one["status"] == "finished"
    server.call("GET", "/operations/00000000-0000-0000-0000-000000000000", 404)


def test_requests_without_the_key_are_refused_and_told_nothing(server: Server) -> None:
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {KEY}"}):
        answer = httpx.get(f"{server.http.base_url}branches", headers=headers)
        assert answer.status_code == 401
        assert set(answer.json()) == {"request_id", "code", "message"}


def test_request_id_comes_back_in_errors_and_headers(server: Server) -> None:
    answer = server.http.get("/branches/br-no-such-00000000", headers={"X-Request-ID": "mine-1"})
    assert answer.status_code == 404
    assert answer.json()["request_id"] == "mine-1"
    assert answer.headers["x-neon-ret-request-id"] == "mine-1"
    assert server.http.get("/branches").headers["x-neon-ret-request-id"]


def test_what_is_not_there_says_so(server: Server) -> None:
    answer = server.http.get("/branches/br-x/data-api/votes")
    assert answer.status_code == 404
    assert answer.json()["code"] == "NOT_SUPPORTED"
    assert "not supported by the local service" in answer.json()["message"]
    assert server.http.put("/branches").status_code == 405


def test_health_needs_no_key_and_says_what_runs(server: Server) -> None:
    health = httpx.get(f"http://127.0.0.1:{server.port}/healthz").json()
    assert health["status"] == "ok"
    assert health["cow"] in ("btrfs", "reflink", "copy")
    assert health["postgres"]["version"]
    assert health["postgres"]["source"] in ("wheel", "path", "pg_config", "system")
