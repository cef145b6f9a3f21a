"""The real Pulumi engine over `PostgresBranch`, the provider process and a real PostgreSQL server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pulumi.dynamic.dynamic import serialize_provider

from kardinal_infra.databases.postgres.provider import PostgresBranchProvider
from tests.databases.backends import query
from tests.databases.server import ADMIN_PASSWORD, PostgresServer
from tests.engine import BranchStack, engine_project

NAME = "kardinal/voting/engine/votes"


def test_the_provider_is_stored_as_a_reference_that_never_changes() -> None:
    kind = PostgresBranchProvider
    assert f"{kind.__module__}.{kind.__qualname__}" == (
        "kardinal_infra.databases.postgres.provider.PostgresBranchProvider"
    )
    stored = serialize_provider(PostgresBranchProvider())
    assert isinstance(stored, str)  # not secret
    assert len(stored) < 150  # a reference, not the code


@pytest.fixture
def stack(server: PostgresServer, tmp_path: Path) -> BranchStack:
    request = {
        "name": NAME, "project": server.address, "database": "votes", "role": "votes_owner", "ttl": "24h",
    }  # fmt: skip
    made = BranchStack(engine_project(tmp_path, ""), "postgres", request)
    made.ask()
    return made


@pytest.mark.engine
@pytest.mark.postgres
def test_a_stack_lives_and_leaves_nothing_and_stores_no_secret(
    stack: BranchStack, server: PostgresServer
) -> None:
    before = server.databases(), server.roles()
    uri = stack.environment.pop("KARDINAL_POSTGRES_URI")
    code, output = stack.attempt("up", "--yes", "--skip-preview")
    assert code != 0
    assert "no URI of a PostgreSQL administrator: set KARDINAL_POSTGRES_URI" in output
    assert "Traceback" not in output

    stack.pulumi("config", "set", "--secret", "postgresUri", uri)
    outputs = stack.up()
    assert query(outputs["uri"], "SELECT count(*) FROM vote") == [(300,)]
    assert outputs["branch"] in server.databases()
    marks = server.sql(
        f"SELECT shobj_description(oid, 'pg_authid') FROM pg_roles WHERE rolname = '{outputs['branch']}'"
    )
    assert json.loads(marks[0][0])["annotations"] == {"kardinal-stack": "organization/kardinal/dev"}
    stack.pulumi("up", "--yes", "--skip-preview", "--refresh", "--expect-no-changes")

    server.sql(f"DROP DATABASE {outputs['branch']} WITH (FORCE)")
    stack.pulumi("refresh", "--yes", "--skip-preview")
    outputs = stack.up()
    assert query(outputs["uri"], "SELECT count(*) FROM vote") == [(300,)]

    shown = stack.pulumi("stack", "output", "--json") + stack.pulumi("stack", "export")
    stored = stack.everything_stored()
    assert outputs["branch"] in stored
    password = outputs["uri"].partition("@")[0].rpartition(":")[2]
    for secret in (password, ADMIN_PASSWORD, uri):
        assert secret not in shown + stored
    stack.pulumi("destroy", "--yes", "--skip-preview")
    assert (server.databases(), server.roles()) == before


@pytest.mark.engine
@pytest.mark.postgres
def test_mistakes_are_shown_at_preview_all_at_once(stack: BranchStack) -> None:
    stack.ask(project="not an address", parent_lsn="0/1", ttl="99w", name="votes")
    code, output = stack.attempt("preview")
    assert code != 0
    for part in (
        "host or host:port",
        "parent_lsn: the branching backend postgres cannot",
        "is not a life time",
        "choose another",
    ):
        assert part in output
