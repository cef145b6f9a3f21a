"""`kardinal` as a person types it, with the real engine."""

import json
import re
import threading
from pathlib import Path

import pytest

from lab.demo_project import Project, Ran, run

pytestmark = pytest.mark.engine


def kardinal(project: Project, *arguments: str) -> Ran:
    ran = project.kardinal(*arguments)
    assert "Traceback" not in ran.output
    assert "hidden-" not in ran.output
    return ran


def selected(project: Project) -> str:
    return project.pulumi("stack", "--show-name").output.strip()


def settings(project: Project) -> set[str]:
    return {path.name for path in project.folder.glob("Pulumi.*.yaml")}


def test_life_of_a_flow(project: Project) -> None:
    created = kardinal(project, "flow", "create", "web", "web:2", "--id", "pr-7", "--isolation", "full")
    assert created.code == 0, created.output
    assert "http://pr-7.shop.example" in created.output

    outputs = project.outputs("pr-7")
    assert outputs["services"]["web"]["image"] == "web:2"
    assert outputs["isolation"] == "full"
    assert outputs["cluster"] == "shop-cluster"
    assert selected(project) == "somebodys"
    config = project.pulumi("config", "--json", "-s", "pr-7").output
    assert json.loads(config)["kardinal:neonApiKey"] == {"secret": True}

    listed = kardinal(project, "flow", "ls").output
    assert re.search(r"pr-7 +http://pr-7\.shop\.example +web +\d+[sm] ago +ready", listed)
    assert "baseline" not in listed
    assert kardinal(project, "flow", "url", "pr-7").output == "http://pr-7.shop.example\n"

    graph = json.loads(kardinal(project, "topology", "--format", "json").output)
    [web] = [node for node in graph["nodes"] if node["id"] == "service/web"]
    assert [version["version"] for version in web["versions"]] == ["baseline", "pr-7"]
    only = json.loads(kardinal(project, "topology", "--format", "json", "--flow", "pr-7").output)
    assert only["flow"] == "pr-7"

    # The same command again brings the flow to what is asked now, and forgets what is asked no more.
    changed = kardinal(project, "flow", "create", "web", "web:3", "--id", "pr-7", "--service", "api=api:3")
    assert changed.code == 0, changed.output
    outputs = project.outputs("pr-7")
    assert {name: service["image"] for name, service in outputs["services"].items()} == {
        "web": "web:3",
        "api": "api:3",
    }
    assert outputs.get("isolation") is None

    deleted = kardinal(project, "flow", "delete", "pr-7")
    assert deleted.code == 0, deleted.output
    assert "pr-7" not in project.stacks()
    assert "Pulumi.pr-7.yaml" not in settings(project)
    assert selected(project) == "somebodys"
    assert "There are no flows" in kardinal(project, "flow", "ls").output


def test_create_without_an_id_makes_one_up(project: Project) -> None:
    created = kardinal(project, "flow", "create", "web", "web:2")
    found = re.search(r"Flow (flow-[a-z0-9]{6}) is up", created.output)
    assert found, created.output
    assert kardinal(project, "flow", "delete", found[1]).code == 0


def test_preview_leaves_no_stack(project: Project) -> None:
    before = settings(project)
    shown = kardinal(project, "flow", "create", "web", "web:2", "--id", "looked-at", "--preview")
    assert shown.code == 0, shown.output
    assert "http://looked-at.shop.example" in shown.output
    assert "looked-at" not in project.stacks()
    assert settings(project) == before


def test_what_the_program_refuses_is_told_in_its_words(project: Project) -> None:
    refused = kardinal(project, "flow", "create", "api", "api:2", "--id", "wrong", "--preview")
    assert refused.code == 1
    assert refused.output.rstrip().endswith(
        "error: kardinal:flow.services: no web\nkardinal:flow.isolation: too little"
    )
    assert "wrong" not in project.stacks()


def test_a_flow_that_failed_is_listed_and_can_be_deleted(project: Project) -> None:
    assert kardinal(project, "flow", "create", "api", "api:2", "--id", "broken").code == 1
    assert re.search(r"broken +- +- +.*incomplete", kardinal(project, "flow", "ls").output)
    assert kardinal(project, "flow", "delete", "broken").code == 0
    assert "broken" not in project.stacks()


def test_a_flow_that_was_destroyed_is_listed_as_empty_and_can_be_deleted(project: Project) -> None:
    assert kardinal(project, "flow", "create", "web", "web:2", "--id", "gone").code == 0
    project.pulumi("destroy", "--yes", "--skip-preview", "-s", "gone")
    listed = kardinal(project, "flow", "ls")
    assert re.search(r"gone +- +- +\w+ ago +empty *\n", listed.output), listed.output
    assert kardinal(project, "flow", "delete", "gone").code == 0
    assert "gone" not in project.stacks()


def test_a_flow_of_which_nothing_was_ever_made_is_listed_as_empty(project: Project) -> None:
    project.ensure_stack("never")
    project.configure("never", {"kardinal:stack": "flow"})
    listed = kardinal(project, "flow", "ls")
    assert re.search(r"never +- +- +\w+ ago +empty *\n", listed.output), listed.output
    assert kardinal(project, "flow", "delete", "never").code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["flow", "url", "nosuch"], "error: no stack named 'nosuch' found"),
        (["flow", "delete", "nosuch"], "error: no stack named 'nosuch' found"),
        (["flow", "delete", "baseline"], 'stack "baseline" is not a flow'),
        (["flow", "create", "web", "web:2", "--id", "baseline"], 'stack "baseline" is not a flow'),
        (["flow", "url", "baseline"], 'stack "baseline" is not a flow'),
        (["flow", "create", "web", "web:2", "--id", "Not_A_Label"], "flow id: "),
        (["flow", "create", "web", "web:2", "--service", "api"], "--service api: expected SERVICE=IMAGE"),
        (["flow", "create", "web", "web:2", "--service", "web=web:3"], "requested more than once: web"),
        (["topology", "--baseline", "nosuch"], "error: no stack named 'nosuch' found"),
        (["topology", "--baseline", "somebodys"], 'stack "somebodys" exports no "topology"'),
    ],
)
def test_mistakes_are_one_line(project: Project, arguments: list[str], message: str) -> None:
    ran = kardinal(project, *arguments)
    assert ran.code == 1
    assert ran.output.startswith("error: ")
    assert message in ran.output
    assert len(ran.output.strip().splitlines()) == 1
    assert set(project.stacks()) == {"baseline", "somebodys"}


def test_the_project_is_found_upward_and_missed_in_one_line(project: Project, tmp_path: Path) -> None:
    (project.folder / "deeper").mkdir(exist_ok=True)
    found = run(["kardinal", "flow", "ls"], project.folder / "deeper", project.environment)
    assert found.code == 0, found.output
    elsewhere = run(["kardinal", "flow", "ls"], tmp_path, project.environment)
    assert elsewhere.code == 1
    assert elsewhere.output.startswith("error: there is no Pulumi.yaml in ")
    named = run(
        ["kardinal", "flow", "ls", "--project-dir", str(project.folder)], tmp_path, project.environment
    )
    assert named.code == 0, named.output


def test_a_state_file_that_another_engine_is_writing_is_read_again(project: Project) -> None:
    state = Path(project.environment["PULUMI_BACKEND_URL"].removeprefix("file://"))
    [file] = state.rglob("somebodys.json")
    whole = file.read_bytes()
    file.write_bytes(b"")
    written = threading.Timer(4, file.write_bytes, [whole])
    written.start()
    try:
        assert project.pulumi("stack", "ls", check=False).code != 0
        listed = kardinal(project, "flow", "ls")
    finally:
        written.join()
    assert listed.code == 0, listed.output
