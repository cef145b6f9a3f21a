"""The safety rules about routes: nothing to say about what this package makes, and each trap found."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest

from kardinal_infra.live import LiveObjects
from kardinal_infra.names import Owner
from kardinal_infra.routing import (
    Targets,
    catch_all_routes,
    entry_route,
    flow_entries,
    flow_routes,
    production_routes,
)
from kardinal_infra.safety import Case, ProposedFork
from kardinal_infra.safety.routing_rules import REFUSALS, RULES
from tests.pure.samples import BASELINE_STACK, NAMESPACE, STACK, live, service, topology, workload

UI, FORK = "voting-app-ui", "voting-app-ui-dev"
OWNER = Owner(STACK, NAMESPACE, "dev")
FORKS = {UI: FORK}
Change = Callable[[dict[str, Any]], Any]


def http(*rules: dict[str, Any], name: str = "own", port: int | None = 80, **spec: Any) -> dict[str, Any]:
    parent = {"group": "", "kind": "Service", "name": UI, **({"port": port} if port else {})}
    return {
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"parentRefs": [parent], "rules": list(rules), **spec},
    }


def case(*routes: dict[str, Any], snapshot: LiveObjects | None = None) -> Case:
    """The demonstration with its baseline's routes and `routes`, and a flow that forks the page."""
    app = topology()
    snapshot = snapshot or live()
    production = production_routes(app, BASELINE_STACK)
    snapshot = replace(snapshot, http_routes=[*snapshot.http_routes, *production, *routes])
    made = flow_routes(OWNER, UI, 80, snapshot.routes, FORKS, app.services)
    fork = ProposedFork(
        service=UI,
        path=f"kardinal:flow.services.{UI}",
        baseline={**workload(UI), "kind": "Deployment"},
        workload=workload(FORK),
        service_manifest=service(FORK),
    )
    entry = entry_route(OWNER, app.gateway, UI, "dev.voting.localhost", 80, FORK)
    return Case(
        live=snapshot,
        topology=app,
        flow="dev",
        forks=(fork,),
        routes=tuple(made),
        entries=(entry,),
        requested=frozenset({UI}),
    )


def found(judged: Case, *, refusals: bool = False) -> dict[str, str]:
    """Message by rule; one finding of a rule at most."""
    findings = [finding for rule in (REFUSALS if refusals else RULES) for finding in rule.findings(judged)]
    assert len({finding.rule for finding in findings}) == len(findings), findings
    return {finding.rule: f"{finding.path}: {finding.message}" for finding in findings}


def changed(judged: Case, change: Change, part: str = "routes") -> Case:
    [manifest] = getattr(judged, part)
    copy = deepcopy(dict(manifest))
    change(copy["spec"])
    return replace(judged, **{part: (copy,)})


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


@pytest.mark.parametrize(
    "backend", [{"name": UI, "namespace": "else"}, {"name": "x", "kind": "Hostname", "group": "g"}]
)
def test_a_backend_outside_the_application_is_said(backend: dict[str, Any]) -> None:
    own = http({"matches": [{"method": "GET"}], "backendRefs": [{**backend, "port": 80}]})
    assert found(case(own)).keys() == {"outside-backend"}


def test_a_path_expression_behind_a_catch_all_is_said_to_be_dead() -> None:
    match = {"path": {"type": "RegularExpression", "value": "/v[0-9]+"}}
    own = http({"matches": [match], "backendRefs": [{"name": UI, "port": 80}]})
    assert found(case(own)).keys() == {"dead-expression"}
    alone = case(own)
    only = [
        route for route in alone.live.http_routes if route["metadata"]["name"] != f"{UI}-80-kardinal-baseline"
    ]
    assert found(replace(alone, live=replace(alone.live, http_routes=only), routes=())) == {}


def test_a_port_that_the_topology_leaves_out_is_said() -> None:
    both = service(UI)
    both["spec"]["ports"].append({"name": "admin", "port": 9000})
    judged = case(snapshot=live(services=[both, service("votes-api")]))
    assert found(judged) == {
        "undeclared-port": f"kardinal:flow.services.{UI}: port 9000 of Service {UI} is not declared in the"
        " topology: requests of the flow to it reach production"
    }


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


def istio_case(**spec: Any) -> Case:
    item = {
        "metadata": {"name": "canary", "namespace": NAMESPACE},
        "spec": {"hosts": [UI], "http": [{"route": [{"destination": {"host": UI}}]}], **spec},
    }
    routes = [
        route for route in catch_all_routes(topology(), BASELINE_STACK) if UI not in route["metadata"]["name"]
    ]
    judged = case(snapshot=live(virtual_services=[item], http_routes=routes))
    insertion = flow_entries(item, Targets(OWNER, UI, FORKS, topology().services))
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


@pytest.mark.parametrize(
    "expression",
    [
        "(unclosed",
        "closed)",
        "[a-z",
        "*",
        "a|+b",
        "(?=ahead)",
        "(?<!behind)x",
        r"(a)\1",
        "end\\",
    ],
)
@pytest.mark.parametrize("part", ["path", "headers", "queryParams"])
def test_an_expression_that_the_mesh_cannot_read_is_refused(expression: str, part: str) -> None:
    item = {"type": "RegularExpression", "name": "x", "value": expression}
    own = http(
        {
            "matches": [{"method": "GET", part: item if part == "path" else [item]}],
            "backendRefs": [{"name": UI, "port": 80}],
        }
    )
    assert "broken-expression" in found(case(own))
    other_port = {
        **own,
        "spec": {**own["spec"], "parentRefs": [{**own["spec"]["parentRefs"][0], "port": 81}]},
    }
    for_others = {**own, "metadata": {"name": "own", "namespace": "elsewhere"}}
    for_others["spec"] = {
        **own["spec"],
        "parentRefs": [{**own["spec"]["parentRefs"][0], "namespace": NAMESPACE}],
    }
    for harmless in (other_port, for_others):
        assert "broken-expression" not in found(case(harmless))


@pytest.mark.parametrize(
    "expression",
    [
        r"/v[0-9]+(/.*)?",
        r"(?i)^a\(b\)$",
        "(?P<name>a|b)(?:c)(?i:d)(?<e>f)",
        "[]a](b)[^]()]",
        r"[[:alpha:]\]*]+",
        r"\Q(*\E+?",
        r"\d\\",
        "a(?i)b",
        "",
    ],
)
def test_an_expression_of_re2_is_no_problem(expression: str) -> None:
    match = {"path": {"type": "RegularExpression", "value": expression}, "method": "GET"}
    own = http({"matches": [match], "backendRefs": [{"name": UI, "port": 80}]})
    assert "broken-expression" not in found(case(own))
