"""The real Pulumi engine over `PostgresBranch`, the provider process and a real PostgreSQL server."""

from __future__ import annotations

import json
import os
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pulumi.dynamic.dynamic import serialize_provider

from kardinal_infra.databases.postgres.provider import PostgresBranchProvider
from lab.demo_project import run
from lab.toolchain import ensure_pulumi
from tests.databases.backends import query
from tests.databases.server import ADMIN_PASSWORD, PostgresServer

NAME = "kardinal/voting/engine/votes"
PROGRAM = """
    import json
    import pulumi
    from kardinal_infra.databases.branching import BranchRequest, backend

    branch = backend("postgres").declare("votes", BranchRequest(**json.loads('REQUEST')))
    pulumi.export("uri", branch.uri)
    pulumi.export("branch", branch.branch_id)
"""


def test_the_provider_is_stored_as_a_reference_that_never_changes() -> None:
    kind = PostgresBranchProvider
    assert f"{kind.__module__}.{kind.__qualname__}" == (
        "kardinal_infra.databases.postgres.provider.PostgresBranchProvider"
    )
    stored = serialize_provider(PostgresBranchProvider())
    assert isinstance(stored, str)  # not secret
    assert len(stored) < 150  # a reference, not the code


@dataclass
class Stack:
    """A Pulumi project with one stack, worked on by the real command line."""

    server: PostgresServer
    folder: Path
    environment: dict[str, str]

    def ask(self, **changes: Any) -> None:
        request = {
            "name": NAME, "project": self.server.address, "database": "votes", "role": "votes_owner",
            "ttl": "24h",
        }  # fmt: skip
        text = PROGRAM.replace("REQUEST", json.dumps({**request, **changes}))
        (self.folder / "__main__.py").write_text(textwrap.dedent(text))

    def attempt(self, *arguments: str) -> tuple[int, str]:
        ran = run(["pulumi", *arguments, "--non-interactive"], self.folder, self.environment)
        return ran.code, ran.output

    def pulumi(self, *arguments: str) -> str:
        code, output = self.attempt(*arguments)
        assert code == 0, output
        return output

    def up(self, *arguments: str) -> dict[str, Any]:
        self.pulumi("up", "--yes", "--skip-preview", *arguments)
        return json.loads(self.pulumi("stack", "output", "--json", "--show-secrets"))


@pytest.fixture
def stack(server: PostgresServer, tmp_path: Path) -> Stack:
    (tmp_path / "state").mkdir()
    (tmp_path / "Pulumi.yaml").write_text("name: kardinal\nruntime: python\n")
    folders = [str(Path(sys.executable).parent), str(ensure_pulumi()), os.environ["PATH"]]
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PULUMI_")}
    environment = {
        **inherited,
        "PATH": os.pathsep.join(folders),
        "PULUMI_BACKEND_URL": f"file://{tmp_path / 'state'}",
        "PULUMI_CONFIG_PASSPHRASE": "engine-test",
        "PULUMI_HOME": str(tmp_path / "home"),
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
    }
    made = Stack(server, tmp_path, environment)
    made.pulumi("stack", "init", "dev")
    made.ask()
    return made


@pytest.mark.engine
@pytest.mark.postgres
def test_a_stack_lives_and_leaves_nothing_and_stores_no_secret(stack: Stack) -> None:
    server = stack.server
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
    stored = "\n".join(
        path.read_text(errors="replace") for path in (stack.folder / "state").rglob("*") if path.is_file()
    )
    assert outputs["branch"] in stored
    password = outputs["uri"].partition("@")[0].rpartition(":")[2]
    for secret in (password, ADMIN_PASSWORD, uri):
        assert secret not in shown + stored
    stack.pulumi("destroy", "--yes", "--skip-preview")
    assert (server.databases(), server.roles()) == before


@pytest.mark.engine
@pytest.mark.postgres
def test_mistakes_are_shown_at_preview_all_at_once(stack: Stack) -> None:
    stack.ask(project="not an address", parent_lsn="0/1", ttl="99d", name="votes")
    code, output = stack.attempt("preview")
    assert code != 0
    for part in (
        "host or host:port",
        "parent_lsn: the branching backend postgres cannot",
        "at most 30d",
        "choose another",
    ):
        assert part in output
