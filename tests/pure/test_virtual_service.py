"""Entries for a VirtualService: what is copied, changed, added and left out."""

from __future__ import annotations

from typing import Any

import pytest

from kardinal_infra.model.names import Owner, ServiceRef
from kardinal_infra.observed.virtual_services import claiming, service_named
from kardinal_infra.routing import Targets, flow_insertion
from kardinal_infra.routing.istio.mesh import inserted, removed, rule_flow

NAMESPACE = "shop"
DECLARED = ("votes", "web", "cart")
FORKS = {"votes": "votes-dev", "cart": "cart-dev"}
KEY = {"x-kardinal-flow": {"exact": "dev"}}
VOTES = {"destination": {"host": "votes"}}


def object_of(*http: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "votes", "namespace": NAMESPACE, "resourceVersion": "7"},
        "spec": {"hosts": ["votes"], "http": list(http), **spec},
    }


def derive(item: dict[str, Any], service: str = "votes") -> list[dict[str, Any]]:
    found = flow_insertion(item, Targets(Owner("o/p/dev", NAMESPACE, "dev"), service, FORKS, DECLARED))
    return [dict(rule) for rule in found.rules] if found else []


def only(rule: dict[str, Any], **spec: Any) -> dict[str, Any]:
    [made] = derive(object_of(rule, **spec))
    return made


def test_everything_a_rule_says_is_kept_beside_the_key() -> None:
    rule = {
        "name": "api",
        "match": [
            {"uri": {"prefix": "/api"}, "headers": {"x-a": {"regex": "1+"}}, "sourceLabels": {"app": "web"}},
            {"method": {"exact": "GET"}, "port": 80, "name": "gets"},
        ],
        "route": [{**VOTES, "headers": {"response": {"add": {"x-b": "1"}}}}],
        "timeout": "3s",
        "retries": {"attempts": 2},
        "fault": {"abort": {"httpStatus": 503, "percentage": {"value": 1}}},
        "rewrite": {"uri": "/v1"},
        "corsPolicy": {"allowOrigins": [{"exact": "https://shop.example"}]},
    }
    kept = {key: rule[key] for key in ("timeout", "retries", "fault", "rewrite", "corsPolicy")}
    assert only(rule) == {
        **kept,
        "name": "kardinal.dev.0",
        "match": [
            {
                "uri": {"prefix": "/api"},
                "headers": {"x-a": {"regex": "1+"}, **KEY},
                "sourceLabels": {"app": "web"},
                "gateways": ["mesh"],
            },
            {"method": {"exact": "GET"}, "port": 80, "name": "gets", "headers": KEY, "gateways": ["mesh"]},
        ],
        "route": [
            {"destination": {"host": "votes-dev"}, "headers": {"response": {"add": {"x-b": "1"}}}},
        ],
        "headers": {"response": {"set": {"x-kardinal-fork": "votes-dev"}}},
    }


@pytest.mark.parametrize(
    ("destination", "made"),
    [
        ({"host": "votes"}, {"host": "votes-dev"}),
        ({"host": "votes.shop.svc.cluster.local", "subset": "v2"}, {"host": "votes-dev"}),
        (
            {"host": "votes.shop.svc.corp.internal", "port": {"number": 80}},
            {"host": "votes-dev", "port": {"number": 80}},
        ),
        ({"host": "votes-canary", "port": {"number": 8081}}, {"host": "votes-dev"}),
        ({"host": "cart", "port": {"number": 80}}, {"host": "cart-dev", "port": {"number": 80}}),
    ],
)
def test_destinations_become_forks(destination: dict[str, Any], made: dict[str, Any]) -> None:
    assert only({"route": [{"destination": destination}]})["route"] == [{"destination": made}]


@pytest.mark.parametrize("host", ["web", "votes.other.svc.cluster.local", "www.example", "*", "votes.shop"])
def test_other_destinations_open_nothing(host: str) -> None:
    assert derive(object_of({"route": [{"destination": {"host": host}}]})) == []


def test_a_canary_does_not_get_a_flows_requests() -> None:
    split = [
        {"destination": {"host": "votes", "subset": "v1"}, "weight": 90},
        {"destination": {"host": "votes", "subset": "v2"}, "weight": 10},
        {"destination": {"host": "web"}, "weight": 5},
        {"destination": {"host": "cart"}, "weight": 0},
    ]
    assert only({"route": split})["route"] == [{"destination": {"host": "votes-dev"}}]


def test_weights_among_forks_stay() -> None:
    split = [{**VOTES, "weight": 30}, {"destination": {"host": "cart"}, "weight": 70}]
    assert only({"route": split})["route"] == [
        {"destination": {"host": "votes-dev"}, "weight": 30},
        {"destination": {"host": "cart-dev"}, "weight": 70},
    ]


def test_rules_before_the_forks_are_copied_and_those_after_it_are_not() -> None:
    first = {"match": [{"uri": {"exact": "/old"}}], "redirect": {"uri": "/"}}
    web = {"match": [{"uri": {"prefix": "/web"}}], "route": [{"destination": {"host": "web"}}]}
    votes = {"match": [{"uri": {"prefix": "/votes"}}], "route": [VOTES]}
    made = derive(object_of(first, web, votes, web))
    assert [rule["name"] for rule in made] == ["kardinal.dev.0", "kardinal.dev.1", "kardinal.dev.2"]
    assert made[0]["redirect"] == {"uri": "/"}
    assert made[1]["route"] == web["route"]
    assert "headers" not in made[1]
    assert made[2]["route"] == [{"destination": {"host": "votes-dev"}}]


@pytest.mark.parametrize(
    ("later", "copied"),
    [
        ({"headers": {"request": {"remove": ["X-Kardinal-Flow"], "set": {"x-a": "1"}}}}, 3),
        ({"headers": {"request": {"set": {"x-a": "1"}}}}, 1),
        ({"mirror": {"host": "cart"}}, 3),
        ({"mirror": {"host": "web"}}, 3),
    ],
)
def test_rules_after_the_forks_are_copied_as_far_as_they_change_for_a_flow(
    later: dict[str, Any], copied: int
) -> None:
    votes = {"match": [{"uri": {"prefix": "/votes"}}], "route": [VOTES]}
    plain = {"match": [{"uri": {"prefix": "/web"}}], "route": [{"destination": {"host": "web"}}]}
    made = derive(object_of(votes, plain, {**plain, **later}, plain))
    assert len(made) == copied
    assert not any("x-kardinal-flow" in str(rule.get("headers")).lower() for rule in made)
    assert (
        derive(object_of(plain, {**plain, **later})) == []
    )  # nothing of the flow's is to be found behind it


def test_what_follows_a_rule_that_takes_everything_is_not_copied() -> None:
    assert len(derive(object_of({"route": [VOTES]}, {"route": [VOTES]}))) == 1


def test_matches_for_gateways_alone_are_left_out() -> None:
    mixed = {
        "match": [{"gateways": ["edge"]}, {"gateways": ["edge", "mesh"], "uri": {"prefix": "/a"}}],
        "route": [VOTES],
    }
    edge = {"match": [{"gateways": ["edge"]}], "route": [VOTES]}
    made = derive(object_of(edge, mixed, gateways=["mesh", "edge"]))
    assert [rule["match"] for rule in made] == [
        [{"uri": {"prefix": "/a"}, "headers": KEY, "gateways": ["mesh"]}]
    ]


def test_mirrors_go_to_forks_or_nowhere() -> None:
    to_cart, to_web = {"host": "cart", "subset": "v2"}, {"host": "web"}
    rule = {
        "route": [VOTES],
        "mirror": to_web,
        "mirrorPercentage": {"value": 5},
        "mirrors": [
            {"destination": to_cart, "percentage": {"value": 50}},
            {"destination": {"host": "shadow"}},
        ],
    }
    made = only(rule)
    assert made["mirrors"] == [{"destination": {"host": "cart-dev"}, "percentage": {"value": 50}}]
    assert not {"mirror", "mirrorPercentage"} & made.keys()
    kept = only({"route": [VOTES], "mirror": to_cart, "mirrorPercentage": {"value": 5}})
    assert (kept["mirror"], kept["mirrorPercentage"]) == ({"host": "cart-dev"}, {"value": 5})


def test_headers_that_change_the_key_are_left_out() -> None:
    request = {
        "set": {"X-Kardinal-Flow": "x", "x-a": "1"},
        "add": {"x-kardinal-flow": "y"},
        "remove": ["x-kardinal-flow"],
    }
    made = only(
        {
            "route": [{**VOTES, "headers": {"request": {"remove": ["x-kardinal-flow"]}}}],
            "headers": {"request": request, "response": {"set": {"x-kardinal-fork": "forged", "x-b": "1"}}},
        }
    )
    assert made["headers"] == {
        "request": {"set": {"x-a": "1"}},
        "response": {"set": {"x-b": "1", "x-kardinal-fork": "votes-dev"}},
    }
    assert made["route"] == [{"destination": {"host": "votes-dev"}}]


@pytest.mark.parametrize("part", ["headers", "withoutHeaders"])
def test_a_match_on_the_key_is_refused(part: str) -> None:
    with pytest.raises(ValueError, match="uses the header x-kardinal-flow"):
        derive(object_of({"match": [{part: {"x-kardinal-flow": {"exact": "x"}}}], "route": [VOTES]}))


def test_rules_of_flows_are_known_by_name_alone() -> None:
    names = ("kardinal.dev.0", "kardinal.a-1.12", "kardinal.dev", "kardinal.dev.x", "other.dev.0", None)
    assert [rule_flow({"name": name}) for name in names] == ["dev", "a-1", None, None, None, None]


def test_insertion_and_removal_leave_everybody_elses_rules_alone() -> None:
    own: dict[str, Any] = {"name": "api", "route": [VOTES]}
    other = {"name": "kardinal.other.0"}
    mine = {"name": "kardinal.dev.0", "timeout": "1s"}
    http = [other, {"name": "kardinal.dev.0"}, own, {"name": "kardinal.dev.1"}]
    assert inserted(http, "dev", [mine]) == [mine, other, own]
    assert removed(http, "dev") == [other, own]
    assert removed(http, "d") == http


@pytest.mark.parametrize(
    ("host", "found"),
    [
        ("votes", ServiceRef("home", "votes")),
        ("votes.shop.svc.cluster.local", ServiceRef("shop", "votes")),
        ("votes.shop", None),
        ("votes.shop.svc", None),
        ("*.shop.svc.cluster.local", None),
        ("*", None),
        ("www.shop.example", None),
    ],
)
def test_hosts_are_resolved_as_istio_does(host: str, found: ServiceRef | None) -> None:
    assert service_named(host, "home") == found


@pytest.mark.parametrize(
    ("host", "gateways", "claims"),
    [
        ("votes", None, True),
        ("votes", ["mesh", "edge"], True),
        ("votes", ["edge"], False),
        ("*.svc.cluster.local", None, True),
        ("votes.shop.svc", None, True),
        ("cart", None, False),
        ("votes.other.svc.cluster.local", None, False),
    ],
)
def test_whatever_might_take_a_services_requests_claims_it(
    host: str, gateways: list[str] | None, claims: bool
) -> None:
    item = object_of(**({"gateways": gateways} if gateways else {}))
    item["spec"]["hosts"] = [host]
    assert (claiming([item], NAMESPACE, "votes") == [item]) is claims
