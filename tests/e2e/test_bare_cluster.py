"""Flows and baselines on a real API server without mesh, without Gateway API, without injection: one clear
message at preview, nothing made. The program is a user's own: it catches nothing, and shows no traceback."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from lab import programs
from lab.demo_project import Project
from lab.downloads import module_files
from lab.gobuild import GoBuilder
from lab.report import Report
from lab.settings import from_environment
from tests.e2e.bare_cluster import BareCluster, bare_cluster
from tests.engine import engine_project
from tests.pure import samples

pytestmark = pytest.mark.engine

NO_MESH = "cluster: there is no mesh: install Istio (1.24 or later) with sidecars"
NO_GATEWAY_API = "cluster: there is no Gateway API: install the CRDs of gateway.networking.k8s.io/v1"
NO_INJECTION = "cluster: Istio injects no sidecars here (no injector webhook); flows need sidecars"

PROGRAM = f"""
    import pulumi

    from kardinal_infra import Baseline, Flow

    topology = {samples.TOPOLOGY!r}
    if pulumi.get_stack() == "baseline":
        pulumi.export("topology", topology)
    elif pulumi.get_stack() == "adopting":
        del topology["schemaVersion"], topology["gateway"]
        Baseline("voting-app", topology)
    else:
        Flow("dev", {samples.FLOW!r})
"""
VIRTUAL_SERVICE: dict[str, Any] = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "virtualservices.networking.istio.io"},
    "spec": {
        "group": "networking.istio.io",
        "names": {"kind": "VirtualService", "plural": "virtualservices", "singular": "virtualservice"},
        "scope": "Namespaced",
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
                },
            }
        ],
    },
}


def application() -> Iterator[dict[str, Any]]:
    """The demonstration's application as objects to be made."""
    yield {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": samples.NAMESPACE}}
    yield from samples.manifests(samples.live(), samples.NAMESPACE)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BareCluster]:
    with bare_cluster(tmp_path_factory.mktemp("bare")) as running:
        running.apply(*application())
        yield running


@pytest.fixture(scope="module")
def project(cluster: BareCluster, tmp_path_factory: pytest.TempPathFactory) -> Project:
    made = engine_project(tmp_path_factory.mktemp("project"), PROGRAM, KUBECONFIG=str(cluster.kubeconfig))
    made.ensure_stack("baseline")
    made.ensure_stack("adopting")
    made.pulumi("up", "--yes", "--skip-preview", "-s", "baseline")
    return made


def refusal(project: Project, cluster: BareCluster, *arguments: str, stack: str = "dev") -> list[str]:
    """The lines of the message with which a command refuses, having made nothing."""
    before = cluster.objects()
    ran = project.pulumi(*arguments, "-s", stack, check=False)
    assert ran.code != 0
    assert "Traceback" not in ran.output
    assert "kardinal_infra" not in ran.output
    assert cluster.objects() == before
    exported = json.loads(project.pulumi("stack", "export", "-s", stack).output)
    made = [item["type"] for item in exported["deployment"].get("resources", [])]
    assert [kind for kind in made if not kind.startswith("pulumi:")] == []
    lines = ran.output.partition("Diagnostics:")[2].splitlines()
    return [line.strip().removeprefix("error: ") for line in lines if "cluster: " in line]


# Each test adds to the cluster what the one before found missing.


def test_nothing_there(project: Project, cluster: BareCluster) -> None:
    for command in (("preview",), ("up", "--yes", "--skip-preview")):
        mesh, gateway_api = sorted(refusal(project, cluster, *command), reverse=True)
        assert mesh == NO_MESH
        assert gateway_api.startswith(NO_GATEWAY_API)


def test_a_baseline_is_refused_too(project: Project, cluster: BareCluster) -> None:
    lines = refusal(project, cluster, "preview", stack="adopting")
    assert NO_MESH in lines
    assert len(lines) == 2


def test_gateway_api_without_mesh(project: Project, cluster: BareCluster) -> None:
    lab = from_environment()
    builder = GoBuilder(lab, Report())
    files = module_files(
        lab, builder, programs.ISTIO, "sigs.k8s.io/gateway-api", {"config/crd/standard/*.yaml": 0o644}
    )
    cluster.run("apply", "--server-side", "-f", str(files))
    cluster.define("httproutes.gateway.networking.k8s.io", "gateways.gateway.networking.k8s.io")
    lines = refusal(project, cluster, "preview")
    assert NO_MESH in lines
    assert not any(line.startswith(NO_GATEWAY_API) for line in lines)


def test_a_mesh_without_injection(project: Project, cluster: BareCluster) -> None:
    cluster.apply(VIRTUAL_SERVICE)
    cluster.define("virtualservices.networking.istio.io")
    lines = refusal(project, cluster, "preview")
    assert NO_INJECTION in lines
    assert NO_MESH not in lines
