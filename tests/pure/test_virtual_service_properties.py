"""Random VirtualServices and flows: the same promises as with routes of Gateway API, at gateways too."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from kardinal_infra.model.names import HEADER_FLOW, Owner
from kardinal_infra.routing import Targets, flow_insertion
from kardinal_infra.routing.istio.mesh import inserted, removed, rule_flow
from tests.pure.gateway_model import NOT_FOUND
from tests.pure.istio_model import Call, destinations, entry_for, outcome_of
from tests.pure.random_routes import HEADERS, METHODS, NAMESPACE, PATHS, VERSIONS, flows_of
from tests.pure.samples import MANY

SERVICES = ("web", "votes", "cart")
INGRESS = "istio-system/ingress"
MEDDLING = ({"remove": ["X-Kardinal-Flow"]}, {"set": {HEADER_FLOW: "x"}}, {"add": {HEADER_FLOW: "x"}})
"""What the owner's rules do to the key."""
Sample = tuple[dict[str, Any], dict[str, dict[str, str]], list[Call]]


def _match(random: Random) -> dict[str, Any]:
    match: dict[str, Any] = {}
    if random.random() < 0.6:
        match["uri"] = {random.choice(("exact", "prefix")): random.choice(PATHS)}
    if random.random() < 0.3:
        match["method"] = {"exact": random.choice(METHODS)}
    for part in ("headers", "withoutHeaders"):
        values = {name: {"exact": random.choice("12")} for name in HEADERS if random.random() < 0.2}
        if values:
            match[part] = values
    if random.random() < 0.2:
        match["gateways"] = random.choice((["mesh"], [INGRESS], ["mesh", INGRESS]))
    if random.random() < 0.2:
        match["port"] = random.choice((80, 9000))
    return match


def _rule(random: Random) -> dict[str, Any]:
    rule: dict[str, Any] = {}
    if count := random.choice((0, 1, 1, 1, 2)):
        rule["match"] = [_match(random) for _ in range(count)]
    if random.random() < 0.1:
        return {**rule, "redirect": {"uri": "/"}}
    hosts = random.sample((*SERVICES, *VERSIONS), k=random.choice((1, 1, 2, 2, 3)))
    rule["route"] = [
        {
            "destination": {
                "host": random.choice((host, f"{host}.{NAMESPACE}.svc.cluster.local")),
                **({"subset": "v2"} if random.random() < 0.2 else {}),
            },
            "weight": random.choice((0, 10, 90)),
        }
        for host in hosts
    ]
    if random.random() < 0.3:
        random.choice((rule, *rule["route"]))["headers"] = {"request": random.choice(MEDDLING)}
    if random.random() < 0.2:
        rule["mirror"] = {"host": random.choice((*SERVICES, *VERSIONS))}
    return rule


@st.composite
def samples(draw: st.DrawFn) -> Sample:
    """The VirtualService of `votes`, flows, and calls."""
    random = Random(draw(st.integers(0, 2**32)))
    spec = {
        "hosts": ["votes"],
        "gateways": random.choice((["mesh"], ["mesh", INGRESS])),
        "http": [_rule(random) for _ in range(draw(st.integers(1, 6)))],
    }
    calls = [
        Call(
            random.choice((*PATHS, "/api/x", "/other")),
            random.choice(METHODS),
            {name: random.choice("12") for name in HEADERS if random.random() < 0.4},
            random.choice((80, 9000)),
        )
        for _ in range(draw(st.integers(1, 8)))
    ]
    item = {"metadata": {"name": "votes", "namespace": NAMESPACE, "resourceVersion": "7"}, "spec": spec}
    return item, flows_of(random, SERVICES), calls


def with_flow(item: dict[str, Any], flow: str, forks: dict[str, str]) -> dict[str, Any]:
    owner = Owner(f"organization/shop/{flow}", NAMESPACE, flow)
    insertion = flow_insertion(item, Targets(owner, "votes", forks, SERVICES))
    if insertion is None:
        return item
    return {**item, "spec": {**item["spec"], "http": inserted(item["spec"]["http"], flow, insertion.rules)}}


def with_all(item: dict[str, Any], flows: dict[str, dict[str, str]]) -> dict[str, Any]:
    for flow, forks in flows.items():
        item = with_flow(item, flow, forks)
    return item


def named(host: str) -> str:
    return host.split("/")[0].split(".")[0]


def tagged(call: Call, flow: str, **changes: Any) -> Call:
    return replace(call, headers={**call.headers, HEADER_FLOW: flow}, **changes)


@MANY
@given(samples())
def test_requests_without_a_known_key_never_notice_a_flow(sample: Sample) -> None:
    item, flows, calls = sample
    after = with_all(item, flows)
    for call in calls:
        for asked in (call, tagged(call, "unknown")):
            assert destinations(after, asked) == destinations(item, asked)


@MANY
@given(samples())
def test_no_key_matters_at_a_gateway(sample: Sample) -> None:
    item, flows, calls = sample
    after = with_all(item, flows)
    for call in calls:
        for flow in flows:
            forged = tagged(call, flow, through=INGRESS)
            assert destinations(after, forged) == destinations(item, forged)


@MANY
@given(samples())
def test_requests_with_a_key_reach_exactly_the_forks_of_that_flow(sample: Sample) -> None:
    item, flows, calls = sample
    after = with_all(item, flows)
    for flow, forks in flows.items():
        for call in calls:
            before, got = destinations(item, call), destinations(after, tagged(call, flow))
            entry = entry_for(item, call) or {}
            beside = {named(way["destination"]["host"]) for way in entry.get("route") or ()} & {*SERVICES}
            [owner] = beside if len(beside) == 1 else {"votes"}  # whose version any other is
            targets = {name if name in SERVICES else owner for name in map(named, before)}
            if before in (NOT_FOUND, {"redirect": 1}) or not targets & forks.keys():
                assert got == before
            else:
                assert got.keys() == {forks[target] for target in targets & forks.keys()}


@MANY
@given(samples())
def test_no_request_of_a_flow_loses_its_key_where_the_flow_has_rules(sample: Sample) -> None:
    """Nor is it mirrored to production."""
    item, flows, calls = sample
    for flow, forks in flows.items():
        after = with_flow(item, flow, forks)
        for call in calls if after != item else ():
            entry = entry_for(after, tagged(call, flow)) or {}
            outcome = outcome_of(entry, NAMESPACE, call, [flow])
            assert all(way.keys == {(flow,)} for way in outcome.ways)
            assert {place.name for place in outcome.mirrors} <= {*forks.values()}


@MANY
@given(samples(), st.data())
def test_removing_a_flow_gives_back_the_table_without_it(sample: Sample, data: st.DataObject) -> None:
    item, flows, _ = sample
    gone = data.draw(st.sampled_from(sorted(flows)))
    left = removed(with_all(item, flows)["spec"]["http"], gone)
    others = {flow: forks for flow, forks in flows.items() if flow != gone}
    assert left == with_all(item, others)["spec"]["http"]
    assert [rule for rule in left if rule_flow(rule) is None] == item["spec"]["http"]


@MANY
@given(samples())
def test_writing_a_flow_again_changes_nothing_and_is_noticed_as_there(sample: Sample) -> None:
    item, flows, _ = sample
    after = with_all(item, flows)
    for flow, forks in flows.items():
        again = flow_insertion(after, Targets(Owner("o/s/f", NAMESPACE, flow), "votes", forks, SERVICES))
        before = [rule for rule in after["spec"]["http"] if rule_flow(rule) == flow]
        assert (again.lost_at if again else "") == ""
        assert list(again.rules if again else ()) == before
