"""A flow's rules in somebody else's VirtualService, made and removed by the real engine."""

from __future__ import annotations

from pathlib import Path

import pytest

from kardinal_infra.routing.istio.mesh import rule_flow
from tests.engine import engine_project
from tests.mesh.conftest import Manifest, Mesh

pytestmark = [pytest.mark.lab, pytest.mark.engine]

PROGRAM = """
import os
from kardinal_infra import FlowRoutes
from kardinal_infra.cluster.snapshot import read_live
from kardinal_infra.model.names import Owner
from kardinal_infra.routing import Targets, flow_insertion

namespace = os.environ["TEST_NAMESPACE"]
owner = Owner("organization/kardinal/dev", namespace, "dev")
targets = Targets(owner, "desk", {"desk": "desk-dev"}, ("desk",))
[item] = [item for item in read_live(namespace).virtual_services if item["metadata"]["name"] == "desk"]
insertions = [flow_insertion(item, targets)]
FlowRoutes("dev", {"mesh": [], "insertions": insertions, "entries": [], "drain_seconds": 0})
"""

OWNERS = {
    "apiVersion": "networking.istio.io/v1",
    "kind": "VirtualService",
    "metadata": {"name": "desk"},
    "spec": {"hosts": ["desk"], "http": [{"route": [{"destination": {"host": "desk"}}]}]},
}
UP = ("up", "--yes", "--skip-preview")


def flows(mesh: Mesh) -> list[str | None]:
    found: Manifest = next(
        item for item in mesh.objects("virtualservices") if item["metadata"]["name"] == "desk"
    )
    return [rule_flow(rule) for rule in found["spec"]["http"]]


def test_rules_come_stay_return_and_go(mesh: Mesh, tmp_path: Path) -> None:
    mesh.apply([OWNERS])
    project = engine_project(
        tmp_path, PROGRAM, plugins=True, KUBECONFIG=mesh.kubeconfig, TEST_NAMESPACE=mesh.namespace
    )
    project.pulumi(*UP)
    assert flows(mesh) == ["dev", None]
    project.pulumi(*UP, "--expect-no-changes")
    mesh.apply([OWNERS])
    assert flows(mesh) == [None]
    project.pulumi(*UP)
    assert flows(mesh) == ["dev", None]
    project.pulumi("destroy", "--yes", "--skip-preview")
    assert flows(mesh) == [None]
    mesh.delete("virtualservice", "desk")
