"""`kardinal reap` as a person types it: real engine, real states, the local Neon service, real PostgreSQL."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kardinal_neon_local.testing.server import KEY, PROJECT, Server, running
from lab.demo_project import Project, project_environment
from lab.toolchain import ensure_pulumi

pytestmark = [pytest.mark.engine, pytest.mark.postgres]

PROGRAM = f"""
import pulumi
from kardinal_infra import NeonBranch

if pulumi.get_stack() == "baseline":
    pulumi.export("topology", {{
        "schemaVersion": 1, "application": "shop", "namespace": "shop", "domain": "shop.example",
        "gateway": {{"name": "kardinal", "namespace": "shop"}}, "services": {{}}, "entries": [],
        "databases": {{
            "votes": {{"project": "{PROJECT}", "database": "votes", "role": "votes_owner"}},
            "old-votes": {{"project": "{PROJECT}", "database": "votes", "role": "votes_owner"}},
        }},
    }})
else:
    NeonBranch("votes", {{
        "project": "{PROJECT}", "name": f"kardinal/shop/{{pulumi.get_stack()}}/votes",
        "database": "votes", "role": "votes_owner",
    }})
"""
LIVE, GONE = "kardinal/shop/live/votes", "kardinal/shop/gone/votes"
NOW = ("--grace", "0s")


@pytest.fixture(scope="module")
def service() -> Iterator[Server]:
    with running() as started:
        yield started


@pytest.fixture(scope="module")
def project(service: Server, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A baseline, a flow that lives, and one whose stack was removed by force."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "state").mkdir()
    variables = {
        "PATH": os.pathsep.join([str(ensure_pulumi()), os.environ["PATH"]]),
        "PULUMI_BACKEND_URL": f"file://{folder}/state",
        "PULUMI_CONFIG_PASSPHRASE": "of-the-tests",
        "PULUMI_HOME": str(folder / "home"),
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "NEON_API_HOST": f"http://127.0.0.1:{service.port}",
    }
    (folder / "Pulumi.yaml").write_text(
        f"name: kardinal\nruntime:\n  name: python\n  options: {{toolchain: pip, virtualenv: {sys.prefix}}}\n"
    )
    (folder / "__main__.py").write_text(PROGRAM)
    environment = project_environment(variables, Path(sys.executable).parent)
    environment.pop("NEON_API_KEY", None)
    made = Project(folder, {**environment, "COLUMNS": "200"})
    for stack in ("baseline", "live", "gone"):
        made.ensure_stack(stack)
        made.set_secret(stack, "kardinal:neonApiKey", KEY)
        made.pulumi("up", "--yes", "--skip-preview", "-s", stack)
    made.pulumi("stack", "rm", "gone", "--force", "--yes")
    return made


def reap(project: Project, *arguments: str) -> tuple[int, dict[str, dict[str, Any]]]:
    ran = project.kardinal("reap", "--json", *arguments)
    assert KEY not in ran.output
    return ran.code, {branch["name"]: branch for branch in json.loads(ran.output)["branches"]}


def state_file(project: Project, stack: str) -> Path:
    return project.folder / "state" / ".pulumi" / "stacks" / "kardinal" / f"{stack}.json"


def names(service: Server) -> set[str]:
    return {branch["name"] for branch in service.get("/branches")["branches"]}


def test_a_removed_stacks_branch_is_found_and_deleted_and_no_other(service: Server, project: Project) -> None:
    service.branch("by-hand")
    marks = {"kardinal-stack": "organization/kardinal/live", "kardinal-flow": "live"}
    service.branch("forgotten", annotations=marks)
    service.branch("elsewhere", annotations={"kardinal-stack": "organization/another/gone"})
    before = names(service)

    code, found = reap(project)
    assert code == 0
    assert found[GONE]["reason"] == "its stack is gone, but it is young"
    assert "by-hand" not in found

    code, found = reap(project, *NOW)
    assert code == 3
    assert {name: (branch["action"], branch["reason"]) for name, branch in found.items()} == {
        GONE: ("delete", "its stack is gone"),
        "forgotten": ("delete", "its stack does not know it"),
        LIVE: ("keep", "in use"),
        "elsewhere": ("keep", "of project another"),
    }
    assert found[GONE]["sizeBytes"] > 1_000_000

    shown = project.kardinal("reap", *NOW)
    assert shown.code == 3
    assert [GONE, "organization/kardinal/gone"] in [row.split()[:2] for row in shown.output.splitlines()]
    asked = project.kardinal("reap", *NOW, "--delete")
    assert asked.code == 1
    assert "nobody is there to answer: give --yes" in asked.output
    assert names(service) == before

    code, found = reap(project, *NOW, "--yes")
    assert code == 0
    assert {name: branch["done"] for name, branch in found.items() if branch["done"]} == {
        GONE: "deleted",
        "forgotten": "deleted",
    }
    assert names(service) == before - {GONE, "forgotten"}
    assert reap(project, *NOW, "--yes")[0] == 0
    project.pulumi("up", "--yes", "--skip-preview", "--refresh", "-s", "live", "--expect-no-changes")


def test_a_renamed_stack_keeps_its_branch(service: Server, project: Project) -> None:
    project.pulumi("stack", "rename", "moved", "-s", "live")
    try:
        code, found = reap(project, *NOW, "--yes")
    finally:
        project.pulumi("stack", "rename", "live", "-s", "moved")
    assert code == 0
    assert found[LIVE]["reason"] == "in use by organization/kardinal/moved"
    assert LIVE in names(service)


def test_an_interrupted_update_keeps_everything_of_its_stack(service: Server, project: Project) -> None:
    service.branch("being-made", annotations={"kardinal-stack": "organization/kardinal/live"})
    state = state_file(project, "live")
    content = state.read_bytes()
    document = json.loads(content)
    latest = document["checkpoint"]["latest"]
    latest["pending_operations"] = [{"resource": latest["resources"][-1], "type": "creating"}]
    state.write_text(json.dumps(document))
    code, found = reap(project, *NOW, "--yes")
    assert code == 0
    reason = "an update of organization/kardinal/live runs or was interrupted"
    assert {found[name]["reason"] for name in ("being-made", LIVE)} == {reason}
    assert "being-made" in names(service)

    state.write_bytes(content)
    assert reap(project, *NOW, "--yes")[1]["being-made"]["done"] == "deleted"
    assert names(service).isdisjoint({"being-made"})


def test_the_wrong_state_backend_deletes_nothing(service: Server, project: Project, tmp_path: Path) -> None:
    before = names(service)
    wrong = Project(project.folder, {**project.environment, "PULUMI_BACKEND_URL": f"file://{tmp_path}"})
    ran = wrong.kardinal("reap", *NOW, "--yes")
    assert ran.code == 1
    assert ran.output == "error: no stack named 'baseline' found\n"

    wrong.environment["NEON_API_KEY"] = KEY
    code, found = reap(wrong, *NOW, "--yes", "--in", f"neon:{PROJECT}")
    assert code == 0
    assert found[LIVE]["reason"] == "this state backend holds no stack of organization/kardinal"

    absent = Project(project.folder, {**wrong.environment, "PULUMI_BACKEND_URL": f"file://{tmp_path}/absent"})
    ran = absent.kardinal("reap", *NOW, "--yes", "--in", f"neon:{PROJECT}")
    assert ran.code == 1
    assert ran.output.startswith("error: ")
    assert "Traceback" not in ran.output
    assert names(service) == before


def test_a_state_that_cannot_be_read_keeps_every_branch(service: Server, project: Project) -> None:
    service.branch("stale", annotations={"kardinal-stack": "organization/kardinal/no-more"})
    state = state_file(project, "live")
    content = state.read_bytes()
    state.write_bytes(content[: len(content) // 2])
    try:
        ran = project.kardinal("reap", *NOW, "--yes")
    finally:
        state.write_bytes(content)
    assert ran.code == 1
    assert ran.output.startswith("error: ")
    assert {LIVE, "stale"} <= names(service)
    assert reap(project, *NOW, "--yes")[1]["stale"]["done"] == "deleted"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--grace", "soon"], '--grace: "soon" is not a grace period'),
        (["--in", "neon"], "--in neon: expected BACKEND:PROJECT"),
        (["--in", "nexus:shop"], 'there is no branching backend "nexus"'),
        (["--json", "--delete"], "--json cannot ask"),
    ],
)
def test_mistakes_are_one_line(project: Project, arguments: list[str], message: str) -> None:
    ran = project.kardinal("reap", *arguments)
    assert ran.code == 1
    assert ran.output.startswith("error: ")
    assert message in ran.output
    assert len(ran.output.strip().splitlines()) == 1
