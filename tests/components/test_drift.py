"""What of the baseline has moved since a flow was last brought up."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import pulumi
import pytest

from kardinal_infra import Flow
from kardinal_infra.model.topology import Topology
from kardinal_infra.observed.live import LiveObjects
from kardinal_infra.plan import FlowPlan
from kardinal_infra.plan.drift import drift, template_versions
from tests.components.recorder import run
from tests.engine import engine_project
from tests.pure import samples
from tests.pure.samples import FLOW, live, plan

OWN = "organization/kardinal/dev"
UI = {"voting-app-ui": {"image": "voting-app-ui-dev"}}
IMAGE = "  voting-app-ui: image voting-app-ui:1.0 -> voting-app-ui:2.0"
TEMPLATE = "  voting-app-ui: its pod template, besides the images named here"


def exported(made: FlowPlan) -> dict[str, Any]:
    """What a flow's stack remembers of a plan."""
    return {
        "baselineVersion": made.baseline_version,
        "baselineTemplates": template_versions(made),
        "topology": made.to_contract(),
    }


def moved(image: str = "voting-app-ui:1.0", *, init: str = "", **labels: str) -> LiveObjects:
    """The application after somebody has worked on its user interface."""
    ui, api = deepcopy(live().deployments)
    template = ui["spec"]["template"]
    template["spec"]["containers"][0]["image"] = image
    if init:
        template["spec"]["initContainers"] = [{"name": "first", "image": init}]
    template["metadata"]["labels"].update(labels)
    return live(deployments=[ui, api])


def with_helper(snapshot: LiveObjects) -> LiveObjects:
    """The user interface with a second container."""
    ui, api = deepcopy(snapshot.deployments)
    ui["spec"]["template"]["spec"]["containers"].append({"name": "log", "image": "log:1"})
    return live(deployments=[ui, api])


def named_container() -> Topology:
    """The topology, which says which of the containers is the application."""
    services = deepcopy(samples.TOPOLOGY["services"])
    services["voting-app-ui"]["container"] = "voting-app-ui"
    return samples.topology(services=services)


def test_nothing_is_said_before_the_first_up_and_when_nothing_has_moved() -> None:
    assert drift({}, plan()) == []
    assert drift(exported(plan()), plan()) == []


def test_a_moved_image_is_told_once() -> None:
    first, image = drift(exported(plan()), plan(live=moved("voting-app-ui:2.0")))
    assert plan().baseline_version in first
    assert image == IMAGE


def test_a_moved_pod_template_is_told_by_its_service_and_not_by_its_content() -> None:
    now = plan(live=moved(secret="hidden-word"))
    lines = drift(exported(plan()), now)
    assert lines[0].endswith("`pulumi up` brings the forks to it")
    assert lines[1:] == [TEMPLATE]
    assert "hidden-word" not in str([lines, exported(now)["baselineTemplates"]])


@pytest.mark.parametrize(("before", "now"), [("services", "data"), ("data", "services")])
def test_other_forks_of_the_same_baseline_are_no_move(before: str, now: str) -> None:
    first, second = (plan(isolation=level, services=UI) for level in (before, now))
    assert first.baseline_version != second.baseline_version
    assert drift(exported(first), second) == []


def test_a_move_that_no_fork_follows_promises_nothing_for_them() -> None:
    api: Any = {"isolation": "services", "services": {"votes-api": {"image": "votes-api:dev"}}}
    # Beside the forks; and under a fork that has an image of its own, as its helpers of the same image do.
    for options, init in ((api, ""), ({}, ""), ({}, "voting-app-ui:")):
        before, after = (moved(f"voting-app-ui:{n}.0", init=init and f"{init}{n}.0") for n in (1, 2))
        first, line = drift(exported(plan(**options, live=before)), plan(**options, live=after))
        assert first.endswith("the forks stay as they are")
        assert line == IMAGE


def test_a_fork_follows_the_image_that_its_flow_did_not_replace() -> None:
    api: Any = {"isolation": "services", "services": {"voting-app-ui": {"env": {"COLOUR": "red"}}}}
    first, line = drift(exported(plan(**api)), plan(**api, live=moved("voting-app-ui:2.0")))
    assert first.endswith("`pulumi up` brings the forks to it")
    assert line == IMAGE
    # The flow has replaced a helper's image, and the application's own moves.
    helper: Any = {
        "isolation": "services",
        "services": {"voting-app-ui": {"image": "own", "container": "log"}},
    }
    before, after = (with_helper(moved(f"voting-app-ui:{n}.0")) for n in (1, 2))
    options: Any = {**helper, "topology": named_container()}
    first, line = drift(exported(plan(**options, live=before)), plan(**options, live=after))
    assert first.endswith("`pulumi up` brings the forks to it")
    assert line == IMAGE


def test_a_helper_s_image_belongs_to_the_pod_template() -> None:
    first, line = drift(exported(plan(live=moved(init="tools:1"))), plan(live=moved(init="tools:2")))
    assert first.endswith("`pulumi up` brings the forks to it")
    assert line == TEMPLATE


def test_a_service_that_only_one_side_knows_has_not_moved() -> None:
    services = {**deepcopy(samples.TOPOLOGY["services"]), "tally": {}}
    larger = plan(
        topology=samples.topology(services=services),
        live=live(deployments=[*live().deployments, samples.workload("tally")]),
    )
    assert larger.baseline_version != plan().baseline_version
    assert drift(exported(larger), plan()) == []
    assert drift(exported(plan()), larger) == []


def test_what_an_earlier_version_of_the_package_did_not_remember_is_not_made_up() -> None:
    earlier = exported(plan())
    del earlier["baselineTemplates"]
    assert drift(earlier, plan(live=moved(tier="front"))) == []
    assert drift(earlier, plan(live=moved("voting-app-ui:2.0")))[1:] == [IMAGE]


def test_only_a_preview_tells_it(capfd: pytest.CaptureFixture[str], preview: bool) -> None:
    told: list[str] = []

    def program() -> None:
        info, pulumi.log.info = pulumi.log.info, lambda text, *_, **__: told.append(text)
        try:
            args: Any = deepcopy(FLOW)
            Flow("dev", args, topology=samples.topology(), live=moved("voting-app-ui:2.0"))
        finally:
            pulumi.log.info = info

    run(program, preview=preview, stacks={OWN: exported(plan())})
    assert ("voting-app-ui:1.0 -> voting-app-ui:2.0" in "".join(told)) is preview


PROGRAM = """
import pulumi
from kardinal_infra.plan.drift import drift
from kardinal_infra.engine.stack_outputs import qualified_stack_name, read_stack_outputs
from tests.components.test_drift import exported, moved
from tests.pure.samples import plan

now = plan(live=moved("voting-app-ui:" + pulumi.Config().require("version")))
earlier = read_stack_outputs(qualified_stack_name(pulumi.get_stack())).values
pulumi.log.info("DRIFT " + str(drift(earlier, now)))
for name, value in exported(now).items():
    pulumi.export(name, value)
"""


@pytest.mark.engine
def test_a_program_reads_what_its_own_stack_remembers(tmp_path: Path) -> None:
    project = engine_project(tmp_path, PROGRAM)

    def told(*command: str, version: str) -> str:
        output = project.pulumi(*command, "-c", f"version={version}").output
        # The engine shows a message more than once: as it comes, and at the end.
        [text] = {line.partition("DRIFT ")[2].strip() for line in output.splitlines() if "DRIFT " in line}
        return text

    up = ("up", "--yes", "--skip-preview")
    assert told(*up, version="1.0") == "[]"
    assert "voting-app-ui: image voting-app-ui:1.0 -> voting-app-ui:2.0" in told("preview", version="2.0")
    told(*up, version="2.0")
    assert told("preview", version="2.0") == "[]"
