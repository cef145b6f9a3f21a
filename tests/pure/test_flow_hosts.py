"""A flow's public host leads where the flow's mesh routes would, in both dialects."""

from __future__ import annotations

from typing import Any

import pytest

from tests.pure.samples import live, plan, topology
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
        match = {"match": [{"headers": {"x-canary": {"exact": "1"}}}]} if canary else {}
        return {**match, "headers": {"request": {"remove": ["x-kardinal-flow"]}}, "route": routes}
    refs = [{"name": name, "port": port, "weight": weight} for name, port, weight in backends]
    match = {"matches": [{"headers": [{"name": "x-canary", "value": "1"}]}]} if canary else {}
    return {**match, "filters": [REMOVE], "backendRefs": refs}


def led(dialect: str, *rules: dict[str, Any]) -> list[list[dict[str, Any]]]:
    """Where the rules of the flow's host lead when production's host has these."""
    if dialect == "istio":
        made = plan(topology=with_istio_gateway(), live=beside_istio(own_virtual_service(*rules)))
        return [item["route"] for item in made.entries[0].route["spec"]["http"]]
    made = plan(topology=topology(), live=live(http_routes=[*live().http_routes, own_route(*rules)]))
    return [item["backendRefs"] for item in made.entries[0].route["spec"]["rules"]]


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
