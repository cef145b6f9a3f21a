"""Every numbered example, run over Pulumi's mocks with its default config."""

from __future__ import annotations

import runpy
from collections.abc import Callable
from dataclasses import replace

import pytest

from kardinal_infra.components import baseline as baseline_module
from kardinal_infra.components import flow as flow_module
from tests.components import recorder
from tests.components.recorder import UNKNOWN, Hidden, Stack
from tests.package.examples import EXAMPLES, FOLDER, default_config, project, stacks
from tests.pure import samples


@pytest.fixture(params=[False, True], ids=["up", "preview"])
def run(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Stack]:
    """Runs an example beside the demonstration's application."""
    monkeypatch.setattr(flow_module, "read_live", lambda *_, **__: samples.live())
    public = {"metadata": {"name": "public", "namespace": "gateways"}}
    untouched = replace(samples.live(), http_routes=[], gateways=[public])
    monkeypatch.setattr(baseline_module, "read_live", lambda *_, **__: untouched)
    outputs = stacks()

    def program(example: str) -> Stack:
        return recorder.run(
            lambda: runpy.run_path(str(FOLDER / example / "__main__.py"), run_name="__main__"),
            preview=request.param,
            project=project(example)["name"],
            stack="pr-42",
            config=default_config(example),
            stacks=outputs,
        )

    program.preview = request.param  # type: ignore[attr-defined]
    return program


def test_they_are_numbered_without_a_gap() -> None:
    assert EXAMPLES
    assert [name[:2] for name in EXAMPLES] == [f"{number + 1:02d}" for number in range(len(EXAMPLES))]


@pytest.mark.parametrize("example", EXAMPLES)
def test_each_explains_itself_and_runs_with_the_repository_s_interpreter(example: str) -> None:
    heading, *text = (FOLDER / example / "README.md").read_text().splitlines()

    assert heading.startswith("# ")
    assert "".join(text).strip()
    assert project(example)["description"].endswith(".")
    assert project(example)["runtime"]["options"] == {"toolchain": "pip", "virtualenv": "../../.venv"}


def test_names_of_projects_differ() -> None:
    assert len({project(example)["name"] for example in EXAMPLES}) == len(EXAMPLES)


def test_a_minimal_flow(run: Callable[[str], Stack]) -> None:
    stack = run("01-minimal-flow")

    assert {item.name for item in stack.all(recorder.DEPLOYMENT)} == {
        "voting-app-ui-pr-42",
        "votes-api-pr-42",
    }
    assert stack.exports["url"] == "http://pr-42.voting.localhost:8080"
    owner = stack.one(recorder.LEFTOVERS).inputs["stack"]
    assert owner == "organization/minimal-flow/pr-42"


def test_a_flow_with_a_database_of_its_own(run: Callable[[str], Stack]) -> None:
    stack = run("02-flow-with-database")

    assert stack.one(recorder.BRANCH).inputs["ttl"] == "24h"
    assert len(stack.all(recorder.JOB)) == 1
    assert "expiresAt" in stack.exports


def test_a_neon_branch_alone(run: Callable[[str], Stack]) -> None:
    stack = run("03-neon-branch-alone")

    [branch] = stack.declared
    assert branch.type == recorder.BRANCH
    assert branch.inputs["name"] == "preview/pr-42"
    assert branch.inputs["annotations"] == {"kardinal-stack": "organization/neon-branch-alone/pr-42"}
    preview = run.preview  # type: ignore[attr-defined]
    assert stack.exports["uri"] == UNKNOWN if preview else isinstance(stack.exports["uri"], Hidden)


def test_another_program_reads_a_flow(run: Callable[[str], Stack]) -> None:
    stack = run("04-read-a-flow")

    assert stack.declared == []
    assert stack.exports["comment"] == (
        "Preview of dev: http://dev.voting.localhost:8080 runs"
        " `votes-api` (votes-api:1.0), `voting-app-ui` (voting-app-ui-dev)"
    )
    assert stack.exports["header"] == "x-kardinal-flow: dev"
    assert isinstance(stack.exports["votes"], Hidden)
    assert stack.exports["votes"].startswith("postgresql://")


def test_an_application_is_adopted_behind_its_own_gateway(run: Callable[[str], Stack]) -> None:
    stack = run("05-adopt-an-application")

    assert stack.all(recorder.GATEWAY) == []
    route = stack.one(recorder.HTTP_ROUTE, "voting-app-ui-kardinal-production")
    assert route.inputs["spec"]["parentRefs"][0]["name"] == "public"
    assert stack.exports["topology"]["databases"]["votes"]["project"] == "kardinal-demo"


def test_full_isolation_with_a_pooler(run: Callable[[str], Stack]) -> None:
    stack = run("06-full-isolation-and-sidecar")

    page = stack.one(recorder.DEPLOYMENT, "voting-app-ui-pr-42").inputs["spec"]
    api = stack.one(recorder.DEPLOYMENT, "votes-api-pr-42").inputs["spec"]["template"]["spec"]
    assert page["replicas"] == 2
    assert api["hostAliases"] == [{"ip": "127.0.0.1", "hostnames": ["votes-db"]}]
    assert api["initContainers"][0]["name"] == "kardinal-pgbouncer"


def test_hooks_before_the_forks_and_after_them(run: Callable[[str], Stack]) -> None:
    stack = run("07-hooks")

    seed, tell = (stack.one(recorder.COMMAND, f"pr-42-hook-{name}") for name in ("seed", "tell"))
    assert seed.inputs["create"] == "python3 seed.py"
    assert all(stack.waits_for(item, seed) for item in stack.all(recorder.DEPLOYMENT))
    assert stack.waits_for(tell, stack.one(recorder.PROBE))
