"""Public hosts on real Gateways, asked from outside: who answers, with and without a forged key."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from kardinal_infra.names import HEADER_FLOW
from tests.authority import Authority
from tests.mesh.conftest import Mesh
from tests.mesh.edges import (
    INGRESS,
    Outside,
    api_gateway,
    ingress_gateway,
    istio_gateway,
    listener,
    server,
    tls_secret,
)

pytestmark = pytest.mark.lab

TILL, FORK, CATALOG = "till", "till-dev", "catalog"
STACK = "organization/mesh/dev"
FORGED = {HEADER_FLOW: "dev", "baggage": "kardinal-flow=dev"}


@dataclass(frozen=True)
class Edge:
    """The Gateways."""

    mesh: Mesh
    own: Mesh
    authority: Authority

    def outside(self, service: str) -> Outside:
        address = self.own.kubectl("get", "service", service, "-o", "jsonpath={.spec.clusterIP}")
        return Outside(self.mesh, address, self.authority.pem)


@pytest.fixture(scope="module")
def edge(mesh: Mesh) -> Iterator[Edge]:
    own = Mesh(f"edge-{uuid.uuid4().hex[:6]}", mesh.kubeconfig, mesh.programs)
    own.kubectl("create", "namespace", own.namespace)
    try:
        own.kubectl("label", "namespace", own.namespace, "istio-injection=enabled")
        authority = Authority()
        pair = authority.certificate("shop.test", "*.shop.test")
        own.apply([tls_secret("wildcard", pair), *ingress_gateway()])
        terminated = {"mode": "TERMINATE", "certificateRefs": [{"name": "wildcard"}]}
        terminated["mode"] = "Terminate"
        own.apply(
            [
                istio_gateway("plain", server("http", "*.plain.test", "plain.test")),
                istio_gateway(
                    "secure",
                    server("http", "*.shop.test", "shop.test", tls={"httpsRedirect": True}),
                    server("https", "*.shop.test", "shop.test", tls={"mode": "SIMPLE", "credentialName": "wildcard"}),
                ),
                api_gateway(
                    "public",
                    listener("http", "http", mesh.namespace),
                    listener("https", "https", mesh.namespace, tls=terminated),
                ),
            ]
        )
        mesh.services([TILL, FORK, CATALOG])
        own.kubectl("rollout", "status", f"deployment/{INGRESS}", "--timeout=120s")
        own.kubectl("wait", "--for=condition=Programmed", "gateways.gateway.networking.k8s.io/public", "--timeout=120s")
        yield Edge(mesh, own, authority)
    finally:
        own.kubectl("delete", "namespace", own.namespace, "--wait=false")


def test_play(edge: Edge) -> None:
    print(edge.own.kubectl("get", "svc,pods,gateways.gateway.networking.k8s.io", "-o", "wide"))
    breakpoint()
