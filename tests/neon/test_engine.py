"""The real Pulumi engine over `NeonBranch`, the provider process, the local Neon service and PostgreSQL."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import psutil
import psycopg
import pytest

from kardinal_neon_local.testing.server import KEY, PROJECT, Server
from tests.engine import BranchStack, engine_project
from tests.neon.relay import Relay, relay_to

pytestmark = [pytest.mark.engine, pytest.mark.postgres]

WRITES = ("POST", "PATCH", "DELETE", "PUT")
NAME = "kardinal/voting/engine/votes"
REQUEST: dict[str, Any] = {
    "name": NAME,
    "project": PROJECT,
    "database": "votes",
    "role": "votes_owner",
    "parent": "main",
    "ttl": "24h",
    "annotations": {"kardinal-flow": "engine"},
}


@dataclass
class Stack(BranchStack):
    """A stack on the local Neon service.

    Attributes:
        service: The service.
        relay: Counts what the provider asks of it.
    """

    service: Server
    relay: Relay

    def secret_outputs(self) -> set[str]:
        shown = json.loads(self.pulumi("stack", "output", "--json"))
        return {name for name, value in shown.items() if value == "[secret]"}

    def writes(self) -> list[str]:
        return [request for request in self.relay.requests if request.startswith(WRITES)]

    def names(self) -> list[str]:
        return sorted(branch["name"] for branch in self.service.get("/branches")["branches"])


@pytest.fixture
def stack(service: Server, tmp_path: Path) -> Iterator[Stack]:
    with relay_to(f"http://127.0.0.1:{service.port}") as relay:
        project = engine_project(tmp_path, "", NEON_API_KEY=KEY, NEON_API_HOST=relay.url)
        made = Stack(project, "neon", REQUEST, service, relay)
        made.ask()
        yield made


def votes(uri: str) -> int:
    with psycopg.connect(uri) as connection:
        row = connection.execute("SELECT count(*) FROM vote").fetchone()
    assert row is not None
    return int(row[0])


def test_a_stack_lives_and_leaves_nothing(stack: Stack) -> None:
    before = stack.names()
    stack.pulumi("preview")
    assert stack.relay.requests == []

    outputs = stack.up()
    assert stack.secret_outputs() == {"uri"}
    assert votes(outputs["uri"]) == 300
    made = next(b for b in stack.service.get("/branches")["branches"] if b["name"] == NAME)
    marks = stack.service.get(f"/branches/{made['id']}")["annotation"]["value"]
    assert marks == {"kardinal-flow": "engine", "kardinal-stack": "organization/kardinal/dev"}

    stack.relay.requests.clear()
    stack.up("--expect-no-changes")
    stack.pulumi("preview", "--expect-no-changes")
    stack.pulumi("refresh", "--yes", "--skip-preview", "--expect-no-changes")
    assert stack.secret_outputs() == {"uri"}
    assert stack.writes() == []

    stack.ask(name=f"{NAME}2", ttl="48h")
    assert stack.up() == outputs
    assert f"{NAME}2" in stack.names()
    stack.up("--expect-no-changes")

    stack.destroy()
    assert stack.names() == before


def test_no_password_is_stored_in_clear(stack: Stack) -> None:
    uri = stack.up()["uri"]
    stack.pulumi("refresh", "--yes", "--skip-preview")
    stack.ask(ttl="48h")
    stack.up()
    exported = stack.pulumi("stack", "export")
    shown = stack.pulumi("stack", "--show-urns")
    stack.destroy()
    password = unquote(urlsplit(uri).password or "")
    assert len(password) > 8
    stored = stack.everything_stored()
    assert NAME in stored  # the search looks at the right files
    assert NAME in exported
    assert password not in stored + exported + shown
    assert KEY not in stored + exported + shown


def test_everything_that_can_be_asked_for_is_kept_and_its_passwords_are_secret(stack: Stack) -> None:
    full = {
        "init": "masked",
        "masking_rules": [{"table": "vote", "column": "choice", "value": "masked"}],
        "compute": {"max_units": 2, "suspend_after": "10m"},
        "databases": {"audit": "auditor"},
        "roles": ["auditor"],
    }
    stack.write(
        f"""
        import pulumi
        from kardinal_infra import NeonBranch

        made = NeonBranch("votes", { ({**REQUEST, **full})!r})
        pulumi.export("uri", made.uri)
        pulumi.export("auditor", made.role_passwords["auditor"])
        """
    )
    stack.pulumi("preview")
    assert stack.relay.requests == []
    outputs = stack.up()
    assert stack.secret_outputs() == {"uri", "auditor"}
    assert len(outputs["auditor"]) > 8
    with psycopg.connect(outputs["uri"]) as connection:
        assert connection.execute("SELECT DISTINCT choice FROM vote").fetchall() == [("masked",)]
    stack.up("--expect-no-changes")
    stack.pulumi("refresh", "--yes", "--skip-preview", "--expect-no-changes")
    assert outputs["auditor"] not in stack.everything_stored() + stack.pulumi("stack", "export")
    assert not [request for request in stack.writes() if request.startswith("DELETE")]
    stack.destroy()
    assert NAME not in stack.names()


def test_a_branch_deleted_by_hand_is_made_again_after_a_refresh(stack: Stack) -> None:
    first = stack.up()["branch"]
    stack.service.finish(stack.service.call("DELETE", f"/branches/{first}"))
    stack.pulumi("refresh", "--yes", "--skip-preview")
    second = stack.up()["branch"]
    assert second != first
    stack.service.finish(stack.service.call("DELETE", f"/branches/{second}"))
    stack.destroy()
    assert NAME not in stack.names()


def test_a_change_of_parent_replaces_the_branch_under_the_same_name(stack: Stack) -> None:
    staging = stack.service.branch("staging")
    first = stack.up()["branch"]
    stack.ask(parent="staging")
    second = stack.up()["branch"]
    assert second != first
    assert stack.names().count(NAME) == 1
    assert stack.service.get(f"/branches/{second}")["branch"]["parent_id"] == staging
    stack.destroy()
    stack.service.finish(stack.service.call("DELETE", f"/branches/{staging}"))


def test_a_missing_key_stops_an_update_only_and_in_one_line(stack: Stack) -> None:
    del stack.environment["NEON_API_KEY"]
    stack.pulumi("preview")
    code, output = stack.attempt("up", "--yes", "--skip-preview")
    assert code != 0
    assert "NeonKeyError: no Neon API key: set NEON_API_KEY or `pulumi config set" in output
    assert "Traceback" not in output
    assert stack.relay.requests == []


def test_a_stack_made_with_an_old_key_is_destroyed_with_the_new_one(stack: Stack) -> None:
    del stack.environment["NEON_API_KEY"]
    stack.pulumi("config", "set", "--secret", "neonApiKey", "made-with-this-key")
    stack.environment["NEON_API_KEY"] = KEY
    stack.up()
    # The engine gives a destroy the key of the last up.
    del stack.environment["NEON_API_KEY"]
    code, output = stack.attempt("destroy", "--yes", "--skip-preview")
    assert code != 0
    assert "HTTP 401" in output
    assert "NEON_API_KEY" in output
    assert "Traceback" not in output
    assert "made-with-this-key" not in output
    stack.environment["NEON_API_KEY"] = KEY
    stack.destroy()
    assert NAME not in stack.names()


def test_mistakes_are_shown_at_preview_all_at_once(stack: Stack) -> None:
    stack.write(
        """
        from kardinal_infra import NeonBranch

        NeonBranch("votes", {"project": "p", "name": "0/1A", "database": "votes", "role": "", "ttl": "99d"})
        """
    )
    code, output = stack.attempt("preview")
    assert code != 0
    for part in ("log position", "role", "at most 30d"):
        assert part in output
    assert stack.relay.requests == []


def test_an_existing_branch_is_read_and_not_deleted(stack: Stack) -> None:
    mine = stack.service.branch("mine")
    stack.write(
        f"""
        import pulumi
        from kardinal_infra import NeonBranch

        found = NeonBranch.get("main", "{PROJECT}/{mine}", database="votes", role="votes_owner")
        pulumi.export("name", found.branch_name)
        pulumi.export("uri", found.uri)
        """
    )
    outputs = stack.up()
    assert outputs["name"] == "mine"
    assert stack.secret_outputs() == {"uri"}
    assert votes(outputs["uri"]) == 300
    stack.destroy()
    assert "mine" in stack.names()
    assert stack.writes() == []
    stack.service.finish(stack.service.call("DELETE", f"/branches/{mine}"))


def test_an_import_is_refused_with_the_way_out(stack: Stack) -> None:
    stack.write(
        """
        import pulumi
        from kardinal_infra import NeonBranch

        args = {"project": "p", "name": "x", "database": "votes", "role": "votes_owner"}
        NeonBranch("votes", args, pulumi.ResourceOptions(import_="a/b"))
        """
    )
    code, output = stack.attempt("preview")
    assert code != 0
    assert "NeonBranch.get" in output
    assert "Traceback" not in output


def test_a_killed_engine_leaves_no_provider_behind_and_the_next_update_converges(stack: Stack) -> None:
    before = stack.names()
    engine: list[psutil.Process] = []
    family: list[psutil.Process] = []

    def kill_engine_after_the_create(number: int, moment: str) -> None:
        if not family and moment == "after" and stack.relay.requests[number - 1].startswith("POST"):
            # The language host looks after itself: it asks for the engine every five minutes.
            family.extend(
                child
                for child in engine[0].children(recursive=True)
                if {"pulumi.dynamic", "pulumi-resource-pulumi-python"} & set(map(_last, child.cmdline()))
            )
            engine[0].kill()

    stack.relay.cut_in = kill_engine_after_the_create
    with subprocess.Popen(
        ["pulumi", "up", "--yes", "--skip-preview", "--non-interactive"],
        cwd=stack.project.folder,
        env=stack.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        engine.append(psutil.Process(process.pid))
        assert process.wait(120) != 0
    assert len(family) == 2  # the launcher and the provider
    assert psutil.wait_procs(family, timeout=60)[1] == []
    assert NAME in stack.names()

    stack.relay.cut_in = lambda number, moment: None
    stack.pulumi("cancel", "--yes")
    assert votes(stack.up()["uri"]) == 300
    assert stack.names() == sorted([*before, NAME])
    stack.destroy()
    assert stack.names() == before


def _last(argument: str) -> str:
    return argument.rpartition("/")[2]
