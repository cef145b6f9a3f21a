"""Public hosts beside the user's own routes, and on an Istio Gateway."""

from __future__ import annotations

from typing import Any

from kardinal_infra.model.names import Owner
from kardinal_infra.model.topology import Topology
from kardinal_infra.observed.live import LiveObjects
from kardinal_infra.routing import Targets, entry_route, production_routes
from kardinal_infra.routing.public_hosts import production_host
from tests.pure.istio_model import Call, destinations, entry_for
from tests.pure.refusing import refusals
from tests.pure.samples import BASELINE_STACK, NAMESPACE, STACK, live, plan, topology

UI, FORK = "voting-app-ui", "voting-app-ui-dev"
HOST, FLOW_HOST = "voting.localhost", "dev.voting.localhost"
OWNER = Owner(STACK, NAMESPACE, "dev")
TARGETS = Targets.of(topology(), OWNER, UI, {UI: FORK})
INGRESS = "istio-system/ingress"
GATEWAY = {"kind": "istio", "name": "ingress", "namespace": "istio-system", "port": 80}
SET_KEY = {"name": "x-kardinal-flow", "value": "dev"}


def own_route(*rules: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "edge", "namespace": NAMESPACE, **metadata},
        "spec": {
            "parentRefs": [{"name": "kardinal"}],
            "hostnames": [HOST, "www.example"],
            "rules": list(rules),
        },
    }


def with_hosts(route: dict[str, Any], *hosts: str) -> dict[str, Any]:
    return {**route, "spec": {**route["spec"], "hostnames": list(hosts)}}


def own_virtual_service(*http: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "edge", "namespace": NAMESPACE},
        "spec": {"hosts": [HOST], "gateways": [INGRESS], "http": list(http), **spec},
    }


def with_istio_gateway() -> Topology:
    return topology(gateway=GATEWAY)


def beside_istio(*virtual_services: dict[str, Any]) -> LiveObjects:
    port = {"number": 80, "name": "http", "protocol": "HTTP"}
    gateway = {
        "metadata": {"name": "ingress", "namespace": "istio-system"},
        "spec": {"servers": [{"port": port, "hosts": ["*"]}]},
    }
    return live(virtual_services=virtual_services, gateways=[], istio_gateways=[gateway])


REMOVE = {"type": "RequestHeaderModifier", "requestHeaderModifier": {"remove": ["x-kardinal-flow", "x-a"]}}
TO_API = {
    "matches": [{"path": {"type": "PathPrefix", "value": "/api"}}],
    "filters": [REMOVE],
    "backendRefs": [{"name": "votes-api", "port": 80}],
}
TO_UI = {"filters": [REMOVE], "backendRefs": [{"name": UI, "port": 80}, {"name": "ui-canary", "port": 80}]}
REDIRECT = {
    "matches": [{"path": {"type": "Exact", "value": "/old"}}],
    "filters": [{"type": "RequestRedirect", "requestRedirect": {"path": {"type": "ReplaceFullPath"}}}],
}


def test_a_host_that_the_user_routes_gets_no_production_route_of_ours() -> None:
    def beside(*routes: dict[str, Any]) -> list[dict[str, Any]]:
        return production_routes(topology(), BASELINE_STACK, live(http_routes=routes))

    assert beside(own_route(TO_UI)) == []
    ours = production_routes(topology(), BASELINE_STACK)
    assert beside(*ours) == ours
    # Of a Gateway of the same name in its own namespace.
    assert beside(own_route(TO_UI, namespace="else")) == ours


def test_a_flows_host_leads_where_the_users_rules_lead_and_to_forks() -> None:
    production = [own_route(REDIRECT, TO_API, TO_UI)]
    manifest = entry_route(TARGETS, topology().gateway, FLOW_HOST, 80, production=production)
    assert manifest["spec"]["hostnames"] == [FLOW_HOST]
    redirect, api, ui = manifest["spec"]["rules"]
    assert [item["type"] for item in redirect["filters"]] == ["RequestRedirect", "ResponseHeaderModifier"]
    assert api["matches"] == TO_API["matches"]
    assert api["backendRefs"] == TO_API["backendRefs"]
    assert ui["backendRefs"] == [{"name": FORK, "port": 80}]
    for rule, marks in ((api, [SET_KEY]), (ui, [{"name": "x-kardinal-fork", "value": FORK}, SET_KEY])):
        by_type = {item["type"]: item for item in rule["filters"]}
        changes = by_type["RequestHeaderModifier"]["requestHeaderModifier"]
        assert changes == {
            "remove": ["x-a"],
            "set": [SET_KEY],
            "add": [{"name": "baggage", "value": "kardinal-flow=dev"}],
        }
        assert by_type["ResponseHeaderModifier"]["responseHeaderModifier"]["set"] == marks


def test_a_backend_that_removes_the_key_does_not_undo_what_a_flows_host_sets() -> None:
    drop = {"type": "RequestHeaderModifier", "requestHeaderModifier": {"remove": ["x-kardinal-flow"]}}
    set_own = {
        "type": "RequestHeaderModifier",
        "requestHeaderModifier": {"set": [{"name": "x-a", "value": "1"}]},
    }
    mirror = {"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "votes-api", "port": 80}}}
    other = {"name": "x", "namespace": "else", "port": 80, "filters": [set_own]}
    rules: list[dict[str, Any]] = [
        {"backendRefs": [{"name": name, "port": 80, "filters": [drop]}, other]} for name in (UI, "votes-api")
    ]
    rules[0]["backendRefs"][0]["filters"] = [mirror]
    where = (topology().gateway, FLOW_HOST, 80)
    manifest = entry_route(TARGETS, *where, production=[own_route(*rules)])
    ui, api = manifest["spec"]["rules"]
    assert ui["backendRefs"] == [{"name": FORK, "port": 80}]
    assert api["backendRefs"] == [{"name": "votes-api", "port": 80}, other]

    gone = {"request": {"remove": ["x-kardinal-flow"]}}
    item = own_virtual_service(
        {"route": [{"destination": {"host": UI}, "headers": gone}]},
        {"route": [{"destination": {"host": "votes-api"}, "headers": gone}]},
    )
    where = (with_istio_gateway().gateway, FLOW_HOST, 80)
    entries = entry_route(TARGETS, *where, production=[item])["spec"]["http"]
    assert [entry["route"] for entry in entries] == [
        [{"destination": {"host": FORK}}],
        [{"destination": {"host": "votes-api"}}],
    ]


def test_more_rules_than_an_object_holds_are_refused() -> None:
    many = [own_route(*[TO_UI] * 9), own_route(*[TO_UI] * 9)]
    assert refusals(snapshot=live(http_routes=[*live().http_routes, *many])) == [
        f'topology.entries[0]: host "{FLOW_HOST}" cannot be routed: the routes of the production host have'
        " more rules than one object holds (18)"
    ]


def test_more_matches_than_an_object_holds_are_refused() -> None:
    paths = [{"path": {"type": "Exact", "value": f"/{index}"}} for index in range(43)]
    own = own_route(*[{**TO_UI, "matches": paths}] * 3)
    [line] = refusals(snapshot=live(http_routes=[*live().http_routes, own]))
    assert line.startswith(f'topology.entries[0]: host "{FLOW_HOST}" cannot be routed: ')


def test_routes_of_ours_and_of_flows_are_not_the_users() -> None:
    [ours] = production_routes(topology(), BASELINE_STACK)
    flow = own_route(TO_UI, labels={"kardinal.dev/flow": "dev"})
    user = own_route(TO_UI)
    [entry] = topology().entries
    assert production_host(topology(), live(http_routes=[ours, flow, user]), entry).own == [user]
    other = with_hosts(own_route(TO_UI), "other.localhost")
    assert production_host(topology(), live(http_routes=[other]), entry).own == []


def test_an_istio_gateway_gets_virtual_services() -> None:
    [manifest] = production_routes(with_istio_gateway(), BASELINE_STACK)
    assert (manifest["kind"], manifest["spec"]["hosts"], manifest["spec"]["gateways"]) == (
        "VirtualService",
        [HOST],
        [INGRESS],
    )
    forged = Call(headers={"x-kardinal-flow": "dev"}, through=INGRESS)
    assert destinations(manifest, forged) == {UI: 1}
    entry = entry_for(manifest, forged)
    assert entry is not None
    assert entry["headers"] == {"request": {"remove": ["x-kardinal-flow"]}}
    flow = entry_route(TARGETS, with_istio_gateway().gateway, FLOW_HOST, 80)
    assert flow["spec"] == {
        "hosts": [FLOW_HOST],
        "gateways": [INGRESS],
        "http": [
            {
                "route": [{"destination": {"host": FORK, "port": {"number": 80}}}],
                "headers": {
                    "request": {
                        "set": {"x-kardinal-flow": "dev"},
                        "add": {"baggage": "kardinal-flow=dev"},
                    },
                    "response": {"set": {"x-kardinal-flow": "dev", "x-kardinal-fork": FORK}},
                },
            }
        ],
    }


def test_a_flows_host_follows_the_users_virtual_service() -> None:
    item = own_virtual_service(
        {"match": [{"gateways": ["mesh"]}], "route": [{"destination": {"host": "votes-api"}}]},
        {
            "name": "api",
            "match": [{"uri": {"prefix": "/api"}, "gateways": [INGRESS]}],
            "mirror": {"host": "shadow"},
            "route": [{"destination": {"host": "votes-api"}}],
        },
        {
            "headers": {"request": {"remove": ["X-Kardinal-Flow", "x-a"], "set": {"x-b": "1"}}},
            "route": [
                {
                    "destination": {"host": f"{UI}.{NAMESPACE}.svc.cluster.local", "subset": "v1"},
                    "weight": 90,
                },
                {"destination": {"host": "ui-canary"}, "weight": 10},
            ],
        },
        gateways=["mesh", INGRESS],
    )
    manifest = entry_route(TARGETS, with_istio_gateway().gateway, FLOW_HOST, 80, production=[item])
    api, ui = manifest["spec"]["http"]
    assert api["match"] == [{"uri": {"prefix": "/api"}}]
    assert api["route"] == [{"destination": {"host": "votes-api"}}]
    assert not {"mirror", "name"} & api.keys()
    assert api["headers"]["response"]["set"] == {"x-kardinal-flow": "dev"}
    assert ui["route"] == [{"destination": {"host": FORK}}]
    assert ui["headers"] == {
        "request": {
            "set": {"x-b": "1", "x-kardinal-flow": "dev"},
            "add": {"baggage": "kardinal-flow=dev"},
            "remove": ["x-a"],
        },
        "response": {"set": {"x-kardinal-flow": "dev", "x-kardinal-fork": FORK}},
    }
    assert production_routes(with_istio_gateway(), BASELINE_STACK, beside_istio(item)) == []


def test_a_whole_flow_beside_the_users_own_route() -> None:
    snapshot = live(http_routes=[*live().http_routes, own_route(REDIRECT, TO_API, TO_UI)])
    [entry] = plan(live=snapshot).entries
    assert [
        rule["backendRefs"][0]["name"] for rule in entry.route["spec"]["rules"] if "backendRefs" in rule
    ] == [
        "votes-api-dev",
        FORK,
    ]


def test_rules_of_a_flows_host_have_no_names_for_those_of_two_routes_could_be_equal() -> None:
    named = [{**rule, "name": "api"} for rule in (TO_API, REDIRECT)]
    own = [own_route(rule, name=name) for rule, name in zip(named, ("one", "two"), strict=True)]
    [entry] = plan(live=live(http_routes=[*live().http_routes, *own])).entries
    assert [rule["matches"] for rule in entry.route["spec"]["rules"]] == [rule["matches"] for rule in named]
    assert not any("name" in rule for rule in entry.route["spec"]["rules"])


def test_a_fork_gets_nothing_where_production_sends_nothing() -> None:
    backends = [{"name": UI, "port": 80, "weight": 0}, {"name": "votes-api", "port": 80, "weight": 1}]
    own = own_route({"filters": [REMOVE], "backendRefs": backends})
    found = plan(live=live(http_routes=[*live().http_routes, own]), isolation="services")
    [rule] = found.entries[0].route["spec"]["rules"]
    assert rule["backendRefs"] == backends

    for unused in ({"weight": 0}, {}):  # none of several weights stands for 0
        routes = [
            {"destination": {"host": UI}, **unused},
            {"destination": {"host": "votes-api"}, "weight": 100},
        ]
        item = own_virtual_service({"route": routes, "headers": {"request": {"remove": ["x-kardinal-flow"]}}})
        found = plan(topology=with_istio_gateway(), live=beside_istio(item), isolation="services")
        [entry] = found.entries[0].route["spec"]["http"]
        assert entry["route"] == routes


def test_a_whole_flow_on_the_users_istio_gateway() -> None:
    headers = {"request": {"remove": ["x-kardinal-flow"]}}
    item = own_virtual_service({"route": [{"destination": {"host": UI}}], "headers": headers})
    [entry] = plan(topology=with_istio_gateway(), live=beside_istio(item)).entries
    assert entry.route["kind"] == "VirtualService"
    assert entry.route["spec"]["http"][0]["route"] == [{"destination": {"host": FORK}}]
    del item["spec"]["http"][0]["headers"]
    [line] = refusals(app=with_istio_gateway(), snapshot=beside_istio(item))
    assert line == (
        f"topology.entries: VirtualService {NAMESPACE}/edge lets clients of {HOST} in with a flow's"
        " x-kardinal-flow, sent by them or set there, and so to a fork: put it into"
        " headers.request.remove of every rule"
        " [docs/safety.md#open-edge]"
    )


def test_a_host_that_another_virtual_service_has_is_taken() -> None:
    other = own_virtual_service({"route": [{"destination": {"host": UI}}]})
    other["spec"]["hosts"] = [FLOW_HOST]
    found = refusals(app=with_istio_gateway(), snapshot=beside_istio(other))
    assert (
        f'kardinal:flow.id: host "{FLOW_HOST}" is taken by VirtualService {NAMESPACE}/edge; choose another id'
        in found
    )
