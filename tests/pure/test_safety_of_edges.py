"""The rule `open-edge`: no way in from outside lets a client choose the fork that answers."""

from __future__ import annotations

from typing import Any

import pytest

from tests.pure.routed import UI, case, found, http
from tests.pure.samples import NAMESPACE, live


def test_an_edge_that_lets_the_key_in_is_found() -> None:
    own = http({"backendRefs": [{"name": UI, "port": 80}]}, hostnames=["voting.localhost"])
    own["spec"]["parentRefs"] = [{"name": "edge"}]
    assert found(case(own)).keys() == {"open-edge"}
    own["spec"]["rules"][0]["filters"] = [
        {"type": "RequestHeaderModifier", "requestHeaderModifier": {"remove": ["X-Kardinal-Flow"]}}
    ]
    own["spec"]["rules"].append({"filters": [{"type": "RequestRedirect", "requestRedirect": {}}]})
    assert found(case(own)) == {}


def test_an_edge_of_istio_that_lets_the_key_in_is_found() -> None:
    entry: dict[str, Any] = {"route": [{"destination": {"host": UI}}]}
    item = {
        "metadata": {"name": "edge", "namespace": NAMESPACE},
        "spec": {"hosts": ["voting.localhost"], "gateways": ["istio-system/edge"], "http": [entry]},
    }
    assert found(case(snapshot=live(virtual_services=[item]))).keys() == {"open-edge"}
    entry["headers"] = {"request": {"remove": ["x-kardinal-flow"]}}
    assert found(case(snapshot=live(virtual_services=[item]))) == {}


REMOVES = {"type": "RequestHeaderModifier", "requestHeaderModifier": {"remove": ["x-kardinal-flow"]}}
SETS = {
    "type": "RequestHeaderModifier",
    "requestHeaderModifier": {"set": [{"name": "X-Kardinal-Flow", "value": "none"}]},
}


ENTERS = {
    "type": "RequestHeaderModifier",
    "requestHeaderModifier": {"set": [{"name": "X-Kardinal-Flow", "value": "dev"}]},
}


def on_gateway(*rules: dict[str, Any], hosts: tuple[str, ...] = ("api.example.com",)) -> dict[str, Any]:
    own = http(*rules, hostnames=list(hosts))
    own["spec"]["parentRefs"] = [{"name": "internal", "namespace": "gateways"}]
    return own


def to(name: str = "votes-api", **backend: Any) -> dict[str, Any]:
    return {"name": name, "port": 80, **backend}


@pytest.mark.parametrize("kind", ["HTTPRoute", "GRPCRoute"])
def test_a_gateway_route_of_any_host_that_lets_the_key_in_is_found(kind: str) -> None:
    def judged(*rules: dict[str, Any], hosts: tuple[str, ...] = ("api.example.com",)) -> dict[str, str]:
        own = {"kind": kind, **on_gateway(*rules, hosts=hosts)}
        return found(case(own) if kind == "HTTPRoute" else case(snapshot=live(grpc_routes=[own])))

    open_rule = {"backendRefs": [to()]}
    assert judged(open_rule) == {
        "open-edge": f"cluster: {kind} {NAMESPACE}/own lets clients of api.example.com in with a"
        " flow's x-kardinal-flow, sent by them or set there, and so to a fork through Service votes-api:"
        " remove the header there with a RequestHeaderModifier in every rule"
    }
    assert "clients of any host" in judged(open_rule, hosts=())["open-edge"]
    on_production = judged(open_rule, hosts=("voting.localhost",))
    assert on_production["open-edge"].startswith("topology.entries: ")
    for harmless in (
        {"backendRefs": [to()], "filters": [REMOVES]},
        {"backendRefs": [to()], "filters": [SETS]},
        {"backendRefs": [to(filters=[REMOVES]), to(weight=0)]},
        {"filters": [{"type": "RequestRedirect", "requestRedirect": {}}]},
        {"backendRefs": [to(namespace="elsewhere")]},
        {"backendRefs": [to("another")]},
        {"backendRefs": [to(kind="Hostname", group="networking.istio.io")]},
        {"backendRefs": None, "filters": None},
    ):
        assert judged(harmless) == {}
    for harmful in (
        {"backendRefs": [to(filters=[REMOVES]), to(UI)]},
        {"backendRefs": [to()], "filters": [ENTERS]},  # everybody's requests would enter this flow
        {"backendRefs": [to(filters=[ENTERS])], "filters": [REMOVES]},
        {
            "backendRefs": [
                to(f"votes-api.{NAMESPACE}.svc.cluster.local", kind="Hostname", group="networking.istio.io")
            ]
        },
    ):
        assert judged(harmful).keys() == {"open-edge"}


def test_routes_of_flows_and_of_the_mesh_are_no_edge() -> None:
    flows = on_gateway({"backendRefs": [to()]})
    flows["metadata"]["labels"] = {"kardinal.dev/flow": "other"}
    assert found(case(flows)) == {}


REMOVED = {"request": {"remove": ["X-Kardinal-Flow"]}}


@pytest.mark.parametrize(
    ("entry", "is_open"),
    [
        ({}, True),
        ({"headers": {"request": {"add": {"x-kardinal-flow": "x"}}}}, True),
        ({"headers": REMOVED}, False),
        ({"headers": {"request": {"set": {"x-kardinal-flow": "none"}}}}, False),
        ({"headers": {"request": {"set": {"X-Kardinal-Flow": "dev"}}}}, True),
        ({"headers": {"request": {"remove": ["x-kardinal-flow"], "add": {"x-kardinal-flow": "dev"}}}}, True),
        ({"route": [{"destination": {"host": "votes-api"}, "headers": REMOVED}]}, False),
        ({"route": [{"destination": {"host": f"votes-api.{NAMESPACE}.svc.cluster.local"}}]}, True),
        ({"route": [{"destination": {"host": "elsewhere.example.com"}}]}, False),
        ({"route": None, "redirect": {"uri": "/"}}, False),
        ({"route": None, "directResponse": {"status": 404}}, False),
        ({"match": [{"gateways": ["mesh"]}]}, False),
        ({"match": [{"gateways": ["mesh"]}, {"gateways": ["gateways/internal"]}]}, True),
    ],
)
def test_a_rule_of_a_gateways_virtual_service_that_lets_the_key_in_is_found(
    entry: dict[str, Any], is_open: bool
) -> None:
    http = [{"route": [{"destination": {"host": "votes-api"}}], **entry}]
    item = {
        "metadata": {"name": "edge", "namespace": NAMESPACE},
        "spec": {"hosts": ["api.example.com"], "gateways": ["gateways/internal", "mesh"], "http": http},
    }
    shown = found(case(snapshot=live(virtual_services=[item])))
    assert shown == (
        {
            "open-edge": f"cluster: VirtualService {NAMESPACE}/edge lets clients of api.example.com in with a"
            " flow's x-kardinal-flow, sent by them or set there, and so to a fork through Service votes-api:"
            " put it into headers.request.remove of every rule"
        }
        if is_open
        else {}
    )


def test_what_a_gateways_virtual_service_delegates_to_is_followed() -> None:
    def judged(delegate: dict[str, Any], **entry: Any) -> dict[str, str]:
        root = {
            "metadata": {"name": "edge", "namespace": NAMESPACE},
            "spec": {
                "hosts": ["api.example.com"],
                "gateways": ["gateways/internal"],
                "http": [{"delegate": {"name": "part", "namespace": "parts"}, **entry}],
            },
        }
        part = {"metadata": {"name": "part", "namespace": "parts"}, "spec": {"http": [delegate]}}
        return found(case(snapshot=live(virtual_services=[root, part])))

    to_api = {"route": [{"destination": {"host": f"votes-api.{NAMESPACE}.svc.cluster.local"}}]}
    removed = {"headers": REMOVED}
    assert judged(to_api).keys() == {"open-edge"}
    assert judged(to_api, **removed) == {}
    assert judged({**to_api, **removed}) == {}
    assert judged({**to_api, "headers": {"response": {}}}, **removed).keys() == {"open-edge"}


def test_what_cannot_be_followed_counts_on_a_production_host_alone() -> None:
    def judged(host: str, **entry: Any) -> dict[str, str]:
        http = [{"delegate": {"name": "hidden", "namespace": "parts"}, **entry}]
        spec = {"hosts": [host], "gateways": ["gateways/internal"], "http": http}
        root = {"metadata": {"name": "edge", "namespace": NAMESPACE}, "spec": spec}
        return found(case(snapshot=live(virtual_services=[root])))

    assert judged("voting.localhost").keys() == {"open-edge"}
    assert judged("voting.localhost", headers=REMOVED) == {}
    assert judged("api.example.com") == {}
