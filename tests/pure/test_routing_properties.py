"""Random routes and flows: each key reaches its own forks, nothing else does, and a flow leaves no trace."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from kardinal_infra.names import HEADER_FLOW, Owner, fork_name
from kardinal_infra.routing import flow_routes
from tests.pure.gateway_model import NOT_FOUND, Request, answer
from tests.pure.samples import MANY

NAMESPACE = "shop"
SERVICES = ("web", "votes", "cart")
VERSIONS = ("votes-canary", "web-green")  # Services that the topology does not declare
FLOWS = ("a", "dev", "pr-7")
PORTS = (80, 9000)
PLACES = [(service, port) for service in SERVICES for port in PORTS]
PATHS = ("/", "/api", "/api/v2", "/apix")
METHODS = ("GET", "POST")
HEADERS = ("x-a", "x-b", "x-c")
QUERIES = ("p", "q")


def _some(names: tuple[str, ...]) -> st.SearchStrategy[dict[str, str]]:
    return st.dictionaries(st.sampled_from(names), st.sampled_from(("1", "2")), max_size=len(names))


def _named(values: dict[str, str]) -> list[dict[str, str]]:
    return [{"type": "Exact", "name": name, "value": value} for name, value in values.items()]


@st.composite
def matches(draw: st.DrawFn) -> dict[str, Any]:
    match: dict[str, Any] = {}
    if draw(st.booleans()):
        kind = draw(st.sampled_from(("Exact", "PathPrefix")))
        match["path"] = {"type": kind, "value": draw(st.sampled_from(PATHS))}
    if draw(st.booleans()):
        match["method"] = draw(st.sampled_from(METHODS))
    if headers := draw(_some(HEADERS)):
        match["headers"] = _named(headers)
    if query := draw(_some(QUERIES)):
        match["queryParams"] = _named(query)
    return match


@st.composite
def rules(draw: st.DrawFn, service: str, port: int) -> dict[str, Any]:
    rule: dict[str, Any] = {}
    if found := draw(st.lists(matches(), max_size=3)):
        rule["matches"] = found
    names = draw(st.lists(st.sampled_from((service, *SERVICES, *VERSIONS)), max_size=3, unique=True))
    if names:
        rule["backendRefs"] = [
            {"name": name, "port": port, "weight": draw(st.sampled_from((0, 1, 9)))} for name in names
        ]
    return rule


def _route(name: str, service: str, port: int, found: list[dict[str, Any]], created: int) -> dict[str, Any]:
    return {
        "metadata": {
            "name": name,
            "namespace": NAMESPACE,
            "creationTimestamp": f"2026-01-01T00:00:{created:02d}Z",
        },
        "spec": {
            "parentRefs": [{"group": "", "kind": "Service", "name": service, "port": port}],
            "rules": found,
        },
    }


@st.composite
def baselines(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Up to three routes of any age, anywhere, beside the catch-all of every Service and port."""
    routes = []
    for service, port in PLACES:
        everything = {"backendRefs": [{"name": service, "port": port}]}
        routes.append(_route(f"{service}-{port}-all", service, port, [everything], created=5))
    for index, (service, port) in enumerate(draw(st.lists(st.sampled_from(PLACES), max_size=3))):
        found = draw(st.lists(rules(service, port), min_size=1, max_size=3))
        routes.append(_route(f"{service}-{port}-{index}", service, port, found, draw(st.integers(0, 9))))
    return routes


requests = st.builds(
    Request,
    service=st.sampled_from(SERVICES),
    port=st.sampled_from(PORTS),
    path=st.sampled_from((*PATHS, "/api/x", "/api/v2/y", "/other")),
    method=st.sampled_from(METHODS),
    headers=_some(HEADERS),
    query=_some(QUERIES),
)


@dataclass
class Cluster:
    """Baseline routes and the flows on them."""

    baseline: list[dict[str, Any]]
    flows: dict[str, dict[str, str]]

    def derived(self, flow: str, live: list[dict[str, Any]]) -> list[dict[str, Any]]:
        owner = Owner(f"organization/shop/{flow}", NAMESPACE, flow)
        made = [
            route
            for service, port in PLACES
            for route in flow_routes(owner, service, port, live, self.flows[flow], SERVICES)
        ]
        for route in made:
            # Younger than the baseline, all in the same second.
            route["metadata"]["creationTimestamp"] = "2026-01-01T00:01:00Z"
        return made

    def everything(self, without: str | None = None) -> list[dict[str, Any]]:
        """The route objects after all flows came up one after the other, each seeing those before it."""
        live = list(self.baseline)
        for flow in self.flows:
            if flow != without:
                live += self.derived(flow, live)
        return live


@st.composite
def clusters(draw: st.DrawFn) -> Cluster:
    flows = {}
    for flow in draw(st.lists(st.sampled_from(FLOWS), min_size=1, unique=True)):
        services = draw(st.lists(st.sampled_from(SERVICES), min_size=1, unique=True))
        flows[flow] = {service: fork_name(service, flow) for service in services}
    return Cluster(draw(baselines()), flows)


def _tagged(request: Request, flow: str) -> Request:
    return Request(
        request.service,
        request.port,
        request.path,
        request.method,
        {**request.headers, HEADER_FLOW: flow},
        request.query,
    )


@MANY
@given(clusters(), st.lists(requests, min_size=1, max_size=6))
def test_requests_without_a_known_key_never_notice_a_flow(cluster: Cluster, asked: list[Request]) -> None:
    routes = cluster.everything()
    for request in asked:
        before = answer(cluster.baseline, request)
        assert answer(routes, request) == before
        assert answer(routes, _tagged(request, "unknown")) == before


@MANY
@given(clusters(), st.lists(requests, min_size=1, max_size=6))
def test_requests_with_a_key_reach_exactly_the_forks_of_that_flow(
    cluster: Cluster, asked: list[Request]
) -> None:
    routes = cluster.everything()
    for flow, forks in cluster.flows.items():
        for request in asked:
            before, got = answer(cluster.baseline, request), answer(routes, _tagged(request, flow))
            # Where the baseline sent it to: a declared service, or a version of the one that was asked.
            targets = {name if name in SERVICES else request.service for name in before}
            if before == NOT_FOUND or not targets & forks.keys():
                assert got.keys() == before.keys()
            else:
                assert got.keys() == {forks[target] for target in targets & forks.keys()}


@MANY
@given(clusters(), st.data())
def test_removing_a_flow_gives_back_the_table_without_it(cluster: Cluster, data: st.DataObject) -> None:
    gone = data.draw(st.sampled_from(sorted(cluster.flows)))
    left = [
        route
        for route in cluster.everything()
        if route["metadata"].get("labels", {}).get("kardinal.dev/flow") != gone
    ]
    assert left == cluster.everything(without=gone)


@MANY
@given(clusters())
def test_route_objects_fit_the_api_and_share_no_name(cluster: Cluster) -> None:
    before = deepcopy(cluster.baseline)
    routes = cluster.everything()
    assert cluster.baseline == before
    names = [route["metadata"]["name"] for route in routes]
    assert len(set(names)) == len(names)
    for route in routes:
        found = route["spec"]["rules"]
        assert 1 <= len(found) <= 16
        assert sum(len(rule.get("matches") or [{}]) for rule in found) <= 128
        for rule in found:
            kinds = [item["type"] for item in rule.get("filters") or ()]
            assert len(set(kinds)) == len(kinds)
