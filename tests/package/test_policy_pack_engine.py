"""The example's policy pack in the real engine: it lets a flow pass, and stops a team's own program."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kardinal_infra.model.topology import Topology
from kardinal_infra.routing import catch_all_routes
from lab.locks import exclusive
from lab.settings import Lab
from tests.engine import engine_project
from tests.mesh.conftest import Mesh
from tests.package.examples import FOLDER, topology
from tests.pure import samples
from tests.pure.samples import BASELINE_STACK

pytestmark = [pytest.mark.lab, pytest.mark.engine]

SDK = "pulumi-policy==1.21.0"

FLOW = """
import json, os
from kardinal_infra import Flow
from kardinal_infra.model.topology import Topology

plain = json.loads(open(os.environ["KARDINAL_TOPOLOGY"]).read())
services = {"voting-app-ui": {"image": "voting-app-ui-dev"}}
Flow("dev", {"baseline": "baseline", "services": services}, topology=Topology.from_plain(plain, "baseline"))
"""
"""A flow of ours."""

OWN = """
import os
import pulumi_kubernetes as k8s

labels = {"app": "voting-app-ui", "fork": "dev"}
container = {"name": "voting-app-ui", "image": "voting-app-ui-dev"}
k8s.apps.v1.Deployment(
    "fork",
    metadata={
        "name": "voting-app-ui-dev",
        "namespace": os.environ["TEST_NAMESPACE"],
        "labels": {"kardinal.dev/flow": "dev", "kardinal.dev/service": "voting-app-ui"},
    },
    spec={
        "selector": {"match_labels": {"fork": "dev"}},
        "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
    },
)
"""
"""A flow that a team wrote by hand; its pods have the label that production's Service selects by."""


@pytest.fixture(scope="module")
def application(lab: Lab) -> Iterator[Mesh]:
    """The voting app without databases and without pods, adopted."""
    place = Mesh(f"iso-policy-{uuid.uuid4().hex[:6]}", str(lab.kubeconfig), lab.programs)
    place.kubectl("create", "namespace", place.namespace)
    try:
        place.kubectl("label", "namespace", place.namespace, "istio-injection=enabled")
        described = Topology.from_plain(plain(place.namespace), BASELINE_STACK)
        place.apply(
            [
                *samples.manifests(samples.live(), place.namespace),
                *catch_all_routes(described, BASELINE_STACK),
            ]
        )
        yield place
    finally:
        place.kubectl("delete", "namespace", place.namespace, "--wait=false")


def plain(namespace: str) -> dict[str, Any]:
    found = topology(namespace) | {"entries": [], "databases": {}}
    found["services"]["votes-api"]["uses"] = []
    return found


@pytest.fixture(scope="module")
def pack(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program that serves the pack.

    The engine starts it itself: the language host that can be built from the module proxy is older than the
    engine's way of starting packs from a folder.
    """
    sdk = lab.cache / "policy-sdk"
    with exclusive(lab.cache / "locks" / "policy-sdk"):
        if not (sdk / "pulumi_policy").is_dir():
            # Its other requirements are there; an older protobuf than everybody's is not needed.
            install = ("-m", "pip", "install", "--quiet", "--no-deps", "--target", str(sdk), SDK)
            subprocess.run([sys.executable, *install], check=True)
    program = tmp_path_factory.mktemp("pack") / "kardinal-safety"
    words = ("env", f"PYTHONPATH={sdk}:{FOLDER.parent}", sys.executable, str(FOLDER / "policy-pack"))
    program.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n')
    program.chmod(0o755)
    return program


@pytest.mark.parametrize(
    ("program", "passes", "said"), [(FLOW, True, ""), (OWN, False, "[docs/safety.md#fork-selected]")]
)
def test_a_preview_with_the_pack(
    application: Mesh, pack: Path, tmp_path: Path, program: str, passes: bool, said: str
) -> None:
    file = tmp_path / "topology.json"
    file.write_text(json.dumps(plain(application.namespace)))
    (tmp_path / "project").mkdir()
    project = engine_project(
        tmp_path / "project",
        program,
        plugins=True,
        KUBECONFIG=application.kubeconfig,
        KARDINAL_TOPOLOGY=str(file),
        TEST_NAMESPACE=application.namespace,
    )
    ran = project.pulumi("preview", "--policy-pack", str(pack), check=False)
    assert "kardinal-safety@v" in ran.output
    assert (ran.code == 0, said in ran.output) == (passes, True), ran.output
