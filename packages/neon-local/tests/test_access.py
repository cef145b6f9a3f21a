from __future__ import annotations

from urllib.parse import urlsplit

import psycopg
import pytest

from kardinal_neon_local.testing.server import Server, refused, running

pytestmark = pytest.mark.postgres


def password(uri: str) -> str:
    return urlsplit(uri).password or ""


def test_child_inherits_the_password_and_is_independent_afterwards(server: Server) -> None:
    main, branch = server.main(), server.branch("heir")
    old = server.uri(branch)
    assert password(old) == password(server.uri(main))
    answer = server.finish(server.call("POST", f"/branches/{branch}/roles/votes_owner/reset_password"))
    assert answer["role"]["password"] == password(server.uri(branch)) != password(old)
    assert "password authentication failed" in refused(old)
    assert server.sql(branch, "SELECT 1") == [(1,)]
    assert server.sql(main, "SELECT 1") == [(1,)]
    assert password(server.uri(main)) == password(old)


def test_reset_cuts_live_connections(server: Server) -> None:
    branch = server.branch("reset-password")
    with psycopg.connect(server.uri(branch), autocommit=True) as connection:
        server.finish(server.call("POST", f"/branches/{branch}/roles/votes_owner/reset_password"))
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")


def test_child_of_a_protected_parent_gets_new_passwords(server: Server) -> None:
    parent = server.branch("vault", protected=True)
    body = {"branch": {"name": "from-vault", "parent_id": parent}, "endpoints": [{"type": "read_write"}]}
    answer = server.finish(server.call("POST", "/branches", 201, **body))
    assert [o["action"] for o in answer["operations"]] == ["create_branch", "apply_config", "start_compute"]
    child = answer["branch"]["id"]
    old, new = password(server.uri(parent)), password(server.uri(child))
    assert old != new
    assert server.sql(child, "SELECT 1") == [(1,)]
    assert "password authentication failed" in refused(server.uri(child).replace(new, old))


def test_roles_are_made_on_one_branch_only(server: Server) -> None:
    branch = server.branch("roles")
    answer = server.finish(server.call("POST", f"/branches/{branch}/roles", 201, role={"name": "reporter"}))
    revealed = server.get(f"/branches/{branch}/roles/reporter/reveal_password")["password"]
    assert answer["role"]["password"] == revealed
    assert server.sql(branch, "SELECT current_user", role="reporter") == [("reporter",)]
    assert "password" not in server.get(f"/branches/{branch}/roles/reporter")["role"]
    assert [r["name"] for r in server.get(f"/branches/{server.main()}/roles")["roles"]] == ["votes_owner"]
    server.call("POST", f"/branches/{branch}/roles", 409, role={"name": "reporter"})
    server.call("POST", f"/branches/{branch}/roles", 422, role={"name": "cloud_admin"})
    server.call("POST", f"/branches/{branch}/roles", 400, role={"name": "x" * 64})


def test_dropped_role_leaves_its_tables_to_the_databases_owner(server: Server) -> None:
    branch = server.branch("dropped-role")
    server.finish(server.call("POST", f"/branches/{branch}/roles", 201, role={"name": "leaver"}))
    server.sql(branch, "GRANT CREATE ON SCHEMA public TO leaver")
    server.sql(branch, "CREATE TABLE left_behind (a int)", role="leaver")
    server.finish(server.call("DELETE", f"/branches/{branch}/roles/leaver"))
    server.call("DELETE", f"/branches/{branch}/roles/leaver", 204)
    owner = server.sql(branch, "SELECT tableowner FROM pg_tables WHERE tablename = 'left_behind'")
    assert owner == [("votes_owner",)]
    refusal = server.call("DELETE", f"/branches/{branch}/roles/votes_owner", 422)
    assert "votes" in refusal["message"]


def test_databases_are_made_renamed_and_dropped(server: Server) -> None:
    branch = server.branch("databases")
    path = f"/branches/{branch}/databases"
    wanted = {"name": "stock", "owner_name": "votes_owner"}
    made = server.finish(server.call("POST", path, 201, database=wanted))["database"]
    assert isinstance(made["id"], int)
    server.call("POST", path, 409, database=wanted)
    server.call("POST", path, 404, database={"name": "lost", "owner_name": "nobody-here"})
    server.finish(server.call("PATCH", f"{path}/stock", database={"name": "store"}))
    assert server.sql(branch, "SELECT current_database()", database="store") == [("store",)]
    assert sorted(d["name"] for d in server.get(path)["databases"]) == ["store", "votes"]
    server.finish(server.call("DELETE", f"{path}/store"))
    server.call("DELETE", f"{path}/store", 204)
    assert server.sql(branch, "SELECT count(*) FROM pg_database WHERE datname IN ('stock', 'store')") == [
        (0,)
    ]


def test_uris_are_left_out_when_there_is_a_choice(server: Server) -> None:
    parent = server.branch("two-roles", compute=False)
    server.finish(server.call("POST", f"/branches/{parent}/roles", 201, role={"name": "second"}))
    body = {"branch": {"name": "no-uris", "parent_id": parent}, "endpoints": [{"type": "read_write"}]}
    answer = server.finish(server.call("POST", "/branches", 201, **body))
    assert "connection_uris" not in answer
    assert sorted(r["name"] for r in answer["roles"]) == ["second", "votes_owner"]
    assert server.sql(answer["branch"]["id"], "SELECT current_user", role="second") == [("second",)]


def test_connection_uri_needs_database_and_role(server: Server) -> None:
    main = server.main()
    for query, status in [
        ({"database_name": "votes"}, 400),
        ({"role_name": "votes_owner"}, 400),
        ({"database_name": "nope", "role_name": "votes_owner"}, 404),
        ({"database_name": "votes", "role_name": "nope"}, 404),
        ({"database_name": "votes", "role_name": "votes_owner", "branch_id": "br-no-such-00000000"}, 404),
    ]:
        assert server.http.get("/connection_uri", params=query).status_code == status, query
    default = server.get("/connection_uri", database_name="votes", role_name="votes_owner")["uri"]
    pooled = server.get("/connection_uri", database_name="votes", role_name="votes_owner", pooled="true")[
        "uri"
    ]
    assert default == pooled == server.uri(main)
    assert default.endswith("?sslmode=prefer")


def test_role_cannot_become_superuser_nor_see_the_services_own_role(server: Server) -> None:
    branch = server.branch("attack")
    for statement in (
        "ALTER ROLE votes_owner SUPERUSER",
        "COPY (SELECT 1) TO PROGRAM 'id'",
        "SET ROLE cloud_admin",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            server.sql(branch, statement)


def test_without_stored_passwords_they_cannot_be_read_but_reset() -> None:
    with running(no_store_passwords=True) as server:
        main = server.main()
        assert (
            server.http.get(
                "/connection_uri", params={"database_name": "votes", "role_name": "votes_owner"}
            ).status_code
            == 412
        )
        server.call("GET", f"/branches/{main}/roles/votes_owner/reveal_password", 412)
        answer = server.finish(server.call("POST", f"/branches/{main}/roles/votes_owner/reset_password"))
        endpoint = server.get(f"/branches/{main}/endpoints")["endpoints"][0]
        with psycopg.connect(
            host=endpoint["host"],
            port=endpoint["port"],
            dbname="votes",
            user="votes_owner",
            password=answer["role"]["password"],
        ) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
        assert answer["role"]["password"].encode() not in (server.data / "state.db").read_bytes()
