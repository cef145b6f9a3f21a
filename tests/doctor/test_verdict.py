"""From what a collector logs to a diagnosis."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kardinal_infra.doctor.collector import Sighting, read_log
from kardinal_infra.doctor.verdict import seen_calls, trace, undeclared_calls
from kardinal_infra.model.topology import Topology
from kardinal_infra.routing.key import Carrier, Key

CALLS = {"web": ["cart", "votes"], "votes": ["stock"], "cart": [], "stock": ["web"], "mail": ["stock"]}


def topology(**changes: Any) -> Topology:
    services = {name: {"ports": [{"port": 80}], "depends_on": others} for name, others in CALLS.items()}
    for name, change in changes.items():
        services[name] = {**services[name], **change}
    return Topology.model_validate(
        {
            "schemaVersion": 1,
            "application": "shop",
            "namespace": "shop",
            "domain": "shop.example",
            "gateway": {"name": "edge", "namespace": "shop"},
            "services": services,
            "entries": [{"service": "web", "host": "shop.example"}],
        }
    )


HEADER: frozenset[Carrier] = frozenset({"header"})
WHOLE = {("web", "cart"), ("web", "votes"), ("votes", "stock"), ("stock", "web")}


@pytest.mark.parametrize(
    ("calls", "state", "first"),
    [
        (WHOLE, "passed", None),
        (WHOLE - {("stock", "web")}, "dropped", "stock"),
        (WHOLE - {("votes", "stock"), ("stock", "web")}, "dropped", "votes"),
        (set(), "dropped", "web"),
        # One of two calls carried the key: the other one may not have been made.
        (WHOLE - {("web", "cart")}, "unclear", None),
        # ... but whoever sent it to nobody is named all the same.
        (WHOLE - {("web", "cart"), ("votes", "stock"), ("stock", "web")}, "dropped", "votes"),
    ],
)
def test_the_first_service_that_sends_the_key_to_nobody_is_named(
    calls: set[tuple[str, str]], state: str, first: str | None
) -> None:
    found = trace(topology(), "web", calls)
    assert (found.state, found.first_drop) == (state, first)
    assert [(edge.caller, edge.callee) for edge in found.edges] == [
        ("web", "cart"),
        ("web", "votes"),
        ("votes", "stock"),
        ("stock", "web"),
    ]


def test_nobody_is_blamed_for_what_cannot_be_seen() -> None:
    calls = {("web", "cart"), ("web", "votes")}
    deaf = trace(topology(), "web", calls, deaf=["votes"])
    assert [edge.state for edge in deaf.edges] == ["passed", "passed", "unseen", "unreached"]
    assert (deaf.state, deaf.first_drop) == ("unclear", None)
    mute = trace(topology(), "web", calls, mute=["stock"])
    assert mute == deaf


def test_who_may_have_sent_the_key_where_nobody_sees_it_is_not_blamed() -> None:
    found = trace(topology(), "web", set(), mute=["cart"])
    assert [edge.state for edge in found.edges[:2]] == ["unseen", "missing"]
    assert (found.state, found.first_drop) == ("unclear", None)


def test_calls_without_headers_are_not_expected() -> None:
    found = trace(topology(stock={"ports": [{"port": 5672, "protocol": "tcp"}]}), "web", WHOLE)
    assert ("votes", "stock") not in [(edge.caller, edge.callee) for edge in found.edges]
    assert found.state == "passed"


def test_undeclared_calls_are_told() -> None:
    sightings = [
        Sighting("votes", "10.0.0.1", HEADER),
        Sighting("cart", "10.0.0.2", HEADER),
        Sighting("web", "", HEADER),
    ]
    calls = seen_calls(topology(), sightings, {"10.0.0.1": ["web"], "10.0.0.2": ["votes"]}, "header")
    assert calls == {("web", "votes"), ("votes", "cart"), ("unknown", "web")}
    assert undeclared_calls(topology(), calls) == (("unknown", "web"), ("votes", "cart"))


def test_a_call_of_pods_behind_several_services_counts_for_all_that_declare_it() -> None:
    # The same pods are behind mail, votes and web.
    pods = {"10.0.0.1": ["mail", "votes", "web"]}
    sightings = [Sighting(callee, "10.0.0.1", HEADER) for callee in ("votes", "cart", "stock")]
    calls = seen_calls(topology(), sightings, pods, "header")
    assert calls == {("web", "votes"), ("web", "cart"), ("votes", "stock"), ("mail", "stock")}
    found = trace(topology(), "web", calls)
    assert [edge.state for edge in found.edges[:3]] == ["passed", "passed", "passed"]
    assert undeclared_calls(topology(), calls) == ()
    # What none of them declares is told once.
    assert seen_calls(topology(), [Sighting("web", "10.0.0.1", HEADER)], pods, "header") == {("mail", "web")}


KEY = "doctor-a1b2c3d4"


def test_the_log_is_read_for_this_key_alone() -> None:
    entries = [
        {"hop": "votes", "header": KEY, "from": "192.0.2.1, 10.0.0.1"},
        {"hop": "cart", "header": None, "from": "10.0.0.1", "baggage": f"user=me, kardinal-flow={KEY};p=1"},
        {"hop": "cart", "header": "doctor-other", "from": "10.0.0.1"},
        {"hop": None, "header": KEY, "from": "10.0.0.1"},
        [KEY],
    ]
    lines = ["[critical] words of Envoy's own", *map(json.dumps, entries)]
    sightings = list(read_log(lines, KEY, Key(asked=("header", "baggage"))))
    by_header = Sighting("votes", "10.0.0.1", HEADER)
    assert sightings == [by_header, Sighting("cart", "10.0.0.1", frozenset({"baggage"}))]
    assert list(read_log(lines, KEY)) == [by_header]
    found = seen_calls(topology(), sightings, {"10.0.0.1": ["web"]}, "baggage")
    assert found == {("web", "cart")}
