"""What a probe makes: nobody without its key notices it, and its marks alone are enough to remove it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kardinal_infra.doctor.entry import GATEWAY, watched_entry
from kardinal_infra.doctor.marks import LIFE_SECONDS, dead_probes, new_key, probe_owner
from kardinal_infra.doctor.plan import ProbePlan, plan_probe
from kardinal_infra.doctor.pods import addresses, proxy_image, services_of, without_sidecar
from kardinal_infra.doctor.routes import probe_routes
from kardinal_infra.errors import ConfigError
from kardinal_infra.model.names import HEADER_FLOW, LABEL_FORK
from kardinal_infra.observed.live import LiveObjects, flow_of, owner_of
from kardinal_infra.routing import Targets, catch_all_routes, entry_route
from kardinal_infra.routing.key import Key
from tests.doctor.test_verdict import topology
from tests.pure.gateway_model import Request, answer
from tests.pure.random_routes import NAMESPACE, SPREAD, Cluster, asked_clusters
from tests.pure.samples import MANY

IMAGE = "registry.example/proxyv2:1"


def probe(cluster: Cluster, live: list[dict[str, Any]], key: str, flow: str | None) -> list[dict[str, Any]]:
    owner = probe_owner(NAMESPACE, key)
    forks = cluster.flows[flow] if flow else {}
    made = []
    for service, port in cluster.application.places:
        app = cluster.application
        targets = Targets(owner.at(app.home(service)), service, forks, app.services, app.homes)
        made += probe_routes(targets, port, live)
    return made


@MANY
@given(asked_clusters(SPREAD), st.data())
def test_requests_without_the_probes_key_go_where_they_went(
    given_: tuple[Cluster, list[Request]], data: st.DataObject
) -> None:
    cluster, asked = given_
    flow = data.draw(st.sampled_from([None, *sorted(cluster.flows)]))
    live = cluster.everything()
    key = new_key()
    try:
        made = probe(cluster, live, key, flow)
    except ValueError:
        return  # a rule without room for the key: such a Service is not watched
    table = [*live, *made]
    for request in asked:
        for value in (None, *cluster.flows, "unknown"):
            assert answer(table, tagged(request, value)) == answer(live, tagged(request, value))
        # Flows merge the shares of backends with one fork; where requests can go is the same.
        assert set(answer(table, tagged(request, key))) == set(answer(live, tagged(request, flow)))
    left = [item for item in table if owner_of(item) != probe_owner(NAMESPACE, key).stack]
    assert left == live
    assert all(flow_of(item) == key for item in made)


def test_a_rule_that_a_flow_takes_to_its_forks_alone_leads_the_probe_there_too() -> None:
    rule = {"backendRefs": [{"name": "votes", "port": 80, "weight": 9}, {"name": "cart", "port": 80}]}
    parents = [{"group": "", "kind": "Service", "name": "votes", "port": 80}]
    live = {
        "metadata": {"name": "own", "namespace": NAMESPACE},
        "spec": {"parentRefs": parents, "rules": [rule]},
    }
    for forks, names in (({"votes": "votes-dev"}, ["votes-dev"]), ({}, ["votes", "cart"])):
        owner, key = probe_owner(NAMESPACE, "doctor-a1"), Key(asked=("header", "baggage"))
        targets = Targets(owner, "votes", forks, ("votes", "cart"), key=key)
        [route] = probe_routes(targets, 80, [live])
        [made] = route["spec"]["rules"]
        assert [backend["name"] for backend in made["backendRefs"]] == names
        assert [match["headers"][0]["name"] for match in made["matches"]] == [HEADER_FLOW, "baggage"]


def tagged(request: Request, value: str | None) -> Request:
    return replace(request, headers={**request.headers, **({HEADER_FLOW: value} if value else {})})


def live_objects(**changes: Any) -> LiveObjects:
    services = [
        {"metadata": {"name": name}, "spec": {"selector": {"app": name}}} for name in ("web", "votes")
    ]
    routes = catch_all_routes(topology(), "organization/shop/baseline")
    return replace(LiveObjects("shop", services=services, http_routes=routes), **changes)


def plan(live: LiveObjects, **options: Any) -> ProbePlan:
    return plan_probe(topology(), live, "doctor-a1b2c3d4", IMAGE, **options)


def test_everything_is_marked_and_only_services_that_are_called_are_watched() -> None:
    made = plan(live_objects())
    assert made.mute == {}
    routes = [item for item in made.objects if item["kind"] == "HTTPRoute"]
    parents = [parent["name"] for route in routes for parent in route["spec"]["parentRefs"]]
    assert parents == ["cart", "stock", "votes", "web", "edge"]
    for item in (*made.jobs, *made.objects):
        assert flow_of(item) == made.key
        assert owner_of(item) == probe_owner("shop", made.key).stack
    [backend] = routes[0]["spec"]["rules"][0]["backendRefs"]
    assert backend["name"] == "cart"


def test_a_service_whose_untagged_requests_would_suffer_is_left_alone() -> None:
    routes = [route for route in live_objects().http_routes if "stock" not in route["metadata"]["name"]]
    service = {
        "metadata": {"name": "cart", "namespace": "shop"},
        "spec": {"hosts": ["cart"], "http": [{"route": [{"destination": {"host": "cart"}}]}]},
    }
    without = [route for route in routes if "cart" not in route["metadata"]["name"]]
    made = plan(live_objects(http_routes=without, virtual_services=[service]))
    assert set(made.mute) == {"stock", "cart"}
    assert "404" in made.mute["stock"]
    assert "VirtualService" in made.mute["cart"]
    parents = [
        parent["name"]
        for route in made.objects
        if route["kind"] == "HTTPRoute"
        for parent in route["spec"]["parentRefs"]
    ]
    assert parents == ["votes", "web", "edge"]


@pytest.mark.parametrize("kind", ["gateway-api", "istio"])
def test_what_the_gateway_passes_on_is_mirrored_and_what_it_answers_is_not(kind: str) -> None:
    owner, gateway = probe_owner("shop", "doctor-a1"), topology().gateway.model_copy(update={"kind": kind})
    if kind == "istio":
        entries = [{"redirect": {"uri": "/new"}}, {"route": [{"destination": {"host": "web"}}]}]
        production = {"spec": {"gateways": ["shop/edge"], "hosts": ["shop.example"], "http": entries}}
    else:
        redirect = {"type": "RequestRedirect", "requestRedirect": {"statusCode": 301}}
        rules = [{"filters": [redirect]}, {"backendRefs": [{"name": "web", "port": 80}]}]
        production = {"spec": {"rules": rules}}
    production["metadata"] = {"name": "own", "namespace": "shop"}
    targets = Targets(owner, "web", {}, ("web",))
    plain = entry_route(targets, gateway, "a.shop.example", 80, production=[production])
    made = watched_entry(plain, "doctor-a1")
    where = "http" if kind == "istio" else "rules"
    [answered, passed] = made["spec"][where]
    assert answered == plain["spec"][where][0]
    assert "doctor-a1" in str(passed.get("mirror") or passed["filters"][-1]["requestMirror"])
    assert GATEWAY in str(passed)
    assert GATEWAY not in str(plain)


def test_an_unknown_entry_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match='no entry at service "cart"; its entries: web'):
        plan(live_objects(), entry="cart")


NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def made_objects(key: str, seconds: float, **status: Any) -> list[dict[str, Any]]:
    created = (NOW - timedelta(seconds=seconds)).isoformat()
    metadata = {**probe_owner("shop", key).metadata(key), "creationTimestamp": created}
    return [
        {"kind": "Job", "metadata": metadata, "status": status},
        {"kind": "HTTPRoute", "metadata": metadata},
    ]


def test_only_what_nobody_will_remove_is_dead() -> None:
    finished = {"conditions": [{"type": "Failed", "status": "True"}]}
    foreign = made_objects("doctor-foreign", 9999)
    for item in foreign:
        item["metadata"]["annotations"] = {"kardinal.dev/stack": "organization/shop/doctor-foreign"}
    items = [
        *made_objects("doctor-alive", LIFE_SECONDS - 1),
        *made_objects("doctor-old", LIFE_SECONDS + 1),
        *made_objects("doctor-finished", 5, **finished),
        *made_objects("doctor-jobless", 5)[1:],
        *foreign,
        {"kind": "HTTPRoute", "metadata": {"name": "of-nobody"}},
    ]
    assert dead_probes(items, NOW) == ["doctor-finished", "doctor-jobless", "doctor-old"]


def pod(name: str, labels: dict[str, str], sidecar: str = "containers") -> dict[str, Any]:
    spec: dict[str, Any] = {"containers": [{"name": "main", "image": "app:1"}]}
    spec.setdefault(sidecar, []).append({"name": "istio-proxy", "image": IMAGE})
    status = {"podIPs": [{"ip": f"10.0.0.{len(name)}"}, {"ip": f"fd00::{len(name)}"}]}
    return {"metadata": {"name": name, "labels": labels}, "spec": spec, "status": status}


def test_pods_are_known_by_their_service_or_their_fork() -> None:
    web, fork = pod("web", {"app": "web"}, "initContainers"), pod("votes-dev", {LABEL_FORK: "votes-dev"})
    bare = pod("bare", {"app": "web"}, "volumes")
    live = live_objects()
    forks = {"votes": "votes-dev"}
    assert [services_of(item, topology(), live, forks) for item in (web, fork, bare)] == [
        ["web"],
        ["votes"],
        ["web"],
    ]
    assert services_of(fork, topology(), live, {}) == []
    assert services_of(pod("other", {"app": "other"}), topology(), live, forks) == []
    assert addresses({"web": [web], "votes": [fork]}) == {
        "10.0.0.3": ["web"],
        "fd00::3": ["web"],
        "10.0.0.9": ["votes"],
        "fd00::9": ["votes"],
    }
    assert without_sidecar([web, fork, bare]) == ["bare"]
    assert proxy_image([bare, web]) == IMAGE
    assert proxy_image([bare]) is None


def test_pods_can_be_behind_several_services() -> None:
    selector = {"selector": {"app": "web"}}
    services = [{"metadata": {"name": name}, "spec": selector} for name in ("web", "votes")]
    web = pod("web", {"app": "web"})
    assert sorted(services_of(web, topology(), live_objects(services=services), {})) == ["votes", "web"]
    assert addresses({"web": [web], "votes": [web]})["10.0.0.3"] == ["web", "votes"]


@pytest.mark.parametrize(
    ("phase", "services"),
    [("Running", ["web"]), ("Failed", []), ("Succeeded", []), ("Pending", ["web"])],
)
def test_a_pod_that_has_ended_is_nobody_s(phase: str, services: list[str]) -> None:
    item = {**pod("web", {"app": "web"}), "status": {"phase": phase, "podIPs": [{"ip": "10.0.0.3"}]}}
    assert services_of(item, topology(), live_objects(), {}) == services
