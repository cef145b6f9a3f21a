"""The real Pulumi engine over `NeonBranch`, the provider process, the local Neon service and PostgreSQL."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import psycopg
import pulumi
import pytest
from pulumi import automation as auto

from kardinal_infra.databases.branching import BranchRequest, backend
from kardinal_infra.databases.neon.resource import NeonBranch
from lab.toolchain import ensure_pulumi
from tests.neon.relay import Relay, relay_to
from tests.neon_local.server import KEY, PROJECT, Server

pytestmark = [
    pytest.mark.engine,
    pytest.mark.postgres,
    # The Automation API leaves the closing of its gRPC server's sockets to the garbage collector.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

WRITES = ("POST", "PATCH", "DELETE", "PUT")
NAME = "kardinal/voting/engine/votes"


@dataclass
class World:
    """A stack's surroundings.

    Attributes:
        service: The Neon service.
        relay: Counts what the provider asks of it.
        folder: State backend.
        settings: Environment of the engine.
    """

    service: Server
    relay: Relay
    folder: Path
    settings: dict[str, str]

    def stack(self, program: Callable[[], None]) -> auto.Stack:
        return auto.create_or_select_stack(
            stack_name="dev",
            project_name="kardinal",
            program=program,
            opts=auto.LocalWorkspaceOptions(env_vars=self.settings, work_dir=str(self.folder)),
        )

    def writes(self) -> list[str]:
        return [request for request in self.relay.requests if request.startswith(WRITES)]

    def names(self) -> list[str]:
        return sorted(branch["name"] for branch in self.service.get("/branches")["branches"])

    def everything_stored(self) -> str:
        stored = self.folder / "state"
        return "\n".join(path.read_text(errors="replace") for path in stored.rglob("*") if path.is_file())


@pytest.fixture
def world(service: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    (tmp_path / "state").mkdir()
    path = os.pathsep.join([str(Path(sys.executable).parent), str(ensure_pulumi()), os.environ["PATH"]])
    monkeypatch.setenv("PATH", path)  # the Automation API looks for `pulumi` itself
    for name in [name for name in os.environ if name.startswith("NEON_")]:
        monkeypatch.delenv(name)
    with relay_to(f"http://127.0.0.1:{service.port}") as relay:
        yield World(
            service,
            relay,
            tmp_path,
            {
                "PATH": path,
                "PULUMI_BACKEND_URL": f"file://{tmp_path / 'state'}",
                "PULUMI_CONFIG_PASSPHRASE": "engine-test",
                "PULUMI_HOME": str(tmp_path / "home"),
                "PULUMI_SKIP_UPDATE_CHECK": "true",
                "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
                "NEON_API_KEY": KEY,
                "NEON_API_HOST": relay.url,
            },
        )


def program(**changes: Any) -> Callable[[], None]:
    """A program with one branch, asked for as a flow does."""

    def declare() -> None:
        request = BranchRequest(
            **{
                "name": NAME,
                "project": PROJECT,
                "database": "votes",
                "role": "votes_owner",
                "parent": "main",
                "ttl": "24h",
                "annotations": {"kardinal-flow": "engine"},
                **changes,
            }
        )
        branch = backend("neon").declare("votes", request)
        pulumi.export("uri", branch.uri)
        pulumi.export("branch", branch.branch_id)
        pulumi.export("expires", branch.expires_at)

    return declare


def votes(uri: str) -> int:
    with psycopg.connect(uri) as connection:
        row = connection.execute("SELECT count(*) FROM vote").fetchone()
    assert row is not None
    return int(row[0])


def test_a_stack_lives_and_leaves_nothing(world: World) -> None:
    before = world.names()
    stack = world.stack(program())
    stack.preview()
    assert world.relay.requests == []

    outputs = stack.up().outputs
    assert outputs["uri"].secret
    assert votes(outputs["uri"].value) == 300
    assert NAME in world.names()
    made = next(b for b in world.service.get("/branches")["branches"] if b["name"] == NAME)
    marks = world.service.get(f"/branches/{made['id']}")["annotation"]["value"]
    assert marks == {"kardinal-flow": "engine", "kardinal-stack": "organization/kardinal/dev"}

    world.relay.requests.clear()
    stack.up(expect_no_changes=True)
    stack.preview(expect_no_changes=True)
    stack.refresh(expect_no_changes=True)
    assert world.writes() == []

    changed = world.stack(program(name=f"{NAME}2", ttl="48h"))
    result = changed.up()
    assert result.summary.resource_changes == {"update": 1, "same": 1}
    assert result.outputs["branch"].value == outputs["branch"].value
    changed.up(expect_no_changes=True)

    changed.destroy()
    assert world.names() == before


def test_no_password_is_stored_in_clear(world: World) -> None:
    stack = world.stack(program())
    uri = stack.up().outputs["uri"].value
    stack.refresh()
    exported = subprocess.run(
        ["pulumi", "stack", "export", "--stack", "dev", "--cwd", str(world.folder)],
        env={**os.environ, **world.settings},
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    stack.destroy()
    password = unquote(urlsplit(uri).password or "")
    assert len(password) > 8
    stored = world.everything_stored()
    assert NAME in stored  # the search looks at the right files
    assert NAME in exported
    assert password not in stored + exported
    assert KEY not in stored + exported


def test_a_branch_deleted_by_hand_is_made_again_after_a_refresh(world: World) -> None:
    stack = world.stack(program())
    first = stack.up().outputs["branch"].value
    world.service.finish(world.service.call("DELETE", f"/branches/{first}"))
    stack.refresh()
    second = stack.up().outputs["branch"].value
    assert second != first
    world.service.finish(world.service.call("DELETE", f"/branches/{second}"))
    stack.destroy()
    assert NAME not in world.names()


def test_a_change_of_parent_replaces_the_branch_under_the_same_name(world: World) -> None:
    staging = world.service.branch("staging")
    first = world.stack(program()).up().outputs["branch"].value
    stack = world.stack(program(parent="staging"))
    result = stack.up()
    assert result.summary.resource_changes == {"replace": 1, "same": 1}
    assert result.outputs["branch"].value != first
    assert world.service.get(f"/branches/{result.outputs['branch'].value}")["branch"]["parent_id"] == staging
    stack.destroy()
    world.service.finish(world.service.call("DELETE", f"/branches/{staging}"))


def test_a_preview_without_a_key_works_and_up_and_a_rotated_key_are_one_line(world: World) -> None:
    del world.settings["NEON_API_KEY"]
    stack = world.stack(program())
    stack.preview()
    with pytest.raises(auto.CommandError) as caught:
        stack.up()
    assert "NeonKeyError: no Neon API key: set NEON_API_KEY or `pulumi config set" in str(caught.value)
    assert "Traceback" not in str(caught.value)

    stack.set_config("neonApiKey", auto.ConfigValue(KEY, secret=True))
    stack.up()
    # The engine gives a destroy the key of the last up, which is not valid any more.
    world.service.end()
    world.service.environment = lambda: {**os.environ, "NEON_LOCAL_API_KEY": "rotated-key-77"}  # type: ignore[method-assign]
    world.service.start()
    try:
        with pytest.raises(auto.CommandError, match=r"HTTP 401.*NEON_API_KEY"):
            stack.destroy()
        world.settings["NEON_API_KEY"] = "rotated-key-77"
        world.stack(program()).destroy()
    finally:
        world.service.end()
        del world.service.environment
        world.service.start()
    assert NAME not in world.names()


def test_mistakes_are_shown_at_preview_all_at_once(world: World) -> None:
    def wrong() -> None:
        NeonBranch(
            "votes", {"project": PROJECT, "name": "0/1A", "database": "votes", "role": "", "ttl": "99d"}
        )

    with pytest.raises(auto.CommandError) as caught:
        world.stack(wrong).preview()
    text = str(caught.value)
    assert "log position" in text
    assert "role" in text
    assert "at most 30d" in text
    assert world.relay.requests == []


def test_an_existing_branch_is_read_and_not_deleted(world: World) -> None:
    mine = world.service.branch("mine")

    def reads() -> None:
        found = NeonBranch.get("main", f"{PROJECT}/{mine}", database="votes", role="votes_owner")
        pulumi.export("name", found.branch_name)
        pulumi.export("uri", found.uri)

    stack = world.stack(reads)
    outputs = stack.up().outputs
    assert outputs["name"].value == "mine"
    assert outputs["uri"].secret
    assert votes(outputs["uri"].value) == 300
    stack.destroy()
    assert "mine" in world.names()
    assert world.writes() == []
    world.service.finish(world.service.call("DELETE", f"/branches/{mine}"))


def test_an_import_is_refused_with_the_way_out(world: World) -> None:
    def imports() -> None:
        args = {"project": PROJECT, "name": "x", "database": "votes", "role": "votes_owner"}
        NeonBranch("votes", args, pulumi.ResourceOptions(import_="a/b"))  # type: ignore[arg-type]

    with pytest.raises(auto.CommandError, match=r"NeonBranch\.get"):
        world.stack(imports).preview()
