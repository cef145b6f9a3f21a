"""The safety rules about routes: nothing to say about what this package makes, and each trap found."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from kardinal_infra.routing import Targets, catch_all_routes, flow_insertion
from kardinal_infra.safety import Case
from kardinal_infra.safety.rules.stripped_key import stripped_key
from tests.pure.routed import FORK, FORKS, OWNER, UI, Change, case, changed, found, http
from tests.pure.samples import BASELINE_STACK, NAMESPACE, live, service, topology


def test_nothing_is_said_about_what_this_package_makes() -> None:
    rules = [
        {
            "matches": [{"path": {"value": "/api"}, "method": "GET"}],
            "backendRefs": [{"name": UI, "port": 80}],
        },
        {
            "matches": [{"headers": [{"name": "x", "value": "1"}]}] * 2,
            "backendRefs": [{"name": UI, "port": 80}],
        },
    ]
    for judged in (case(), case(http(*rules)), case(http(*rules * 20))):
        assert judged.routes
        assert found(judged) == {}
        assert found(judged, refusals=True) == {}


@pytest.mark.parametrize(
    ("rule", "change", "part"),
    [
        ("open-route", lambda spec: spec["rules"][0].pop("matches"), "routes"),
        ("open-route", lambda spec: spec["rules"][0]["matches"].append({}), "routes"),
        ("open-route", lambda spec: key(spec).update(value="other"), "routes"),
        ("open-route", lambda spec: key(spec).update(type="RegularExpression"), "routes"),
        ("wrong-port", lambda spec: spec["parentRefs"][0].update(port=81), "routes"),
        ("wrong-port", lambda spec: spec["rules"][0]["backendRefs"][0].update(port=81), "routes"),
        ("portless-flow-route", lambda spec: spec["parentRefs"][0].pop("port"), "routes"),
        ("entry-without-key", lambda spec: spec["rules"][0].pop("filters"), "entries"),
        ("entry-without-key", lambda spec: spec["rules"].append({"backendRefs": []}), "entries"),
        (
            "foreign-expression",
            lambda spec: spec["rules"][0]["matches"][0].update(
                path={"type": "RegularExpression", "value": "("}
            ),
            "routes",
        ),
    ],
)
def test_a_mistake_in_a_flows_own_routes_is_found(rule: str, change: Change, part: str) -> None:
    assert rule in found(changed(case(), change, part))


def key(spec: dict[str, Any]) -> dict[str, str]:
    entry: dict[str, str] = spec["rules"][0]["matches"][0]["headers"][0]
    return entry


@pytest.mark.parametrize(
    "match",
    [
        {"path": {"type": "PathPrefix", "value": "/api"}},
        {"method": "GET"},
        {"headers": [{"name": "x-a", "value": "1"}, {"name": "x-b", "value": "1"}]},
    ],
)
def test_a_rule_that_the_baseline_gained_later_is_found(match: dict[str, Any]) -> None:
    before = case()
    after = case(http({"matches": [match], "backendRefs": [{"name": UI, "port": 80}]}))
    assert found(replace(after, routes=before.routes)) == {
        "shadowed-rule": f"kardinal:flow.services.{UI}: a match of HTTPRoute {NAMESPACE}/own has no copy with"
        " the key in the flow's routes: requests of the flow that meet it reach production"
    }


def test_a_forked_port_without_any_route_of_the_flow_is_found() -> None:
    assert found(replace(case(), routes=())) == {
        "shadowed-rule": f"kardinal:flow.services.{UI}: the flow has no route on port 80 of Service {UI}: its"
        " requests there reach production, not the fork"
    }


def routed_only_by(rules: list[dict[str, Any]], port: int = 80) -> Case:
    """The flow has no route, and the baseline none on the forked page but of these rules."""
    judged = case(http(*rules, port=port))
    own = f"{UI}-80-kardinal-baseline"
    routes = [item for item in judged.live.http_routes if item["metadata"]["name"] != own]
    return replace(judged, live=replace(judged.live, http_routes=routes), routes=())


def to(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "port": 80, **more}


@pytest.mark.parametrize(
    "backends",
    [
        [to(UI)],
        [to("votes-api"), to(UI, weight=1)],
        [to("a-canary")],
        [to(UI, weight=0), to("a-canary", weight=100)],
        [to("votes-api"), to(UI, weight=0), to("a-canary")],
    ],
)
def test_a_port_whose_routes_lead_to_a_fork_needs_one_of_the_flow(backends: list[dict[str, Any]]) -> None:
    rules = [{"backendRefs": [to("votes-api")]}, {"backendRefs": backends}]
    assert "shadowed-rule" in found(routed_only_by(rules))


@pytest.mark.parametrize(
    "backends",
    [
        [],
        [to("votes-api")],
        [to("votes-api"), to(UI, weight=0)],
        [to("votes-api", weight=0), to("its-canary", weight=100)],
        [to("a-canary", namespace="elsewhere")],
        [to(UI, kind="Hostname", group="networking.istio.io")],
    ],
)
def test_a_port_whose_routes_lead_to_no_fork_needs_none(backends: list[dict[str, Any]]) -> None:
    assert "shadowed-rule" not in found(routed_only_by([{"backendRefs": backends}]))


def test_a_port_needs_no_route_of_the_flow_for_another_one_s_or_when_the_plan_refuses_it() -> None:
    assert "shadowed-rule" not in found(routed_only_by([{"backendRefs": [to(UI)]}], port=81))
    refused = replace(case(), routes=(), refused_ports=frozenset({(UI, 80)}))
    assert found(refused) == {}


def test_a_call_route_of_a_flow_beside_the_baselines_http_routes_is_refused() -> None:
    [made] = case().routes
    beside = replace(case(), routes=({**made, "kind": "GRPCRoute"},))
    assert found(beside, refusals=True).keys() == {"mixed-route-kinds"}


def test_a_headless_fork_is_found() -> None:
    judged = case()
    headless = replace(judged.forks[0], service_manifest=service(FORK, clusterIP="None"))
    assert found(replace(judged, forks=(headless,))).keys() == {"headless-fork"}


@pytest.mark.parametrize(
    ("rule", "item"),
    [
        (
            "mirror-left-out",
            {"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "votes-api"}}},
        ),
        ("lost-baggage", {"type": "RequestHeaderModifier", "requestHeaderModifier": {"remove": ["Baggage"]}}),
        (
            "lost-baggage",
            {
                "type": "RequestHeaderModifier",
                "requestHeaderModifier": {"set": [{"name": "baggage", "value": "a=b"}]},
            },
        ),
    ],
)
def test_what_a_filter_of_the_baseline_does_to_a_flow_is_said(rule: str, item: dict[str, Any]) -> None:
    own = http({"matches": [{"method": "GET"}], "filters": [item], "backendRefs": [{"name": UI, "port": 80}]})
    assert found(case(own)).keys() == {rule}
    harmless = http(
        {
            "matches": [{"method": "GET"}],
            "filters": [
                {"type": "RequestMirror", "requestMirror": {"backendRef": {"name": UI}}},
                {"type": "RequestHeaderModifier", "requestHeaderModifier": {"remove": ["x-a"]}},
            ],
            "backendRefs": [{"name": UI, "port": 80}],
        }
    )
    assert found(case(harmless)) == {}


def test_a_filter_of_one_backend_that_touches_baggage_is_said() -> None:
    item = {"type": "RequestHeaderModifier", "requestHeaderModifier": {"remove": ["baggage"], "set": None}}
    backend = {"name": UI, "port": 80, "filters": [item]}
    own = http({"matches": [{"method": "GET"}], "backendRefs": [backend, {"name": UI, "port": 80}]})
    assert found(case(own)).keys() == {"lost-baggage"}


STRIP = {"type": "RequestHeaderModifier", "requestHeaderModifier": {"remove": ["x-kardinal-flow"]}}
STRIPPING: list[dict[str, Any]] = [
    {"filters": [STRIP], "backendRefs": [{"name": UI, "port": 80}]},
    {"backendRefs": [{"name": UI, "port": 80, "filters": [STRIP]}]},
]


@pytest.mark.parametrize("rule", STRIPPING)
def test_a_route_that_takes_the_key_before_a_service_that_calls_a_fork(rule: dict[str, Any]) -> None:
    judged = case(http(rule))
    api = replace(judged.forks[0], service="votes-api", path="kardinal:flow.services.votes-api")
    forked = replace(judged, forks=(api,), routes=(), requested=frozenset())
    stripped = list(stripped_key.findings(forked))
    assert [item.path for item in stripped] == ["topology.services.voting-app-ui"]
    assert f"HTTPRoute {NAMESPACE}/own takes x-kardinal-flow from requests" in stripped[0].message
    # Where the flow has routes of its own they are copies without this; and the API calls nobody.
    assert not [*stripped_key.findings(replace(forked, routes=judged.routes))]
    assert not [*stripped_key.findings(judged)]
    # On the ports where it has some.
    beside = replace(case(http(rule, port=9000)), forks=(api,), routes=judged.routes, requested=frozenset())
    assert [*stripped_key.findings(beside)] == stripped


@pytest.mark.parametrize(("gateways", "found_there"), [(["mesh", "a/b"], 1), (["a/b"], 0), (None, 1)])
def test_a_virtual_service_that_takes_the_key(gateways: list[str] | None, found_there: int) -> None:
    headers = {"request": {"remove": ["X-Kardinal-Flow"]}}
    entry = {"headers": headers, "route": [{"destination": {"host": UI}}]}
    item = {
        "metadata": {"name": "own", "namespace": NAMESPACE},
        "spec": {"hosts": [UI], "http": [entry], **({"gateways": gateways} if gateways else {})},
    }
    judged = case()
    api = replace(judged.forks[0], service="votes-api")
    snapshot = replace(judged.live, virtual_services=[item])
    forked = replace(judged, live=snapshot, forks=(api,), routes=())
    assert len([*stripped_key.findings(forked)]) == found_there


@pytest.mark.parametrize(
    "backend", [{"name": UI, "namespace": "else"}, {"name": "x", "kind": "Hostname", "group": "g"}]
)
def test_a_backend_outside_the_application_is_said(backend: dict[str, Any]) -> None:
    own = http({"matches": [{"method": "GET"}], "backendRefs": [{**backend, "port": 80}]})
    assert found(case(own)).keys() == {"outside-backend"}


@pytest.mark.parametrize(("port", "told"), [(80, set()), (81, {"wrong-port"})])
def test_a_hostname_of_istios_is_judged_as_the_service_that_it_names(port: int, told: set[str]) -> None:
    name = f"votes-api.{NAMESPACE}.svc.cluster.local"
    backend = {"name": name, "kind": "Hostname", "group": "networking.istio.io", "port": port}
    own = http({"matches": [{"method": "GET"}], "backendRefs": [backend]})
    assert found(case(own)).keys() == told


def test_a_path_expression_behind_a_catch_all_is_said_to_be_dead() -> None:
    match = {"path": {"type": "RegularExpression", "value": "/v[0-9]+"}}
    own = http({"matches": [match], "backendRefs": [{"name": UI, "port": 80}]})
    assert found(case(own)).keys() == {"dead-expression"}
    alone = case(own)
    only = [
        route for route in alone.live.http_routes if route["metadata"]["name"] != f"{UI}-80-kardinal-baseline"
    ]
    assert "dead-expression" not in found(
        replace(alone, live=replace(alone.live, http_routes=only), routes=())
    )


def test_a_port_that_the_topology_leaves_out_is_said() -> None:
    both = service(UI)
    both["spec"]["ports"].append({"name": "admin", "port": 9000})
    judged = case(snapshot=live(services=[both, service("votes-api")]))
    assert found(judged) == {
        "undeclared-port": f"kardinal:flow.services.{UI}: port 9000 of Service {UI} is not declared in the"
        " topology: requests of the flow to it reach production"
    }


def istio_case(**spec: Any) -> Case:
    item = {
        "metadata": {"name": "canary", "namespace": NAMESPACE},
        "spec": {"hosts": [UI], "http": [{"route": [{"destination": {"host": UI}}]}], **spec},
    }
    routes = [
        route for route in catch_all_routes(topology(), BASELINE_STACK) if UI not in route["metadata"]["name"]
    ]
    judged = case(snapshot=live(virtual_services=[item], http_routes=routes))
    insertion = flow_insertion(item, Targets(OWNER, UI, FORKS, topology().services))
    assert insertion is not None
    return replace(judged, routes=(insertion.manifest(),))


def test_entries_of_a_virtual_service_are_judged_too() -> None:
    judged = istio_case()
    assert found(judged) == {}
    assert found(judged, refusals=True) == {}
    opened = changed(judged, lambda spec: spec["http"][0]["match"][0]["headers"].clear())
    assert found(opened).keys() == {"open-route"}
    assert found(istio_case(exportTo=["."])).keys() == {"private-virtual-service"}


def test_what_a_plan_refuses_is_a_rule_as_well() -> None:
    twin = {"metadata": {"name": "twin", "namespace": NAMESPACE}, "spec": {"hosts": [UI]}}
    judged = istio_case()
    two = replace(judged, live=replace(judged.live, virtual_services=[*judged.live.virtual_services, twin]))
    assert found(two, refusals=True).keys() == {"duplicate-virtual-service"}
    delegating = istio_case()
    delegating.live.virtual_services[0]["spec"]["http"].append({"delegate": {"name": "x"}})
    assert found(delegating, refusals=True).keys() == {"unusable-virtual-service"}
    mixed = case(snapshot=live(virtual_services=[twin]))
    assert "mixed-dialects" in found(mixed, refusals=True)
    backend = {"backendRefs": [{"name": UI, "port": 80}]}
    assert found(case(http(backend, port=None)), refusals=True).keys() == {"portless-route"}
    foreign = http(backend)
    foreign["metadata"]["namespace"] = "callers"
    foreign["spec"]["parentRefs"][0]["namespace"] = NAMESPACE
    assert found(case(foreign), refusals=True).keys() == {"consumer-route"}
    calls = case(snapshot=live(grpc_routes=[{"kind": "GRPCRoute", **http(backend)}]))
    assert found(calls, refusals=True).keys() == {"mixed-route-kinds"}
    assert found(case(snapshot=live(http_routes=[])), refusals=True).keys() == {"missing-catch-all"}
