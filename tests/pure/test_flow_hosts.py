"""A flow's public host leads where the flow's mesh routes would, in both dialects."""

from __future__ import annotations

from typing import Any

import pytest

from kardinal_infra.plan import FlowPlan
from tests.pure.samples import NAMESPACE, live, plan, topology
from tests.pure.test_routing_edge import (
    FORK,
    REMOVE,
    UI,
    beside_istio,
    own_route,
    own_virtual_service,
    with_istio_gateway,
)

CANARY = f"{UI}-canary"
DIALECTS = ("gateway-api", "istio")
Backend = tuple[str, int, int]
"""Service, port and weight."""


def rule(dialect: str, *backends: Backend, canary: bool = False) -> dict[str, Any]:
    """A rule of production's host that removes the key, as users write it."""
    if dialect == "istio":
        routes = [
            {"destination": {"host": name, "port": {"number": port}}, "weight": weight}
            for name, port, weight in backends
        ]
        asked: dict[str, Any] = {"match": [{"headers": {"x-canary": {"exact": "1"}}}]} if canary else {}
        return {**asked, "headers": {"request": {"remove": ["x-kardinal-flow"]}}, "route": routes}
    refs = [{"name": name, "port": port, "weight": weight} for name, port, weight in backends]
    match = {"matches": [{"headers": [{"name": "x-canary", "value": "1"}]}]} if canary else {}
    return {**match, "filters": [REMOVE], "backendRefs": refs}


def planned(dialect: str, *rules: dict[str, Any], **changes: Any) -> FlowPlan:
    """The flow beside a production host with these rules."""
    if dialect == "istio":
        snapshot = beside_istio(own_virtual_service(*rules))
        return plan(topology=with_istio_gateway(), live=snapshot, **changes)
    snapshot = live(http_routes=[*live().http_routes, own_route(*rules)])
    return plan(topology=topology(), live=snapshot, **changes)


def led(dialect: str, *rules: dict[str, Any], **changes: Any) -> list[list[dict[str, Any]]]:
    """Where the rules of the flow's host lead when production's host has these."""
    spec = planned(dialect, *rules, **changes).entries[0].route["spec"]
    if dialect == "istio":
        return [item["route"] for item in spec["http"]]
    return [item["backendRefs"] for item in spec["rules"]]


def to(dialect: str, name: str, port: int) -> dict[str, Any]:
    """The only place that a rule leads to."""
    if dialect == "istio":
        return {"destination": {"host": name, "port": {"number": port}}}
    return {"name": name, "port": port}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_what_production_sends_to_a_canary_the_flows_host_sends_to_the_fork(dialect: str) -> None:
    # The canary's Service listens elsewhere; the fork has the service's own port.
    canary, stable = rule(dialect, (CANARY, 8080, 1), canary=True), rule(dialect, (UI, 80, 1))
    fork = [to(dialect, FORK, 80)]
    assert led(dialect, canary, stable) == [fork, fork]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_split_between_a_service_and_its_canary_becomes_one_backend(dialect: str) -> None:
    assert led(dialect, rule(dialect, (UI, 80, 90), (CANARY, 8080, 10))) == [[to(dialect, FORK, 80)]]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_backend_without_weight_takes_no_part(dialect: str) -> None:
    unused = rule(dialect, (UI, 80, 0), ("votes-api", 80, 100))
    assert led(dialect, unused) == [[to(dialect, "votes-api-dev", 80)]]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_forks_share_what_their_services_shared(dialect: str) -> None:
    shared = rule(dialect, (UI, 80, 60), (CANARY, 80, 15), ("votes-api", 80, 25))
    fork, other = to(dialect, FORK, 80), to(dialect, "votes-api-dev", 80)
    assert led(dialect, shared) == [[{**fork, "weight": 75}, {**other, "weight": 25}]]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_canary_of_a_service_that_is_not_forked_stays_and_is_said(dialect: str) -> None:
    changes: dict[str, Any] = {"services": {"votes-api": {"image": "votes-api-dev"}}}
    canary = rule(dialect, (CANARY, 8080, 1), canary=True)
    [way] = led(dialect, canary, **changes)
    assert CANARY in str(way)
    found = planned(dialect, canary, **changes).findings
    kind = "VirtualService" if dialect == "istio" else "HTTPRoute"
    assert [(finding.rule, finding.message) for finding in found] == [
        (
            "outside-backend",
            f"{kind} {NAMESPACE}/{FORK}-entry sends requests to Service {NAMESPACE}/{CANARY}, which the"
            " topology does not declare: requests of the flow's host go there as production's do",
        )
    ]
    assert planned(dialect, rule(dialect, (UI, 80, 1)), **changes).findings == ()


def test_a_host_that_names_its_service_as_istio_does_leads_to_the_fork_and_is_not_outside() -> None:
    hostname = {"group": "networking.istio.io", "kind": "Hostname", "port": 80}
    full = {**hostname, "name": f"{UI}.{NAMESPACE}.svc.cluster.local"}
    own = {"filters": [REMOVE], "backendRefs": [full]}
    [entry] = planned("gateway-api", own).entries
    [made] = entry.route["spec"]["rules"]
    assert made["backendRefs"] == [{**hostname, "name": f"{FORK}.{NAMESPACE}.svc.cluster.local"}]
    assert planned("gateway-api", own).findings == ()
