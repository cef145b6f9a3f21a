from __future__ import annotations

import copy
from typing import Any

import pytest

from kardinal_neon_local.testing.contract import contract
from kardinal_neon_local.testing.server import PROJECT, Server

pytestmark = pytest.mark.postgres


def test_the_check_itself_finds_faults(server: Server) -> None:
    """Every other test's calls are checked too, by the client's event hook; here that this can fail."""
    path = f"/projects/{PROJECT}/branches"
    good = server.get("/branches")
    assert contract().problems("GET", path, None, 200, good) == []
    bad: dict[str, Any] = copy.deepcopy(good)
    del bad["branches"][0]["created_at"]
    bad["annotations"] = []
    assert len(contract().problems("GET", path, None, 200, bad)) == 2
    assert contract().problems("GET", path, None, 202, good)
    assert contract().problems("POST", path, {"branch": {"name": 7}}, 201, {}) != []
    assert contract().problems("GET", path, None, 404, {"message": "no code"}) != []
    assert contract().problems("GET", "/projects/x/nothing", None, 200, {})


def test_schema_as_json(server: Server) -> None:
    branch = server.branch("json")
    server.sql(
        branch,
        "CREATE TABLE item (a int, b text, PRIMARY KEY (a, b), c int GENERATED ALWAYS AS (a + 1) STORED)",
    )
    server.sql(branch, "CREATE TABLE part (x int, y text, FOREIGN KEY (x, y) REFERENCES item)")
    tables = server.get(f"/branches/{branch}/schema", db_name="votes", format="json")["json"]["tables"]
    item, part = (next(t for t in tables if t["name"] == name) for name in ("item", "part"))
    assert [(c["name"], c["type"], c["nullable"], c["generated"]) for c in item["columns"]] == [
        ("a", "integer", False, False), ("b", "text", False, False), ("c", "integer", True, True),
    ]  # fmt: skip
    assert [k["columns"] for k in item["constraints"] if k["type"] == "primary_key"] == [["a", "b"]]
    assert part["constraints"][0]["referenced_table"] == {
        "schema": "public",
        "table": "item",
        "columns": ["a", "b"],
    }


def test_account_and_regions_for_neons_tools(server: Server) -> None:
    root = f"http://127.0.0.1:{server.port}/api/v2"
    assert server.http.get(f"{root}/users/me").json()["id"] == "local"
    assert server.http.get(f"{root}/users/me/organizations").json() == {"organizations": []}
    assert server.http.get(f"{root}/regions").json()["regions"][0]["region_id"] == "local"
    assert server.http.get(f"{root}/projects/shared").json() == {"projects": []}


def test_schema_only_branch_is_a_root_without_data_and_with_the_roles(server: Server) -> None:
    parent = server.branch("full")
    server.finish(server.call("POST", f"/branches/{parent}/roles", 201, role={"name": "auditor"}))
    server.sql(parent, "CREATE TABLE bill (id int PRIMARY KEY)")
    server.sql(parent, "INSERT INTO bill VALUES (1)")
    branch = server.branch("empty", parent_id=parent, init_source="schema-only")
    seen = server.get(f"/branches/{branch}")["branch"]
    assert "parent_id" not in seen
    assert seen["init_source"] == "schema-only"
    assert server.sql(branch, "SELECT count(*) FROM bill") == [(0,)]
    assert server.sql(branch, "SELECT current_user", role="auditor") == [("auditor",)]
    difference = server.get(f"/branches/{branch}/compare_schema", db_name="votes", base_branch_id=parent)[
        "diff"
    ]
    assert difference == ""
