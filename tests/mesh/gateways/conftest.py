"""Gateways of both kinds, and an application whose public hosts are on them."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from kardinal_infra.cluster.client import connect
from kardinal_infra.cluster.route_status import wait_until_accepted
from kardinal_infra.cluster.snapshot import read_live
from kardinal_infra.model.names import HEADER_FLOW, Owner
from kardinal_infra.model.topology import Topology
from kardinal_infra.observed.live import LiveObjects
from kardinal_infra.plan.gateway import existing_gateway_problems, gateway_problems
from kardinal_infra.routing import production_routes
from kardinal_infra.routing.public_hosts import flow_entry
from tests.authority import Authority
from tests.mesh.conftest import Manifest, Mesh
from tests.mesh.gateways.edges import (
    GATEWAY_API,
    INGRESS,
    ISTIO_API,
    Outside,
    api_gateway,
    ingress_gateway,
    istio_gateway,
    listener,
    server,
    tls_secret,
)

TILL, CATALOG = "till", "catalog"
CANARY, CANARY_PORT = "till-canary", 8080
"""A version of `till` that no topology declares."""

FORKS = {TILL: "till-dev", CATALOG: "catalog-dev"}
STACK = "organization/mesh/dev"
BASELINE_STACK = "organization/mesh/baseline"
REMOVED = {"type": "RequestHeaderModifier", "requestHeaderModifier": {"remove": [HEADER_FLOW]}}


@dataclass(frozen=True)
class Edge:
    """The Gateways, and an application behind them.

    Attributes:
        mesh: The application's namespace.
        own: The Gateways' namespace.
        authority: Who signed their certificate, for `shop.test` and `*.shop.test`.
    """

    mesh: Mesh
    own: Mesh
    authority: Authority

    def outside(self, gateway: str) -> Outside:
        service = "public-istio" if gateway == "public" else INGRESS
        address = self.own.kubectl("get", "service", service, "-o", "jsonpath={.spec.clusterIP}")
        return Outside(self.mesh, address, self.authority.pem)

    def app(self, gateway: str, *hosts: str, **words: Any) -> Topology:
        """An application with an entry at `till` per host; flows are at `<flow>-<host>`."""
        kind = "gateway-api" if gateway == "public" else "istio"
        where = {"kind": kind, "name": gateway, "namespace": self.own.namespace}
        return Topology.from_plain(
            {
                "schemaVersion": 1,
                "application": "shop",
                "namespace": self.mesh.namespace,
                "domain": "shop.test",
                "gateway": {"scheme": "https", "port": 443, **where, **words},
                "services": {TILL: {"ports": [{"port": 80}]}, CATALOG: {"ports": [{"port": 80}]}},
                "entries": [
                    {"service": TILL, "host": host, "flowHost": f"{{flow}}-{host}"} for host in hosts
                ],
            },
            BASELINE_STACK,
        )

    def live(self) -> LiveObjects:
        return read_live(self.mesh.namespace, kubeconfig=self.mesh.kubeconfig)

    def route(self, app: Topology) -> list[Manifest]:
        """Adds a flow's and the baseline's public hosts, as stacks do; no problem is found before."""
        live = self.live()
        assert [*existing_gateway_problems(app, live, ""), *gateway_problems(app, live, "dev")] == []
        owner = Owner(STACK, self.mesh.namespace, "dev")
        made = [flow_entry(app, live, owner, index, FORKS) for index in range(len(app.entries))]
        made += production_routes(app, BASELINE_STACK, live)
        self.mesh.apply(made)
        self.accepted(made)
        return made

    def accepted(self, routes: Sequence[Manifest], seconds: float = 20) -> None:
        with connect(self.mesh.namespace, kubeconfig=self.mesh.kubeconfig) as client:
            wait_until_accepted(client, routes, seconds)


@pytest.fixture(scope="session")
def gateways(mesh: Mesh) -> Iterator[Edge]:
    own = Mesh(f"edge-{uuid.uuid4().hex[:6]}", mesh.kubeconfig, mesh.programs)
    own.kubectl("create", "namespace", own.namespace)
    try:
        own.kubectl("label", "namespace", own.namespace, "istio-injection=enabled")
        authority = Authority()
        hosts = ("shop.test", "*.shop.test")
        tls = {"mode": "Terminate", "certificateRefs": [{"name": "wildcard"}]}
        secure = {"mode": "SIMPLE", "credentialName": "wildcard"}
        own.apply(
            [
                tls_secret("wildcard", authority.certificate(*hosts)),
                *ingress_gateway(own.namespace),
                istio_gateway(
                    own.namespace,
                    "secure",
                    server("http", *hosts, tls={"httpsRedirect": True}),
                    server("https", *hosts, tls=secure),
                ),
                istio_gateway(own.namespace, "plain", server("http", "*.plain.test")),
                api_gateway(
                    "public",
                    listener("http", "http", mesh.namespace),
                    listener("https", "https", mesh.namespace, tls=tls),
                ),
            ]
        )
        mesh.services([TILL, CATALOG, *FORKS.values()])
        mesh.services([CANARY], [CANARY_PORT])
        own.kubectl("rollout", "status", f"deployment/{INGRESS}", "--timeout=120s")
        programmed = ("--for=condition=Programmed", "gateways.gateway.networking.k8s.io/public")
        own.kubectl("wait", *programmed, "--timeout=120s")
        yield Edge(mesh, own, authority)
    finally:
        own.kubectl("delete", "namespace", own.namespace, "--wait=false")


@pytest.fixture
def edge(gateways: Edge) -> Iterator[Edge]:
    yield gateways
    gateways.mesh.delete("httproutes,virtualservices", "--all")


def own_virtual_service(edge: Edge, gateway: str, *hosts: str) -> Manifest:
    """As users write them: a path to another service, and the key removed."""
    headers = {"request": {"remove": [HEADER_FLOW]}}
    to = {name: {"headers": headers, "route": [{"destination": {"host": name}}]} for name in (TILL, CATALOG)}
    catalog = {"match": [{"uri": {"prefix": "/catalog"}}], **to[CATALOG]}
    return {
        "apiVersion": ISTIO_API,
        "kind": "VirtualService",
        "metadata": {"name": "own"},
        "spec": {
            "hosts": list(hosts),
            "gateways": [f"{edge.own.namespace}/{gateway}"],
            "http": [catalog, to[TILL]],
        },
    }


def own_route(edge: Edge, name: str, section: str | None, *hosts: str, path: str = "/") -> Manifest:
    """As users write them; the one on the listener `http` leads to https."""
    rule: Manifest = {"matches": [{"path": {"type": "PathPrefix", "value": path}}]}
    if section == "http":
        redirect = {"scheme": "https", "statusCode": 301}
        rule["filters"] = [{"type": "RequestRedirect", "requestRedirect": redirect}]
    else:
        rule |= {"filters": [REMOVED], "backendRefs": [{"name": TILL, "port": 80}]}
    parent = {"name": "public", "namespace": edge.own.namespace}
    return {
        "apiVersion": GATEWAY_API,
        "kind": "HTTPRoute",
        "metadata": {"name": name, "namespace": edge.mesh.namespace},
        "spec": {
            "parentRefs": [{**parent, **({"sectionName": section} if section else {})}],
            "hostnames": list(hosts),
            "rules": [rule],
        },
    }


def with_canary(edge: Edge, gateway: str, host: str) -> Manifest:
    """The owner's route of a host that leads requests with a header to the canary."""
    if gateway == "public":
        route = own_route(edge, "own", "https", host)
        [rule] = route["spec"]["rules"]
        asked = [{"headers": [{"name": "x-canary", "value": "1"}]}]
        backends = [{"name": CANARY, "port": CANARY_PORT}]
        route["spec"]["rules"] = [{**rule, "matches": asked, "backendRefs": backends}, rule]
        return route
    item = own_virtual_service(edge, gateway, host)
    rule = item["spec"]["http"][-1]
    wanted = [{"headers": {"x-canary": {"exact": "1"}}}]
    target = {"destination": {"host": CANARY, "port": {"number": CANARY_PORT}}}
    item["spec"]["http"] = [{**rule, "match": wanted, "route": [target]}, rule]
    return item
