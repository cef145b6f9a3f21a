from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from tests.neon_local.server import PROJECT, Server, refused

pytestmark = pytest.mark.postgres


def votes(server: Server, branch: str) -> int:
    return int(server.sql(branch, "SELECT count(*) FROM vote")[0][0])


def test_branch_has_the_parents_data_and_is_isolated_both_ways(server: Server) -> None:
    main, branch = server.main(), server.branch("isolated")
    before = votes(server, main)
    assert before >= 300
    assert votes(server, branch) == before
    server.sql(branch, "INSERT INTO vote (choice) SELECT 'fish' FROM generate_series(1, 7)")
    server.sql(main, "INSERT INTO vote (choice) VALUES ('dog')")
    assert votes(server, branch) == before + 7
    assert votes(server, main) == before + 1
    assert server.sql(main, "SELECT count(*) FROM vote WHERE choice = 'fish'") == [(0,)]


def test_branch_is_a_copy_of_one_moment_while_the_parent_is_written_to(server: Server) -> None:
    main = server.main()
    server.sql(main, "CREATE TABLE pair (a int, b int)")
    body = {"branch": {"name": "under-load"}, "endpoints": [{"type": "read_write"}]}
    answer = server.call("POST", "/branches", 201, **body)
    with psycopg.connect(server.uri(main), autocommit=True) as connection:
        for number in range(400):
            with connection.transaction():
                connection.execute("INSERT INTO pair (a) VALUES (%s)", (number,))
                connection.execute("UPDATE pair SET b = a WHERE a = %s", (number,))
    branch = server.finish(answer)["branch"]["id"]
    rows = server.sql(branch, "SELECT count(*), count(b), coalesce(max(a) + 1, 0) FROM pair")[0]
    assert rows[0] == rows[1] == rows[2]


def test_create_answers_before_the_work_is_done_and_connects_only_after_it(server: Server) -> None:
    answer = server.call(
        "POST", "/branches", 201, branch={"name": "early"}, endpoints=[{"type": "read_write"}]
    )
    assert answer["branch"]["current_state"] == "init"
    assert answer["endpoints"][0]["current_state"] == "init"
    assert [o["action"] for o in answer["operations"]] == ["create_branch", "start_compute"]
    assert [o["status"] for o in answer["operations"]] == ["running", "scheduling"]
    uri = answer["connection_uris"][0]["connection_uri"]
    assert uri == server.uri(answer["branch"]["id"])
    server.finish(answer)
    seen = server.get(f"/branches/{answer['branch']['id']}")["branch"]
    assert seen["current_state"] == "ready"
    assert "pending_state" not in seen
    assert seen["parent_id"] == server.main()
    assert seen["parent_lsn"].startswith("0/")
    with psycopg.connect(uri) as connection:
        assert connection.execute("SELECT current_user").fetchone() == ("votes_owner",)


def test_second_write_meets_423_while_the_first_runs(server: Server) -> None:
    answer = server.call("POST", "/branches", 201, branch={"name": "first"})
    refusal = server.http.post("/branches", json={"branch": {"name": "second"}})
    assert refusal.status_code == 423
    assert "already has running conflicting operations" in refusal.json()["message"]
    server.finish(answer)
    assert not [b for b in server.get("/branches")["branches"] if b["name"] == "second"]
    assert server.branch("second", compute=False)


def test_duplicate_name_is_409(server: Server) -> None:
    server.branch("twin", compute=False)
    refusal = server.call("POST", "/branches", 409, branch={"name": "twin"})
    assert refusal["message"] == 'branch already exists; branch_name:"twin"'
    assert refusal["code"] == ""


def test_branch_without_a_name_is_named_by_its_id(server: Server) -> None:
    answer = server.finish(server.call("POST", "/branches", 201))
    assert answer["branch"]["name"] == answer["branch"]["id"]
    assert answer["endpoints"] == []
    assert "connection_uris" not in answer


def test_branch_without_compute_has_no_uri_until_it_gets_an_endpoint(server: Server) -> None:
    branch = server.branch("bare", compute=False)
    query = {"branch_id": branch, "database_name": "votes", "role_name": "votes_owner"}
    assert server.http.get("/connection_uri", params=query).status_code == 404
    endpoint = {"branch_id": branch, "type": "read_write"}
    server.finish(server.call("POST", "/endpoints", 201, endpoint=endpoint))
    assert votes(server, branch) >= 300
    server.call("POST", "/endpoints", 409, endpoint=endpoint)


def test_annotations_are_set_at_creation_and_shown(server: Server) -> None:
    owner = {"kardinal-stack": "dev", "kardinal-flow": "a1"}
    branch = server.branch("annotated", compute=False, annotations=owner)
    assert server.get(f"/branches/{branch}")["annotation"]["value"] == owner
    listed = server.get("/branches", search="annotated")["annotations"]
    assert listed[branch]["value"] == owner
    assert listed[branch]["object"] == {"type": "console/branch", "id": branch}


def test_delete_is_200_then_204_and_the_endpoint_is_gone(server: Server) -> None:
    branch = server.branch("doomed")
    uri = server.uri(branch)
    answer = server.finish(server.call("DELETE", f"/branches/{branch}"))
    assert [o["action"] for o in answer["operations"]] == ["suspend_compute", "delete_timeline"]
    assert server.call("DELETE", f"/branches/{branch}", 204) == {}
    server.call("GET", f"/branches/{branch}", 404)
    server.call("DELETE", "/branches/br-never-was-00000000", 204)
    assert "refused" in refused(uri)
    assert branch not in server.postmasters()


def test_delete_cuts_live_connections(server: Server) -> None:
    branch = server.branch("cut")
    with psycopg.connect(server.uri(branch), autocommit=True) as connection:
        server.finish(server.call("DELETE", f"/branches/{branch}"))
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")


def test_hard_delete_leaves_no_file(server: Server) -> None:
    branch = server.branch("hard")
    assert (server.data / "instances" / branch).exists()
    server.finish(server.call("DELETE", f"/branches/{branch}?hard_delete=true"))
    assert not (server.data / "instances" / branch).exists()
    server.call("POST", f"/branches/{branch}/recover", 404)


def test_deleted_branch_can_be_recovered_with_the_same_uri(server: Server) -> None:
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    branch = server.branch("regret", expires_at=later)
    server.sql(branch, "INSERT INTO vote (choice) VALUES ('kept')")
    uri = server.uri(branch)
    server.finish(server.call("DELETE", f"/branches/{branch}"))
    deleted = server.get("/branches", include_deleted="true", search=branch)["branches"][0]
    assert deleted["recovery"]["deletion_method"] == "user"
    recovered = server.call("POST", f"/branches/{branch}/recover")["branch"]
    assert "expires_at" not in recovered
    with psycopg.connect(uri) as connection:
        row = connection.execute("SELECT count(*) FROM vote WHERE choice = 'kept'").fetchone()
    assert row == (1,)


def test_recovery_is_refused_when_the_name_was_given_away(server: Server) -> None:
    branch = server.branch("reused", compute=False)
    server.finish(server.call("DELETE", f"/branches/{branch}"))
    server.branch("reused", compute=False)
    assert "reused" in server.call("POST", f"/branches/{branch}/recover", 409)["message"]


def test_delete_of_a_parent_names_the_children(server: Server) -> None:
    parent = server.branch("parent", compute=False)
    child = server.branch("child", compute=False, parent_id=parent)
    refusal = server.call("DELETE", f"/branches/{parent}", 422)
    assert child in refusal["message"]
    server.finish(server.call("DELETE", f"/branches/{child}"))
    server.finish(server.call("DELETE", f"/branches/{parent}"))


def test_default_and_protected_branches_are_not_deleted(server: Server) -> None:
    assert "default" in server.call("DELETE", f"/branches/{server.main()}", 422)["message"]
    branch = server.branch("guarded", compute=False, protected=True)
    assert "protected" in server.call("DELETE", f"/branches/{branch}", 422)["message"]
    server.call("PATCH", f"/branches/{branch}", branch={"protected": False})
    server.finish(server.call("DELETE", f"/branches/{branch}"))


def test_grandchild_of_a_sleeping_branch(server: Server) -> None:
    parent = server.branch("sleeping")
    server.sql(parent, "INSERT INTO vote (choice) VALUES ('from-the-parent')")
    endpoint = server.get(f"/branches/{parent}/endpoints")["endpoints"][0]["id"]
    server.finish(server.call("POST", f"/endpoints/{endpoint}/suspend"))
    child = server.branch("grandchild", parent_id=parent)
    assert server.sql(child, "SELECT count(*) FROM vote WHERE choice = 'from-the-parent'") == [(1,)]


def test_rename_and_protect(server: Server) -> None:
    branch = server.branch("before", compute=False)
    server.branch("other", compute=False)
    answer = server.call("PATCH", f"/branches/{branch}", branch={"name": "after", "protected": True})
    assert answer["operations"] == []
    assert server.get(f"/branches/{branch}")["branch"]["name"] == "after"
    assert server.get(f"/branches/{branch}")["branch"]["protected"] is True
    server.call("PATCH", f"/branches/{branch}", 409, branch={"name": "other"})
    server.call("PATCH", f"/branches/{branch}", 400)


def test_restore_takes_the_parents_data_and_keeps_the_address(server: Server) -> None:
    branch = server.branch("reset")
    uri = server.uri(branch)
    server.sql(branch, "DROP TABLE vote")
    main = server.main()
    server.finish(server.call("POST", f"/branches/{branch}/restore", source_branch_id=main))
    assert server.uri(branch) == uri
    assert votes(server, branch) == votes(server, main)
    assert server.get(f"/branches/{branch}")["branch"]["last_reset_at"]
    assert len(list((server.data / "instances").glob(f"{branch}*"))) == 1


def test_restore_can_preserve_the_old_state_and_moves_the_children_to_it(server: Server) -> None:
    branch = server.branch("restored", compute=False)
    child = server.branch("child-of-restored", compute=False, parent_id=branch)
    main = server.main()
    refusal = server.call("POST", f"/branches/{branch}/restore", 422, source_branch_id=main)
    assert "preserve_under_name" in refusal["message"]
    wanted: dict[str, Any] = {"source_branch_id": main, "preserve_under_name": "old-state"}
    server.finish(server.call("POST", f"/branches/{branch}/restore", **wanted))
    preserved = server.get("/branches", search="old-state")["branches"][0]
    assert server.get(f"/branches/{child}")["branch"]["parent_id"] == preserved["id"]
    server.finish(server.call("DELETE", f"/branches/{child}"))
    server.finish(server.call("DELETE", f"/branches/{preserved['id']}"))


def test_schema_and_its_comparison_with_the_parent(server: Server) -> None:
    branch = server.branch("migrated")
    assert server.get(f"/branches/{branch}/compare_schema", db_name="votes")["diff"] == ""
    server.sql(branch, "ALTER TABLE vote ADD COLUMN weight int")
    assert "weight integer" in server.get(f"/branches/{branch}/schema", db_name="votes")["sql"]
    difference = server.get(f"/branches/{branch}/compare_schema", db_name="votes")["diff"].splitlines()
    assert [line for line in difference if line.startswith("+") and "weight" in line]
    assert not [line for line in difference if "restrict" in line]


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"branch": {"parent_id": "br-never-was-00000000"}}, 404, "branch not found"),
        ({"branch": {"parent_lsn": "0/1", "parent_timestamp": "2026-01-01T00:00:00Z"}}, 400, "together"),
        ({"branch": {"parent_lsn": "0/1"}}, 422, "history"),
        ({"branch": {"init_source": "elsewhere"}}, 400, "init_source"),
        ({"branch": {"name": "x" * 257}}, 400, "branch.name"),
        ({"branch": {"name": "late", "expires_at": "2001-01-01T00:00:00Z"}}, 422, "future"),
        ({"branch": {"name": "never", "expires_at": "2999-01-01T00:00:00Z"}}, 422, "30 days"),
        ({"branch": {"name": "zone", "expires_at": "2999-01-01T00:00:00"}}, 400, "branch.expires_at"),
        ({"endpoints": [{"type": "read_only"}]}, 422, "read_only"),
        ({"annotation_value": {"a": {"b": "c"}}}, 400, "annotation_value.a"),
    ],
)
def test_bad_requests_name_the_problem_and_make_nothing(
    server: Server, body: dict[str, object], status: int, words: str
) -> None:
    before = server.get("/branches/count")["count"]
    assert words in server.call("POST", "/branches", status, **body)["message"]
    assert server.get("/branches/count")["count"] == before


def test_project_is_found_by_id_and_by_search(server: Server) -> None:
    root = f"http://127.0.0.1:{server.port}/api/v2/projects"
    assert server.http.get(f"{root}/{PROJECT}").json()["project"]["id"] == PROJECT
    projects = server.http.get(root, params={"search": PROJECT[:3]}).json()
    assert [p["id"] for p in projects["projects"]] == [PROJECT]
