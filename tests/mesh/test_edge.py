"""The public hosts' objects, in every form, are what the real API server and Istio's analysis accept."""

from __future__ import annotations

from typing import Any

import pytest

from kardinal_infra.model.names import Owner
from kardinal_infra.model.topology import Topology
from kardinal_infra.routing import Targets, entry_route, production_routes
from tests.mesh.conftest import Manifest, Mesh

pytestmark = pytest.mark.lab

SERVICE = "shopfront"
HOST = "shop.localhost"


def topology(namespace: str, kind: str) -> Topology:
    return Topology.from_plain(
        {
            "schemaVersion": 1,
            "application": "shop",
            "namespace": namespace,
            "domain": HOST,
            "gateway": {"kind": kind, "name": "edge", "namespace": namespace},
            "services": {SERVICE: {"ports": [{"port": 80}]}},
            "entries": [{"service": SERVICE, "host": HOST}],
        },
        "s",
    )


def own(namespace: str, kind: str) -> Manifest:
    """What the user may have on the production host."""
    metadata = {"name": "own", "namespace": namespace}
    if kind == "istio":
        entry: dict[str, Any] = {"route": [{"destination": {"host": SERVICE}}], "timeout": "3s"}
        redirect = {"match": [{"uri": {"exact": "/old"}}], "redirect": {"uri": "/"}}
        spec = {"hosts": [HOST], "gateways": [f"{namespace}/edge"], "http": [redirect, entry]}
        return {"metadata": metadata, "spec": spec}
    redirect = {
        "matches": [{"path": {"type": "Exact", "value": "/old"}}],
        "filters": [
            {"type": "RequestRedirect", "requestRedirect": {"statusCode": 301, "hostname": "x.localhost"}}
        ],
    }
    rule = {"backendRefs": [{"name": SERVICE, "port": 80}], "timeouts": {"request": "3s"}}
    return {"metadata": metadata, "spec": {"hostnames": [HOST], "rules": [redirect, rule]}}


@pytest.mark.parametrize("kind", ["gateway-api", "istio"])
def test_the_objects_of_public_hosts_are_accepted(mesh: Mesh, kind: str) -> None:
    app = topology(mesh.namespace, kind)
    owner = Owner("organization/mesh/dev", mesh.namespace, "dev")
    mesh.services([SERVICE, f"{SERVICE}-dev"])
    manifests = production_routes(app, "organization/mesh/baseline")
    for production in ([], [own(mesh.namespace, kind)]):
        for fork in (None, f"{SERVICE}-dev"):
            forks = {SERVICE: fork} if fork else {}
            targets = Targets.of(app, owner, SERVICE, forks)
            made = entry_route(targets, app.gateway, f"dev.{HOST}", 80, production=production)
            mesh.apply([made], "--dry-run=server")
            assert fork is None or f'"{fork}"' in str(made).replace("'", '"')
    mesh.apply([*manifests, made], "--dry-run=server")
    if kind == "istio":
        gateway = {
            "apiVersion": "networking.istio.io/v1",
            "kind": "Gateway",
            "metadata": {"name": "edge"},
            "spec": {
                "selector": {"app": "server"},
                "servers": [
                    {
                        "port": {"number": mesh.ports[SERVICE, 80], "name": "http", "protocol": "HTTP"},
                        "hosts": ["*"],
                    }
                ],
            },
        }
        mesh.apply([gateway, *manifests, made])
        assert "No validation issues found" in mesh.analyze()
        mesh.delete("virtualservice,gateways.networking.istio.io", "--all")
