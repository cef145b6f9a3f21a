"""Which dialect a Service's routes get, and the mixtures that are refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from kardinal_infra.observed.live import LiveObjects
from kardinal_infra.plan import baseline_problems
from kardinal_infra.routing import catch_all_routes
from tests.pure.refusing import UI, flow, refusals
from tests.pure.samples import BASELINE_STACK, NAMESPACE, live, plan, topology

FULL = f"voting-app-ui.{NAMESPACE}.svc.cluster.local"
TITLE = f"VirtualService {NAMESPACE}/canary"


def virtual_service(
    hosts: list[str], namespace: str = NAMESPACE, name: str = "canary", **spec: Any
) -> dict[str, Any]:
    http = [{"route": [{"destination": {"host": "voting-app-ui"}}]}]
    return {
        "metadata": {"name": name, "namespace": namespace, "resourceVersion": "7"},
        "spec": {"hosts": hosts, "http": http, **spec},
    }


def with_virtual_services(*items: dict[str, Any], without_route: str = "voting-app-ui") -> LiveObjects:
    """The cluster where one Service is routed by VirtualServices alone."""
    routes = [item for item in live().http_routes if without_route not in item["metadata"]["name"]]
    return live(virtual_services=items, http_routes=routes)


def test_a_service_with_a_virtual_service_gets_rules_and_no_route() -> None:
    planned = plan(live=with_virtual_services(virtual_service(["voting-app-ui"])))
    assert [route["metadata"]["labels"]["kardinal.dev/service"] for route in planned.routes] == ["votes-api"]
    [insertion] = planned.insertions
    assert (insertion.namespace, insertion.virtual_service, insertion.lost_at) == (NAMESPACE, "canary", "7")
    [rule] = insertion.rules
    assert rule == {
        "name": "kardinal.dev.0",
        "match": [{"headers": {"x-kardinal-flow": {"exact": "dev"}}, "gateways": ["mesh"]}],
        "route": [{"destination": {"host": "voting-app-ui-dev"}}],
        "headers": {"response": {"set": {"x-kardinal-fork": "voting-app-ui-dev"}}},
    }
    assert "voting-app-ui: 1 rules in front of VirtualService voting-app/canary" in planned.describe()


def test_the_baseline_leaves_such_a_service_alone() -> None:
    snapshot = with_virtual_services(virtual_service([FULL]))
    assert baseline_problems(topology(), snapshot) == []
    made = catch_all_routes(topology(), BASELINE_STACK, snapshot.routes, snapshot.virtual_services)
    assert [item["metadata"]["name"] for item in made] == ["votes-api-80-kardinal-baseline"]


def test_rules_that_are_there_are_not_lost() -> None:
    item = virtual_service(["voting-app-ui"])
    [insertion] = plan(live=with_virtual_services(item)).insertions
    item["spec"]["http"] = [*insertion.rules, *item["spec"]["http"]]
    [again] = plan(live=with_virtual_services(item)).insertions
    assert again == replace(insertion, lost_at="")


def test_rules_behind_one_of_the_owners_are_lost() -> None:
    item = virtual_service(["voting-app-ui"])
    [insertion] = plan(live=with_virtual_services(item)).insertions
    item["spec"]["http"] = [*item["spec"]["http"], *insertion.rules]
    [again] = plan(live=with_virtual_services(item)).insertions
    assert again == insertion


def test_a_route_of_gateway_api_beside_a_virtual_service_is_refused() -> None:
    snapshot = live(virtual_services=[virtual_service([FULL])])
    message = (
        f'{TITLE} and HTTPRoute {NAMESPACE}/voting-app-ui-80-kardinal-baseline are on Service "voting-app-ui"'
        " together: the mesh ignores a VirtualService as soon as there is a route of Gateway API; keep one of"
        " the two kinds"
    )
    assert refusals(snapshot=snapshot) == [f"{UI}: {message}"]
    assert [str(item) for item in baseline_problems(topology(), snapshot)] == [
        f"kardinal:baseline.services.voting-app-ui: {message}"
    ]


def test_two_virtual_services_are_refused() -> None:
    items = (virtual_service(["voting-app-ui"]), virtual_service([FULL], name="other", namespace="else"))
    assert refusals(snapshot=with_virtual_services(*items)) == [
        f'{UI}: VirtualService else/other and {TITLE} all take the requests of Service "voting-app-ui" in the'
        " mesh, which heeds only one of them: make them one"
    ]


@pytest.mark.parametrize(
    ("item", "message"),
    [
        (
            virtual_service([FULL], namespace="else"),
            'VirtualService else/canary routes Service "voting-app-ui" from another namespace than the'
            f" Service's, where a flow does not write: move it to namespace {NAMESPACE}",
        ),
        (
            virtual_service(["*.voting-app.svc.cluster.local"]),
            f'{TITLE} takes the requests of Service "voting-app-ui" by the host'
            f' *.voting-app.svc.cluster.local; flows need one of its own with the host "{FULL}"',
        ),
        (
            virtual_service(["voting-app-ui.voting-app"]),
            f'{TITLE} takes the requests of Service "voting-app-ui" by the host voting-app-ui.voting-app;'
            f' flows need one of its own with the host "{FULL}"',
        ),
        (
            virtual_service(["voting-app-ui", "votes-api"]),
            f"{TITLE} routes several Services (votes-api, voting-app-ui) by one list, where a flow's rules"
            " for one would take the requests of the others too: give each Service a VirtualService of its"
            " own",
        ),
        (
            virtual_service(["voting-app-ui"], http=[]),
            f'{TITLE} is on Service "voting-app-ui" but has no http rules that a flow\'s could be made from',
        ),
        (
            virtual_service(["voting-app-ui"], http=[{"delegate": {"name": "routes"}}]),
            f"{TITLE} delegates to another VirtualService (routes), where a flow's rules cannot stand:"
            " write the routes into it",
        ),
    ],
    ids=["namespace", "wildcard", "partial", "several", "empty", "delegate"],
)
def test_a_virtual_service_that_cannot_take_a_flow_is_refused(item: dict[str, Any], message: str) -> None:
    only_ui = flow(isolation="services")
    routes = [route for route in live().http_routes if "voting-app-ui" not in route["metadata"]["name"]]
    without_api = [] if "votes-api" in message or "*" in message else routes
    found = refusals(only_ui, snapshot=live(virtual_services=[item], http_routes=without_api))
    assert f"{UI}: {message}" in found
    assert not [line for line in found if line.startswith(UI) and message not in line]


def test_a_virtual_service_that_leads_elsewhere_is_refused_for_a_fork() -> None:
    item = virtual_service(["voting-app-ui"], http=[{"route": [{"destination": {"host": "www.example"}}]}])
    assert refusals(snapshot=with_virtual_services(item)) == [
        f'{UI}: no route on Service "voting-app-ui" leads to it or to a version of it in namespace'
        f" {NAMESPACE}: a flow's requests would never reach its fork"
    ]


def test_a_rule_that_uses_the_key_is_refused() -> None:
    item = virtual_service(["voting-app-ui"])
    item["spec"]["http"][0]["match"] = [{"headers": {"X-Kardinal-Flow": {"prefix": "d"}}}]
    assert refusals(snapshot=with_virtual_services(item)) == [
        f"{UI}: {TITLE} cannot take a flow: one of its rules uses the header x-kardinal-flow, which is the"
        " flows' own"
    ]


def test_a_conflict_on_a_service_that_is_not_forked_matters_only_when_it_leads_to_a_fork() -> None:
    only_api = flow(services={"votes-api": {"image": "x"}})
    aside = virtual_service(["voting-app-ui"])
    assert plan(live=live(virtual_services=[aside]), services=only_api["services"]).insertions == ()
    passing = virtual_service(["voting-app-ui"], http=[{"route": [{"destination": {"host": "votes-api"}}]}])
    [line] = refusals(only_api, snapshot=live(virtual_services=[passing]))
    assert line.startswith(f"topology.services.voting-app-ui: {TITLE} and HTTPRoute")


def test_a_service_that_passes_requests_on_to_a_fork_gets_rules_too() -> None:
    http = [
        {"match": [{"uri": {"prefix": "/api"}}], "route": [{"destination": {"host": "votes-api"}}]},
        {"route": [{"destination": {"host": "voting-app-ui"}}]},
    ]
    snapshot = with_virtual_services(virtual_service(["voting-app-ui"], http=http))
    [insertion] = plan(live=snapshot, services={"votes-api": {"image": "x"}}).insertions
    [rule] = insertion.rules
    assert rule["route"] == [{"destination": {"host": "votes-api-dev"}}]
    assert rule["match"] == [
        {"uri": {"prefix": "/api"}, "headers": {"x-kardinal-flow": {"exact": "dev"}}, "gateways": ["mesh"]}
    ]


def test_both_route_kinds_on_one_port_are_refused() -> None:
    grpc = {
        "kind": "GRPCRoute",
        "metadata": {"name": "calls", "namespace": NAMESPACE},
        "spec": {
            "parentRefs": [{"group": "", "kind": "Service", "name": "voting-app-ui", "port": 80}],
            "rules": [{"backendRefs": [{"name": "voting-app-ui", "port": 80}]}],
        },
    }
    assert refusals(snapshot=live(grpc_routes=[grpc])) == [
        f"{UI}: HTTPRoute {NAMESPACE}/voting-app-ui-80-kardinal-baseline and GRPCRoute {NAMESPACE}/calls are"
        ' both on port 80 of Service "voting-app-ui": the mesh never meets a GRPCRoute\'s rule without'
        " service and method behind an HTTPRoute that takes everything; use one kind on a port"
    ]
    alone = replace(with_virtual_services(), grpc_routes=[grpc])
    assert [item["kind"] for item in plan(live=alone).routes] == ["HTTPRoute", "GRPCRoute"]


def test_a_fork_that_no_route_leads_to_is_refused() -> None:
    elsewhere = [dict(item) for item in live().http_routes]
    for item in elsewhere:
        if "voting-app-ui" in item["metadata"]["name"]:
            item["spec"] = {
                **item["spec"],
                "rules": [{"backendRefs": [{"name": "x", "namespace": "y", "port": 80}]}],
            }
    assert refusals(snapshot=live(http_routes=elsewhere)) == [
        f'{UI}: no route on Service "voting-app-ui" leads to it or to a version of it in namespace'
        f" {NAMESPACE}: a flow's requests would never reach its fork"
    ]
