"""Public hosts on real Gateways, asked from outside: who answers, with and without a forged key."""

from __future__ import annotations

import pytest

from kardinal_infra import doctor
from kardinal_infra.cluster.probe import ProbeCheck, run_probe
from kardinal_infra.model.names import HEADER_FLOW, HEADER_FORK, Owner
from kardinal_infra.model.topology import Topology
from kardinal_infra.routing import Targets, catch_all_routes, flow_routes
from kardinal_infra.routing.asking import Question, question
from tests.mesh.conftest import Ask
from tests.mesh.gateways.conftest import (
    BASELINE_STACK,
    CANARY,
    CATALOG,
    FORKS,
    STACK,
    TILL,
    Edge,
    own_route,
    own_virtual_service,
    with_canary,
)
from tests.mesh.gateways.edges import Outside

pytestmark = pytest.mark.lab

FORGED = {HEADER_FLOW: "dev", "baggage": "kardinal-flow=dev"}


def answers(outside: Outside, table: dict[str, str]) -> None:
    """Each URL is answered by its Service in the end, whatever key the client sends."""
    settled = {url: outside.settles(url, wanted).by for url, wanted in table.items()}
    assert settled == table
    assert {url: outside.ask(url, FORGED).by for url in table} == table


def production_is_closed(edge: Edge, outside: Outside, url: str) -> None:
    """A forged key does not get in, and what does get in reaches no fork when the application sends it on."""
    page = outside.ask(url, FORGED)
    assert page.by == TILL
    assert HEADER_FLOW not in page.received
    assert page.received["baggage"] == FORGED["baggage"]
    assert not {HEADER_FLOW, HEADER_FORK} & page.headers.keys()
    sent_on = tuple(
        (name, value) for name, value in page.received.items() if name in (HEADER_FLOW, "baggage")
    )
    edge.mesh.comes_to({Ask(CATALOG, headers=((HEADER_FLOW, "dev"),)): FORKS[CATALOG]})
    edge.mesh.comes_to({Ask(CATALOG, headers=sent_on): CATALOG})


def mesh_routes(edge: Edge, app: Topology) -> None:
    targets = Targets.of(app, Owner(STACK, edge.mesh.namespace, "dev"), CATALOG, FORKS)
    catch_alls = catch_all_routes(app, BASELINE_STACK)
    edge.mesh.apply([*catch_alls, *flow_routes(targets, 80, catch_alls)])


@pytest.mark.parametrize("gateway", ["secure", "public"])
def test_hosts_of_ours_behind_tls(edge: Edge, gateway: str) -> None:
    app = edge.app(gateway, "page.shop.test", "till.shop.test")
    outside = edge.outside(gateway)
    edge.route(app)
    mesh_routes(edge, app)
    answers(
        outside,
        {
            "https://page.shop.test/": TILL,
            "https://till.shop.test/": TILL,  # a second entry of the same service
            "https://dev-till.shop.test/any": FORKS[TILL],
        },
    )
    page = outside.ask("https://dev-till.shop.test/", {HEADER_FLOW: "other"})
    assert (page.by, page.received[HEADER_FLOW]) == (FORKS[TILL], "dev")
    assert page.received["baggage"] == "kardinal-flow=dev"
    assert (page.headers[HEADER_FLOW], page.headers[HEADER_FORK]) == ("dev", FORKS[TILL])
    production_is_closed(edge, outside, "https://page.shop.test/")
    assert outside.ask("https://other.shop.test/").by == "404"


def test_a_virtual_service_of_the_users_on_an_istio_gateway(edge: Edge) -> None:
    # A wildcard is closest to production's host too, and no host of ours may take its place.
    edge.mesh.apply([own_virtual_service(edge, "secure", "*.shop.test")])
    app = edge.app("secure", "page.shop.test")
    outside = edge.outside("secure")
    edge.route(app)
    mesh_routes(edge, app)
    answers(
        outside,
        {
            "https://page.shop.test/": TILL,
            "https://page.shop.test/catalog": CATALOG,
            "https://dev-page.shop.test/": FORKS[TILL],
            "https://dev-page.shop.test/catalog/1": FORKS[CATALOG],
        },
    )
    production_is_closed(edge, outside, "https://page.shop.test/")
    assert [item["metadata"]["name"] for item in edge.mesh.objects("virtualservices")] == [
        "own",
        "till-dev-entry",
    ]


@pytest.mark.parametrize("gateway", ["public", "secure"])
def test_what_production_sends_to_its_canary_a_flows_host_sends_to_the_fork(edge: Edge, gateway: str) -> None:
    host, asking = "page.shop.test", {"x-canary": "1"}
    edge.mesh.apply([with_canary(edge, gateway, host)])
    outside = edge.outside(gateway)
    edge.route(edge.app(gateway, host))
    answers(outside, {f"https://{host}/": TILL, f"https://dev-{host}/": FORKS[TILL]})
    assert outside.ask(f"https://{host}/", asking).by == CANARY
    page = outside.ask(f"https://dev-{host}/", asking)
    assert (page.by, page.headers[HEADER_FORK]) == (FORKS[TILL], FORKS[TILL])
    assert (page.received["x-canary"], page.received[HEADER_FLOW]) == ("1", "dev")


def test_without_tls_on_an_istio_gateway(edge: Edge) -> None:
    app = edge.app("plain", "page.plain.test", scheme="http", port=80)
    outside = edge.outside("plain")
    edge.mesh.apply([own_virtual_service(edge, "plain", "page.plain.test")])
    edge.route(app)
    mesh_routes(edge, app)
    answers(
        outside,
        {
            "http://page.plain.test/catalog": CATALOG,
            "http://dev-page.plain.test/": FORKS[TILL],
            "http://dev-page.plain.test/catalog": FORKS[CATALOG],
        },
    )
    production_is_closed(edge, outside, "http://page.plain.test/")


def test_a_redirect_of_the_users_to_https(edge: Edge) -> None:
    redirect = own_route(edge, "redirect", "http")
    served = own_route(edge, "served", "https", "page.shop.test", path="/shop")
    edge.mesh.apply([redirect, served])
    app = edge.app("public", "page.shop.test", "till.shop.test")
    outside = edge.outside("public")
    made = edge.route(app)
    answers(
        outside,
        {
            "http://page.shop.test/": "301",
            "http://dev-page.shop.test/": "301",
            "http://till.shop.test/": "301",
            "https://page.shop.test/shop/1": TILL,
            "https://page.shop.test/": "404",  # the user's rules alone count, as before
            "https://till.shop.test/": TILL,
            "https://dev-page.shop.test/shop/1": FORKS[TILL],
            "https://dev-page.shop.test/": "404",
            "https://dev-till.shop.test/": FORKS[TILL],
        },
    )
    # Nothing answers at `/` of the first host; the probe asks where something does.
    page, till = (question(route) for route in made[:2])
    assert (page, till) == (Question("/shop", FORKS[TILL]), Question("", FORKS[TILL]))
    check = ProbeCheck(
        "https://dev-page.shop.test/shop", f"{outside.address}:443", {HEADER_FORK: FORKS[TILL]}
    )
    run_probe([check], 5, authority=outside.authority)


def test_the_doctor_asks_over_tls_too(edge: Edge) -> None:
    address = f"{edge.outside('secure').address}:443"
    authority = edge.authority.pem
    app = edge.app("secure", "page.shop.test", address=address, certificateAuthority=authority)
    found = doctor.diagnose(doctor.Question(app, seconds=0), kubeconfig=edge.mesh.kubeconfig)
    assert found.url == f"https://{found.key}-page.shop.test"
    assert found.requests >= 1
