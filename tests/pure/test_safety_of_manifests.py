"""The same proof from a stack's manifests alone, as a policy pack makes it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from kardinal_infra.safety import case_of_manifests, prove
from tests.pure.samples import live, plan, topology

Manifest = dict[str, Any]


def manifests(**changes: Any) -> list[Manifest]:
    found = plan(**changes)
    made: list[Any] = [fork.workload({"votes": "branch"}) for fork in found.forks]
    made += [fork.service_manifest for fork in found.forks]
    made += [policy for fork in found.forks for policy in fork.policies]
    return [*made, *found.routes, *(entry.route for entry in found.entries)]


def errors(objects: list[Manifest]) -> list[str]:
    findings = prove(case_of_manifests(objects, live(), topology(), "dev"))
    return [item.rule for item in findings if item.severity == "error"]


def test_what_a_plan_renders_is_safe_by_itself() -> None:
    assert errors(manifests()) == []
    assert errors(manifests(egress="locked")) == []


def fork_of(objects: list[Manifest], name: str) -> Manifest:
    [found] = [item for item in objects if item["kind"] == "Deployment" and item["metadata"]["name"] == name]
    return found


def keep_label(objects: list[Manifest]) -> None:
    fork_of(objects, "voting-app-ui-dev")["spec"]["template"]["metadata"]["labels"]["app"] = "voting-app-ui"


def no_sidecar(objects: list[Manifest]) -> None:
    metadata = fork_of(objects, "voting-app-ui-dev")["spec"]["template"]["metadata"]
    metadata["annotations"]["sidecar.istio.io/inject"] = "false"


def another_variable_of_the_secret(objects: list[Manifest]) -> None:
    [container] = fork_of(objects, "votes-api-dev")["spec"]["template"]["spec"]["containers"]
    reference = {"secretKeyRef": {"name": "votes-database", "key": "DATABASE_URL"}}
    container["env"].append({"name": "REPORTS_URL", "valueFrom": reference})


def without_the_key(objects: list[Manifest]) -> None:
    route = next(item for item in objects if item["metadata"]["name"] == "votes-api-dev-80")
    del route["spec"]["rules"][0]["matches"]


def around_the_lock(objects: list[Manifest]) -> None:
    metadata = fork_of(objects, "votes-api-dev")["spec"]["template"]["metadata"]
    metadata["annotations"]["traffic.sidecar.istio.io/excludeOutboundPorts"] = "5432"


@pytest.mark.parametrize(
    ("spoil", "rule"),
    [
        (keep_label, "fork-selected"),
        (no_sidecar, "fork-without-sidecar"),
        (another_variable_of_the_secret, "parent-secret"),
        (without_the_key, "open-route"),
        (around_the_lock, "lock-bypassed"),
    ],
)
def test_what_somebody_changed_is_found(spoil: Callable[[list[Manifest]], None], rule: str) -> None:
    objects = manifests(egress="locked")
    spoil(objects)
    assert rule in errors(objects)


def test_objects_of_other_flows_and_of_nobody_are_not_judged() -> None:
    objects = manifests()
    keep_label(objects)
    for item in objects:
        item["metadata"]["labels"]["kardinal.dev/flow"] = "other"
    assert errors([*objects, {"kind": "Namespace", "metadata": {"name": "x"}}]) == []
