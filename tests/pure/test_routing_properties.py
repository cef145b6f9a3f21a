"""Random routes and flows: each key reaches its own forks, nothing else does, and a flow leaves no trace."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from kardinal_infra.model.names import HEADER_FLOW
from tests.pure.gateway_model import Request, answer, written
from tests.pure.random_routes import SPREAD, Cluster, asked_clusters, clusters, copied, led
from tests.pure.samples import MANY

Asked = tuple[Cluster, list[Request]]


def tagged(request: Request, flow: str) -> Request:
    return replace(request, headers={**request.headers, HEADER_FLOW: flow})


@MANY
@given(asked_clusters(SPREAD))
def test_requests_without_a_known_key_never_notice_a_flow(given_: Asked) -> None:
    cluster, asked = given_
    routes = cluster.everything()
    for request in asked:
        before = answer(cluster.baseline, request)
        assert answer(routes, request) == before
        assert answer(routes, tagged(request, "unknown")) == before


@MANY
@given(asked_clusters(SPREAD))
def test_requests_with_a_key_reach_exactly_the_forks_of_that_flow(given_: Asked) -> None:
    cluster, asked = given_
    routes = cluster.everything()
    for flow, forks in cluster.flows.items():
        for request in asked:
            before, got = answer(cluster.baseline, request), answer(routes, tagged(request, flow))
            named = written(cluster.baseline, request)
            assert got.keys() == led(cluster.application, request.service, before, named, forks)


@MANY
@given(clusters(SPREAD), st.data())
def test_removing_a_flow_gives_back_the_table_without_it(cluster: Cluster, data: st.DataObject) -> None:
    gone = data.draw(st.sampled_from(sorted(cluster.flows)))
    assert [route for route in cluster.everything() if flow_of(route) != gone] == cluster.everything(
        without=gone
    )


@MANY
@given(clusters(SPREAD))
def test_route_objects_fit_the_api_and_share_no_name(cluster: Cluster) -> None:
    before = copied(cluster.baseline)
    routes = cluster.everything()
    assert cluster.baseline == before
    names = [(route["kind"], route["metadata"]["name"]) for route in routes]
    assert len(set(names)) == len(names)
    for route in routes:
        if flow_of(route) is None:
            continue
        found = route["spec"]["rules"]
        assert 1 <= len(found) <= 16
        assert sum(len(rule.get("matches") or [{}]) for rule in found) <= 128
        for rule in found:
            kinds = [item["type"] for item in rule.get("filters") or ()]
            assert len(set(kinds)) == len(kinds)


def flow_of(route: dict[str, Any]) -> str | None:
    flow: str | None = route["metadata"].get("labels", {}).get("kardinal.dev/flow")
    return flow
