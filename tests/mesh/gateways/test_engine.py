"""A flow's public host behind TLS, brought up, broken, repaired and removed by the real engine."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.engine import engine_project, everything_stored, write
from tests.mesh.gateways.conftest import FORKS, TILL, Edge

pytestmark = [pytest.mark.lab, pytest.mark.engine]

PROGRAM = """
import json, os
import pulumi
from kardinal_infra import FlowRoutes
from kardinal_infra.components.probe import probe_hosts
from kardinal_infra.model.names import Owner
from kardinal_infra.routing import Targets, catch_all_routes, flow_routes
from kardinal_infra.routing.public_hosts import flow_entry
from kardinal_infra.cluster.snapshot import read_live
from kardinal_infra.model.topology import Topology

app = Topology.from_plain(json.loads(os.environ["TEST_TOPOLOGY"]), "baseline")
owner = Owner("organization/kardinal/dev", app.namespace, "dev")
forks = {"till": "FORK"}
catch_alls = catch_all_routes(app, "organization/kardinal/baseline")
mesh = flow_routes(Targets.of(app, owner, "till", forks), 80, catch_alls)
entry = flow_entry(app, read_live(app.namespace), owner, 0, forks)
routes = FlowRoutes("dev", {"mesh": mesh, "entries": [entry], "drain_seconds": 0})
check = {"url": app.gateway.url("dev-page.shop.test"), "headers": {"x-kardinal-fork": "FORK"}}
metadata = [route.metadata for route in routes.routes]
probe_hosts("dev", app.gateway, [check], metadata, None, [routes])
"""
UP = ("up", "--yes", "--skip-preview")


def test_up_waits_for_every_parent_and_for_the_answer_over_tls(edge: Edge, tmp_path: Path) -> None:
    address = f"{edge.outside('public').address}:443"
    app = edge.app("public", "page.shop.test", address=address, certificateAuthority=edge.authority.pem)
    variables = {"KUBECONFIG": edge.mesh.kubeconfig, "TEST_TOPOLOGY": app.model_dump_json(by_alias=True)}
    project = engine_project(tmp_path, PROGRAM.replace("FORK", "nothing"), plugins=True, **variables)
    broken = project.pulumi(*UP, check=False)
    assert broken.code != 0
    route = f"HTTPRoute {edge.mesh.namespace}/till-dev-80"
    assert (
        f"{route} is not in effect at Service {edge.mesh.namespace}/{TILL} port 80: BackendNotFound:"
        " backend(nothing."
    ) in broken.output
    # Nobody can come in before the routes to the forks are accepted.
    assert [item["metadata"]["name"] for item in edge.mesh.objects("httproutes")] == ["till-dev-80"]

    write(tmp_path, PROGRAM.replace("FORK", FORKS[TILL]))
    project.pulumi(*UP)
    assert edge.outside("public").ask("https://dev-page.shop.test/").by == FORKS[TILL]
    project.pulumi(*UP, "--expect-no-changes")
    assert "PRIVATE KEY" not in everything_stored(project)
    project.pulumi("destroy", "--yes", "--skip-preview")
    assert edge.mesh.objects("httproutes") == []
