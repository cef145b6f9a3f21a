"""Which listeners and routes of the user's a public host meets, and what is refused there."""

from __future__ import annotations

from typing import Any

import pytest

from kardinal_infra.model.topology import Topology
from kardinal_infra.observed.live import LiveObjects
from kardinal_infra.plan.gateway import existing_gateway_problems
from kardinal_infra.routing import production_routes
from kardinal_infra.routing.public_hosts import PublicHost, flow_host, production_host
from tests.pure.refusing import refusals
from tests.pure.samples import BASELINE_STACK, NAMESPACE, live, plan, topology

HOST, FLOW_HOST = "voting.localhost", "dev.voting.localhost"
REDIRECT = {"filters": [{"type": "RequestRedirect", "requestRedirect": {"scheme": "https"}}]}
TO_API = {
    "filters": [{"type": "RequestHeaderModifier", "requestHeaderModifier": {"remove": ["x-kardinal-flow"]}}],
    "backendRefs": [{"name": "votes-api", "port": 80}],
}


def app(kind: str = "gateway-api", **gateway: Any) -> Topology:
    words = {"kind": kind, "name": "public", "namespace": "edge", "scheme": "https", "port": 443}
    return topology(gateway={**words, **gateway})


def listener(name: str, protocol: str = "HTTP", allow: Any = "All", **more: Any) -> dict[str, Any]:
    namespaces = {"from": allow} if isinstance(allow, str) else {"from": "Selector", "selector": allow}
    port = {"HTTP": 80, "HTTPS": 443}.get(protocol, 15000)
    allowed = {"namespaces": namespaces, **more.pop("allowed", {})}
    return {"name": name, "port": port, "protocol": protocol, "allowedRoutes": allowed, **more}


def server(protocol: str, *hosts: str, **tls: Any) -> dict[str, Any]:
    port = {"number": 8443, "name": protocol.lower(), "protocol": protocol}
    return {"port": port, "hosts": list(hosts), "tls": tls}


def gateway(**spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "public", "namespace": "edge"}, "spec": spec}


def route(*hosts: str, rule: Any = None, section: str | None = None, **metadata: Any) -> dict[str, Any]:
    parent = {"name": "public", "namespace": "edge", **({"sectionName": section} if section else {})}
    return {
        "metadata": {"name": "own", "namespace": NAMESPACE, **metadata},
        "spec": {"parentRefs": [parent], "hostnames": list(hosts), "rules": [rule or TO_API]},
    }


def snapshot(*listeners: dict[str, Any], routes: Any = (), **more: Any) -> LiveObjects:
    found = [gateway(listeners=list(listeners))] if listeners else []
    return live(gateways=found, http_routes=[*live().http_routes, *routes], **more)


def parents(found: LiveObjects, topology: Topology | None = None) -> tuple[list[Any], list[Any]]:
    """Sections of production's route, None without one, and of the flow's."""
    words = topology or app()
    made = production_routes(words, BASELINE_STACK, found)
    [entry] = plan(topology=words, live=found).entries
    return (
        [ref.get("sectionName") for item in made for ref in item["spec"]["parentRefs"]],
        [ref.get("sectionName") for ref in entry.route["spec"]["parentRefs"]],
    )


BOTH = (listener("http"), listener("https", "HTTPS"))


def test_without_routes_of_the_users_a_host_hangs_on_the_whole_gateway() -> None:
    assert parents(snapshot(*BOTH)) == ([None], [None])


def test_the_named_listener_is_the_only_one() -> None:
    assert parents(snapshot(*BOTH), app(listener="https")) == (["https"], ["https"])


def test_the_users_redirect_to_https_stays_and_is_not_copied() -> None:
    found = snapshot(*BOTH, routes=[route(HOST, rule=REDIRECT, section="http")])
    assert parents(found) == (["https"], [None])
    served = route(HOST, section="https", name="served")
    found = snapshot(*BOTH, routes=[route(HOST, rule=REDIRECT, section="http"), served])
    assert parents(found) == ([], [None])
    [entry] = plan(topology=app(), live=found).entries
    [rule] = entry.route["spec"]["rules"]
    assert rule["backendRefs"] == [{"name": "votes-api-dev", "port": 80}]


@pytest.mark.parametrize("hosts", [(), ("*.localhost",)])
def test_a_redirect_of_all_hosts_is_left_for_the_flows_too(hosts: tuple[str, ...]) -> None:
    found = snapshot(*BOTH, routes=[route(*hosts, rule=REDIRECT, section="http")])
    assert parents(found) == (["https"], ["https"])


@pytest.mark.parametrize(
    ("hosts", "ours"), [((), 0), (("*.localhost",), 0), (("*.voting.localhost",), 1), (("other.test",), 1)]
)
def test_a_host_that_a_wildcard_routes_gets_no_route_of_ours(hosts: tuple[str, ...], ours: int) -> None:
    found = snapshot(*BOTH, routes=[route(*hosts)])
    assert len(production_routes(app(), BASELINE_STACK, found)) == ours


def test_only_the_closest_hosts_routes_answer() -> None:
    exact, wide = route(HOST, name="exact"), route("*.localhost", name="wide")
    found = snapshot(*BOTH, routes=[wide, exact, route(name="all")])
    [entry] = app().entries
    assert production_host(app(), found, entry).routes == [exact]
    assert flow_host(app(), found, entry, "dev").routes == [wide]


def test_routes_of_other_namespaces_answer_but_are_not_copied() -> None:
    foreign = route(HOST, namespace="edge")
    found = snapshot(*BOTH, routes=[foreign])
    [entry] = app().entries
    host = production_host(app(), found, entry)
    assert (host.routes, host.own) == ([foreign], [])
    assert production_routes(app(), BASELINE_STACK, found) == []


def test_routes_of_other_gateways_do_not_answer() -> None:
    other = route(HOST)
    other["spec"]["parentRefs"][0]["name"] = "internal"
    assert len(production_routes(app(), BASELINE_STACK, snapshot(*BOTH, routes=[other]))) == 1


def test_an_unknown_gateway_needs_the_listeners_name_when_routes_differ() -> None:
    hidden = frozenset({"gateways.gateway.networking.k8s.io"})
    both = [
        route(HOST, rule=REDIRECT, section="http", name="redirect"),
        route(HOST, section="https", name="shop"),
    ]
    found = snapshot(routes=both, hidden=hidden)
    assert refusals(app=app(), snapshot=found) == [
        f'topology.entries[0]: host "{FLOW_HOST}" cannot be routed: the routes of {HOST} hang on several'
        " listeners (http, https): say which one by gateway.existing.listener in the baseline stack"
    ]
    [entry] = plan(topology=app(listener="https"), live=found).entries
    assert entry.route["spec"]["parentRefs"][0]["sectionName"] == "https"
    assert len(entry.route["spec"]["rules"]) == 1


ANY = {"matchLabels": {"kubernetes.io/metadata.name": NAMESPACE}}
UNREADABLE = {"matchLabels": {"team": "voting"}}


@pytest.mark.parametrize(
    ("listeners", "reasons"),
    [
        ([listener("http", hostname="*.voting.localhost")], None),
        ([listener("http", allow=ANY)], None),
        ([listener("grpc", "TLS"), listener("http")], None),
        ([listener("http", hostname=HOST)], f"http is for {HOST}"),
        ([listener("http", hostname="*.dev.voting.localhost")], "http is for *.dev.voting.localhost"),
        ([listener("http", allow="Same")], f"http does not allow routes of namespace {NAMESPACE}"),
        ([listener("http", allow=UNREADABLE)], f"http does not allow routes of namespace {NAMESPACE}"),
        ([listener("http", allowed={"kinds": [{"kind": "GRPCRoute"}]})], "http allows no HTTPRoutes"),
        ([listener("tcp", "TCP"), listener("tls", "TLS")], "tcp is for TCP; tls is for TLS"),
    ],
)
def test_a_flows_host_needs_a_listener(listeners: list[Any], reasons: str | None) -> None:
    expected = f'no listener of Gateway edge/public takes host "{FLOW_HOST}" from namespace {NAMESPACE}: '
    found = refusals(app=app(), snapshot=snapshot(*listeners)) if reasons else []
    assert found == ([f"topology.gateway: {expected}{reasons}"] if reasons else [])
    if not reasons:
        assert plan(topology=app(), live=snapshot(*listeners)).entries


def test_labels_that_may_not_be_read_refuse_nothing() -> None:
    own = {"kubernetes.io/metadata.name": NAMESPACE}
    found = PublicHost(app().gateway, live(namespace_labels=own), HOST, NAMESPACE)
    known = snapshot(listener("http", allow=UNREADABLE), namespace_labels=own)
    assert not found.listeners
    assert PublicHost(app().gateway, known, HOST, NAMESPACE).listeners[0].obstacle is None


def test_a_named_listener_that_is_not_there_is_refused() -> None:
    [line] = refusals(app=app(listener="tls"), snapshot=snapshot(*BOTH))
    assert line.endswith(
        "http is not the one that gateway.existing.listener names; https is not the one that"
        " gateway.existing.listener names"
    )


@pytest.mark.parametrize(
    ("servers", "reasons"),
    [
        ([server("HTTPS", "*.voting.localhost", mode="SIMPLE")], None),
        ([server("HTTPS", f"{NAMESPACE}/*", mode="MUTUAL")], None),
        ([server("HTTP", "*")], None),  # TLS ends before it
        ([server("HTTPS", "*", mode="PASSTHROUGH")], "https passes TLS through, and so sees no requests"),
        ([server("TCP", "*")], "tcp is for TCP"),
        ([server("HTTP", "*", httpsRedirect=True)], "http redirects to https"),
        ([server("HTTP", HOST, "other.test")], f"http is for {HOST}, other.test"),
        ([server("HTTP", "./*")], f"http takes no VirtualService of namespace {NAMESPACE}"),
        ([server("HTTP", "team/*", HOST)], f"http takes no VirtualService of namespace {NAMESPACE}"),
    ],
)
def test_a_flows_host_needs_a_server_of_an_istio_gateway(servers: list[Any], reasons: str | None) -> None:
    found = live(gateways=[], istio_gateways=[gateway(servers=servers)])
    if reasons is None:
        assert plan(topology=app("istio"), live=found).entries
    else:
        [line] = refusals(app=app("istio"), snapshot=found)
        assert line.endswith(f'takes host "{FLOW_HOST}" from namespace {NAMESPACE}: {reasons}')


@pytest.mark.parametrize(
    ("kind", "hidden"),
    [("gateway-api", "gateways.gateway.networking.k8s.io"), ("istio", "gateways.networking.istio.io")],
)
def test_a_gateway_that_is_not_there_is_refused_unless_it_may_be_hidden(kind: str, hidden: str) -> None:
    assert refusals(app=app(kind), snapshot=live(gateways=[])) == [
        "cluster: Gateway edge/public does not exist: correct gateway.existing in the baseline stack"
    ]
    assert plan(topology=app(kind), live=live(gateways=[], hidden=frozenset({hidden}))).entries


def test_the_baseline_refuses_a_gateway_that_no_flow_can_use() -> None:
    def problems(found: LiveObjects, words: Topology) -> list[str]:
        return [str(problem.message) for problem in existing_gateway_problems(words, found, "here")]

    assert problems(snapshot(*BOTH), app()) == []
    assert problems(live(gateways=[]), app()) == ["there is no Gateway edge/public"]
    assert problems(live(gateways=[]), app("istio")) == ["there is no Istio Gateway edge/public"]
    wrong = "no listener of Gateway edge/public takes host"
    found = problems(snapshot(listener("http", hostname="*.other.test")), app())
    assert [line.partition(" from ")[0] for line in found] == [
        f'{wrong} "{{flow}}.voting.localhost"',
        f'{wrong} "{HOST}"',
    ]


def test_a_virtual_service_may_name_its_own_namespaces_gateway_by_name_alone() -> None:
    item = {
        "metadata": {"name": "own", "namespace": NAMESPACE},
        "spec": {
            "hosts": [HOST],
            "gateways": ["public"],
            "http": [
                {
                    "match": [{"uri": {"prefix": "/api"}, "gateways": ["public"]}],
                    "headers": {"request": {"remove": ["x-kardinal-flow"]}},
                    "route": [{"destination": {"host": "votes-api"}}],
                }
            ],
        },
    }
    there = gateway(servers=[server("HTTP", "*")])
    there["metadata"]["namespace"] = NAMESPACE
    found = live(virtual_services=[item], istio_gateways=[there])
    [entry] = plan(topology=app("istio", namespace=NAMESPACE), live=found).entries
    [copied] = entry.route["spec"]["http"]
    assert copied["match"] == [{"uri": {"prefix": "/api"}}]
    assert production_routes(app("istio", namespace=NAMESPACE), BASELINE_STACK, found) == []


def test_whoever_answers_for_production_by_a_wildcard_must_remove_the_key() -> None:
    open_rule = {"backendRefs": [{"name": "votes-api", "port": 80}]}
    found = snapshot(*BOTH, routes=[route("*.localhost", rule=open_rule)])
    [line] = refusals(app=app(), snapshot=found)
    assert line.startswith("topology.entries: ")
    assert "[docs/safety.md#open-edge]" in line
    elsewhere = route("*.localhost", rule=open_rule)
    elsewhere["spec"]["parentRefs"][0]["name"] = "internal"
    beside = snapshot(*BOTH, routes=[elsewhere])
    [line] = refusals(app=app(), snapshot=beside)
    assert line.startswith("cluster: ")
    assert plan(topology=app(), live=beside, acknowledge=["open-edge"]).entries
