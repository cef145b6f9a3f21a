"""Whose version an undeclared Service of a rule is: the same in both dialects, in the mesh and at a host."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from kardinal_infra.model.names import Owner, ServiceRef
from kardinal_infra.observed.virtual_services import service_named
from kardinal_infra.routing import Targets
from kardinal_infra.routing.gateway_api.rules import flow_rule as of_route
from kardinal_infra.routing.istio.rules import flow_rule as of_virtual_service
from tests.pure import routed, test_flow_hosts
from tests.pure.samples import NAMESPACE, STACK

HERE, THERE = "shop", "data"
HOMES = {"ui": HERE, "api": HERE, "store": THERE, "queue": THERE}
DIALECTS = pytest.mark.parametrize("dialect", ["gateway-api", "istio"])
Place = tuple[str, str, int]
"""Namespace and name of a Service, and a port."""
API, API_CANARY = (HERE, "api", 80), (HERE, "api-canary", 8080)
UI, UI_CANARY = (HERE, "ui", 80), (HERE, "ui-canary", 8080)
STORE, STORE_CANARY = (THERE, "store", 90), (THERE, "store-canary", 8080)
QUEUE = (THERE, "queue", 91)


def led(dialect: str, ways: Mapping[Place, int], *forked: str) -> dict[Place, int]:
    """Where a rule of the UI's sends a flow's requests, with weights; 1 stands for all of them.

    Args:
        dialect: The dialect.
        ways: Where it sends production's.
        forked: Services that the flow forks.
    """
    forks = {name: f"{name}-dev" for name in forked}
    targets = Targets(Owner(STACK, HERE, "dev"), "ui", forks, HOMES, HOMES)
    rule: dict[str, Any]
    if dialect == "istio":
        rule = {
            "route": [
                {
                    "destination": {"host": f"{name}.{home}.svc.cluster.local", "port": {"number": port}},
                    "weight": weight,
                }
                for (home, name, port), weight in ways.items()
            ]
        }
        copy, _ = of_virtual_service(rule, targets, 80)
        found: dict[Place, int] = {}
        for way in copy["route"]:
            ref = _named(way["destination"]["host"])
            found[ref.namespace, ref.name, way["destination"]["port"]["number"]] = way.get("weight", 1)
        return found
    rule = {
        "backendRefs": [
            {"namespace": home, "name": name, "port": port, "weight": weight}
            for (home, name, port), weight in ways.items()
        ]
    }
    copy, _ = of_route(rule, targets, 80)
    return {(way["namespace"], way["name"], way["port"]): way.get("weight", 1) for way in copy["backendRefs"]}


def _named(host: str) -> ServiceRef:
    found = service_named(host, HERE)
    assert found is not None
    return found


@DIALECTS
@pytest.mark.parametrize("weights", [(90, 10), (0, 100), (100, 0)])
@pytest.mark.parametrize("turned", [False, True])
def test_a_version_beside_a_declared_service_is_a_version_of_that_one(
    dialect: str, weights: tuple[int, int], turned: bool
) -> None:
    split = dict(zip((API, API_CANARY), weights, strict=True))
    rollout = dict(reversed(split.items())) if turned else split
    for forked in (("ui", "api"), ("api",)):
        assert led(dialect, rollout, *forked) == {(HERE, "api-dev", 80): 1}
    # Of a service without a fork it stays with production, as that does, and has its own port.
    assert led(dialect, rollout, "ui") == rollout


@DIALECTS
def test_a_version_of_another_namespace_follows_the_declared_service_of_that_one(dialect: str) -> None:
    forked = ("ui", "store")
    assert led(dialect, {STORE: 0, STORE_CANARY: 5, UI: 5}, *forked) == {
        (THERE, "store-dev", 90): 5,
        (HERE, "ui-dev", 80): 5,
    }
    # Beside none of its namespace, or beside two, nobody knows whose it is.
    assert led(dialect, {UI: 0, STORE_CANARY: 1}, *forked) == {UI: 0, STORE_CANARY: 1}
    assert led(dialect, {STORE: 0, QUEUE: 0, STORE_CANARY: 1}, *forked) == {
        STORE: 0,
        QUEUE: 0,
        STORE_CANARY: 1,
    }


@DIALECTS
def test_a_version_beside_no_or_several_declared_services_is_of_the_service_that_was_asked(
    dialect: str,
) -> None:
    for ways in (
        {UI_CANARY: 1},
        {UI_CANARY: 1, STORE: 0},
        {UI: 0, API: 0, UI_CANARY: 1},
        {API: 0, UI: 0, API_CANARY: 1},
    ):
        assert led(dialect, ways, "ui", "api", "store") == {(HERE, "ui-dev", 80): 1}
        assert led(dialect, ways, "store") == ways


@pytest.mark.parametrize("dialect", test_flow_hosts.DIALECTS)
def test_a_flows_host_sends_the_rollout_of_another_service_to_that_ones_fork(dialect: str) -> None:
    rollout = test_flow_hosts.rule(dialect, ("votes-api", 80, 0), ("votes-api-canary", 8080, 100))
    fork = test_flow_hosts.to(dialect, "votes-api-dev", 80)
    assert test_flow_hosts.led(dialect, rollout) == [[fork]]


def test_only_a_version_of_nothing_that_is_declared_is_outside_of_the_application() -> None:
    def judged(*backends: dict[str, Any]) -> set[str]:
        own = routed.http({"matches": [{"method": "GET"}], "backendRefs": [*backends]})
        return {*routed.found(routed.case(own))}

    api = {"name": "votes-api", "port": 80, "weight": 0}
    canary = {"name": "votes-api-canary", "port": 80}
    assert judged(api, canary) == set()
    assert judged(canary) == set()
    assert judged({**canary, "namespace": NAMESPACE}, api) == set()
    assert judged({**canary, "namespace": "elsewhere"}, api) == {"outside-backend"}
