"""The same proof from a stack's manifests alone, as a policy pack makes it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from kardinal_infra.observed.live import LiveObjects
from kardinal_infra.safety import REFUSALS, RULES, case_of_manifests, prove
from tests.pure.samples import NAMESPACE, live, plan, topology

Manifest = dict[str, Any]


def manifests(**changes: Any) -> list[Manifest]:
    found = plan(**changes)
    made: list[Any] = [fork.workload({"votes": "branch"}) for fork in found.forks]
    made += [fork.service_manifest for fork in found.forks]
    made += [policy for fork in found.forks for policy in fork.policies]
    return [*made, *found.routes, *(entry.route for entry in found.entries)]


def errors(objects: list[Manifest], snapshot: LiveObjects | None = None) -> list[str]:
    """What a policy pack reports."""
    shown = case_of_manifests(objects, snapshot or live(), topology(), "dev")
    return sorted(item.rule for item in prove(shown, (*RULES, *REFUSALS)) if item.severity == "error")


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


def without_routes(objects: list[Manifest]) -> None:
    objects[:] = [item for item in objects if not item["metadata"]["name"].startswith("votes-api-dev-80")]


def with_calls_beside_requests(objects: list[Manifest]) -> None:
    route = next(item for item in objects if item["metadata"]["name"] == "votes-api-dev-80")
    route["kind"] = "GRPCRoute"


def that_selects_production(objects: list[Manifest]) -> None:
    [item] = [
        one for one in objects if one["kind"] == "Service" and one["metadata"]["name"] == "votes-api-dev"
    ]
    item["spec"]["selector"] = {"app": "votes-api"}


@pytest.mark.parametrize(
    ("spoil", "rule"),
    [
        (keep_label, "fork-selected"),
        (no_sidecar, "fork-without-sidecar"),
        (another_variable_of_the_secret, "parent-secret"),
        (without_the_key, "open-route"),
        (around_the_lock, "lock-bypassed"),
        (without_routes, "shadowed-rule"),
        (with_calls_beside_requests, "mixed-route-kinds"),
        (that_selects_production, "baseline-selected"),
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


def test_a_fork_of_which_no_route_is_there_is_told_by_service_and_port() -> None:
    objects = manifests()
    without_routes(objects)
    found = prove(case_of_manifests(objects, live(), topology(), "dev"))
    assert [item.message for item in found if item.rule == "shadowed-rule"] == [
        "the flow has no route on port 80 of Service votes-api: its requests there reach production, not the"
        " fork"
    ]


def virtual_service(name: str, host: str, *, flow: str | None = "dev", **entry: Any) -> Manifest:
    labels = {"kardinal.dev/flow": flow} if flow else {}
    http = [{"route": [{"destination": {"host": "votes-api-dev"}}], **entry}]
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": labels},
        "spec": {"hosts": [host], "http": http},
    }


TAGGED: dict[str, Any] = {"match": [{"headers": {"x-kardinal-flow": {"exact": "dev"}}}]}


def test_a_service_with_a_virtual_service_of_its_own_needs_no_routes() -> None:
    objects = manifests()
    without_routes(objects)
    own = virtual_service("own", "votes-api", flow=None)
    routes = [item for item in live().http_routes if not item["metadata"]["name"].startswith("votes-api")]
    assert errors(objects, live(virtual_services=[own], http_routes=routes)) == []


def test_a_virtual_service_that_a_program_puts_on_a_service_is_found() -> None:
    objects = manifests()
    written = virtual_service("dev", "votes-api", **TAGGED)
    assert errors([*objects, written]) == ["mixed-dialects"]
    assert errors([*objects, virtual_service("dev", f"votes-api.{NAMESPACE}.svc.cluster.local")]) == [
        "mixed-dialects",
        "open-route",
    ]
    own = virtual_service("own", "votes-api", flow=None)
    routes = [item for item in live().http_routes if not item["metadata"]["name"].startswith("votes-api")]
    without_routes(objects)
    beside = live(virtual_services=[own], http_routes=routes)
    assert errors([*objects, written], beside) == ["duplicate-virtual-service"]
    assert "missing-catch-all" in errors([*objects, written], live(http_routes=routes))
    assert errors([*manifests(), virtual_service("dev", "votes-api-dev")]) == []


def test_a_virtual_service_that_the_program_gives_up_is_not_held_against_it() -> None:
    left = virtual_service("dev", "votes-api", **TAGGED)
    assert errors(manifests(), live(virtual_services=[left])) == []
    other = virtual_service("dev", "votes-api", flow="other", **TAGGED)
    assert errors(manifests(), live(virtual_services=[other])) == ["mixed-dialects"]


def test_the_public_host_of_a_flow_on_an_istio_gateway_is_judged() -> None:
    entry = virtual_service("entry", "dev.voting.localhost")
    entry["spec"]["gateways"] = ["istio-system/edge"]
    assert errors([*manifests(), entry]) == ["entry-without-key"]
    entry["spec"]["http"][0]["headers"] = {"request": {"set": {"x-kardinal-flow": "dev"}}}
    assert errors([*manifests(), entry]) == []


def test_what_is_refused_before_any_route_is_refused_here_too() -> None:
    assert errors(manifests(), live(http_routes=[])) == ["missing-catch-all"] * 2


FLOW = {"labels": {"kardinal.dev/flow": "dev"}, "name": "x", "namespace": NAMESPACE}


@pytest.mark.parametrize(
    "item",
    [
        {},
        {"metadata": None},
        {"kind": "Service", "metadata": {"labels": None}},
        {"kind": "Service", "metadata": FLOW, "spec": None},
        {"kind": "Sidecar", "metadata": FLOW, "spec": None},
        {"kind": "VirtualService", "metadata": FLOW, "spec": {"hosts": ["votes-api-dev"], "http": None}},
        {"kind": "HTTPRoute", "metadata": FLOW, "spec": {"parentRefs": None, "rules": None}},
        {"kind": "ConfigMap", "metadata": FLOW},
    ],
)
def test_objects_without_anything_are_no_failure(item: Manifest) -> None:
    assert errors([*manifests(), item]) == []
