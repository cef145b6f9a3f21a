"""Random applications, public hosts and flows: a flow's host leads nowhere that the flow itself would not."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from fractions import Fraction
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kardinal_infra.errors import ConfigError
from tests.pure import gateway_model, istio_model
from tests.pure.gateway_model import answer, written
from tests.pure.istio_model import Call
from tests.pure.outcomes import KEY, Outcome, Place, Way, shares
from tests.pure.random_edges import INGRESS, NOBODY, opened
from tests.pure.random_hosts import DIALECTS, Flow, Shop, asked_flows, asked_of, flow_of, shops
from tests.pure.random_routes import led, requests_of
from tests.pure.samples import MANY
from tests.pure.twins import ask_twin, twin_of

Shares = dict[Place, Fraction]

BOTH = pytest.mark.parametrize("dialect", DIALECTS)
CLIENTS = "of-a-client"


def fork_for(flow: Flow, entry: int, place: Place, written: Sequence[Place]) -> Place | None:
    """The fork that takes a Service's place in the flow's routes of the entry, by docs/routing.md's table."""
    edge, app = flow.shop.edges[entry], flow.shop.application
    declared = [other for other in written if app.homes.get(other.name) == other.namespace]
    beside = [other for other in declared if other.namespace == place.namespace]
    if place in declared:
        service, port = place.name, place.port
    elif len({other.name for other in beside}) == 1:
        service, port = beside[0].name, beside[0].port  # a version, which may listen on another port
    elif place.namespace == edge.home:
        service, port = edge.service, edge.port
    else:
        return None
    fork = flow.forks.get(service)
    return None if fork is None else Place(place.namespace, fork, port)


def forked_shares(flow: Flow, entry: int, production: Outcome) -> Shares:
    """The part of each fork among those that production's backends lead to; empty without any."""
    found = [(fork_for(flow, entry, way.place, production.written), way.weight) for way in production.ways]
    return known(flow, {**shares((fork, weight) for fork, weight in found if fork is not None)})


def known(flow: Flow, parts: Shares) -> Shares:
    """Parts by Service; which port a destination without one means is for its listener or caller to say."""
    if flow.shop.dialect != "istio":
        return parts
    sums: Shares = {}
    for place, part in parts.items():
        name = replace(place, port=0)
        sums[name] = sums.get(name, Fraction()) + part
    return sums


@BOTH
@MANY
@given(data=st.data())
def test_a_flows_host_reaches_no_service_that_its_mesh_route_would_not(
    dialect: str, data: st.DataObject
) -> None:
    flow, requests = data.draw(asked_flows(dialect))
    app = flow.shop.application
    forks = {(app.home(service), fork) for service, fork in flow.forks.items()}
    for asked in requests:
        production, own = flow.production(asked), flow.own(asked)
        forked = forked_shares(flow, asked.entry, production)
        assert known(flow, own.shares).keys() <= (forked or known(flow, production.shares)).keys()
        assert {(place.namespace, place.name) for place in own.mirrors} <= forks


@BOTH
@MANY
@given(data=st.data())
def test_a_flows_host_leads_as_the_same_rules_would_inside_the_mesh(
    dialect: str, data: st.DataObject
) -> None:
    flow, requests = data.draw(asked_flows(dialect))
    for entry in {asked.entry for asked in requests}:
        twin = twin_of(flow, entry)
        for asked in requests:
            own = flow.own(asked)
            if asked.entry == entry and own.answer != "404":  # where the mesh may have one more rule
                inside = ask_twin(twin, asked)
                assert (own.answer, own.fork) == (inside.answer, inside.fork)
                assert known(flow, own.shares) == known(flow, inside.shares)


@BOTH
@MANY
@given(data=st.data())
def test_equal_backends_of_a_flows_host_are_one_with_the_weights_of_the_originals(
    dialect: str, data: st.DataObject
) -> None:
    flow, requests = data.draw(asked_flows(dialect))
    for asked in requests:
        own = flow.own(asked)
        if forked := forked_shares(flow, asked.entry, flow.production(asked)):
            assert len(own.shares) == len(own.ways)
            assert known(flow, own.shares) == forked
            assert own.fork in {place.name for place in forked}


@BOTH
@MANY
@given(data=st.data())
def test_what_a_flows_host_passes_on_carries_the_flows_key_and_follows_it_in_the_mesh(
    dialect: str, data: st.DataObject
) -> None:
    flow, requests = data.draw(asked_flows(dialect))
    app, mesh = flow.shop.application, [*flow.shop.mesh, *flow.routes]
    calls = requests_of(Random(flow.shop.seed + 2), app, 2)
    for asked in requests:
        for way in flow.own(asked).ways:
            assert way.keys == {(flow.id,)}
            [[key]] = way.keys
            for call in calls:  # of whoever is there, handing on what came
                carried = replace(call, headers={**call.headers, KEY: key})
                before, named = answer(flow.shop.mesh, call), written(flow.shop.mesh, call)
                assert answer(mesh, carried).keys() == led(app, call.service, before, named, flow.forks)


@BOTH
@MANY
@given(data=st.data())
def test_no_copy_inside_the_mesh_touches_the_flows_key(dialect: str, data: st.DataObject) -> None:
    flow, _ = data.draw(asked_flows(dialect))
    for entry, edge in enumerate(flow.shop.edges):
        twin = twin_of(flow, entry)
        outcomes = [
            gateway_model.outcome_of(rule, edge.home, [twin.id])
            for route in twin.routes
            for rule in route["spec"]["rules"]
        ]
        outcomes += [
            istio_model.outcome_of(copy, edge.home, Call(), [twin.id])
            for insertion in twin.insertions
            for copy in insertion.rules
        ]
        for outcome in outcomes:
            assert all(way.keys == {(twin.id,)} for way in outcome.ways)


@BOTH
@MANY
@given(data=st.data())
def test_what_leads_to_no_fork_leads_where_productions_host_does(dialect: str, data: st.DataObject) -> None:
    flow, requests = data.draw(asked_flows(dialect))
    for asked in requests:
        production, own = flow.production(asked), flow.own(asked)
        if not forked_shares(flow, asked.entry, production):
            assert (own.answer, own.shares, own.fork) == (production.answer, production.shares, "")


@BOTH
@MANY
@given(data=st.data())
def test_productions_host_never_notices_a_flow_and_never_passes_a_key_on(
    dialect: str, data: st.DataObject
) -> None:
    shop = data.draw(shops(dialect, flows=2))
    own, mesh = deepcopy(shop.own), deepcopy(shop.mesh)
    made: list[object] = []
    for name in shop.forked:
        flow = flow_of(shop, name, made)
        made += [*flow.routes, *flow.hosts]
    assert (shop.own, shop.mesh) == (own, mesh)
    assert shop.production_beside(made) == shop.production
    for asked in asked_of(shop, 8):
        host = shop.edges[asked.entry].host
        before = shop.ask(shop.production, host, asked)
        assert shop.ask([*shop.production, *made], host, asked) == before
        carried = {key for way in before.ways for keys in way.keys for key in keys}
        assert carried <= {NOBODY}


@BOTH
@MANY
@given(data=st.data())
def test_a_production_host_that_passes_a_clients_key_on_or_sets_the_flows_stops_the_flow(
    dialect: str, data: st.DataObject
) -> None:
    closed = data.draw(shops(dialect))
    random = Random(closed.seed + 3)
    [flow] = closed.forked
    shop = replace(closed, own=[opened(random, route, flow) for route in closed.own])
    try:
        flow_of(shop, flow)
        refused = ""
    except ConfigError as error:
        refused = str(error)
    if passes_keys(shop, flow):
        assert "[docs/safety.md#open-edge]" in refused


def passes_keys(shop: Shop, flow: str) -> bool:
    """A client's key, or the flow's, gets through a production host, or to a service by any host."""
    app = shop.application
    services = {(app.home(name), name) for name in app.services}
    answering = [
        route
        for edge in shop.edges
        for route in (
            istio_model.closest(shop.own, edge.host, INGRESS)
            if shop.dialect == "istio"
            else gateway_model.closest(shop.own, edge.host)
        )
    ]
    for route in shop.own:
        for way in ways_of(route):
            led_here = route in answering or (way.place.namespace, way.place.name) in services
            if led_here and any(CLIENTS in keys or keys == (flow,) for keys in way.keys):
                return True
    return False


def ways_of(route: dict[str, Any]) -> list[Way]:
    """Everything that a route leads to from outside."""
    home, spec = route["metadata"]["namespace"], route["spec"]
    outcomes = [gateway_model.outcome_of(rule, home, [CLIENTS]) for rule in spec.get("rules") or ()]
    outcomes += [
        istio_model.outcome_of(entry, home, Call(through=INGRESS), [CLIENTS])
        for entry in spec.get("http") or ()
        if "match" not in entry or any(match.get("gateways") != ["mesh"] for match in entry["match"])
    ]
    return [way for outcome in outcomes for way in outcome.ways]
