"""A flow with a Redis of its own: what it writes stays there, and production's cannot be reached."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lab.demo_cluster import Cluster, differences
from lab.demo_images import SHOP_IMAGES, load_demo_images
from lab.settings import Lab
from tests.e2e.bringup import eventually
from tests.engine import engine_project
from tests.isolation.conftest import Kubectl, apply, ask, claims, volume

pytestmark = [pytest.mark.lab, pytest.mark.engine]

IMAGE = "shop-queue:1.0"
WRITING_SECONDS = 30
WRITE = ["redis-cli", "-u", "$(QUEUE_URL)", "-r", "-1", "-i", "1", "set", "$(MARK)", "1"]
"""Every second, without a shell: the image has none."""

PROGRAM = """
import os

import pulumi

from kardinal_infra import Flow
from kardinal_infra.model.topology import Topology

namespace = os.environ["TEST_NAMESPACE"]
use = {"store": "queue", "environment": {"QUEUE_URL": "redis://{host}:{port}/0"}}
topology = {
    "schemaVersion": 1,
    "application": namespace,
    "namespace": namespace,
    "domain": "shop.test",
    "gateway": {"name": "none", "namespace": namespace},
    "services": {"queue": {"ports": [{"port": 6379, "protocol": "tcp"}]}, "writer": {"uses": [use]}},
    "stores": {"queue": {}},
}
flow = Flow(
    "dev",
    {
        "baseline": "none",
        "services": {"writer": {"env": {"MARK": "flow"}}},
        "stores": {"queue": "fresh"},
        "egress": "locked",
    },
    topology=Topology.from_plain(topology, "none"),
)
pulumi.export("stores", flow.outputs()["stores"])
"""
UP = ("up", "--yes", "--skip-preview")


def workload(kind: str, name: str, **container: Any) -> dict[str, Any]:
    made = {"name": name, "image": IMAGE, **container}
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": name},
        "spec": {
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"terminationGracePeriodSeconds": 1, "containers": [made]},
            },
        },
    }


def production(storage_class: str) -> list[dict[str, Any]]:
    """A Redis with a volume, and a worker that writes its mark into it again and again."""
    mounts = [{"name": "data", "mountPath": "/data"}]
    probe = {"tcpSocket": {"port": 6379}, "periodSeconds": 1}
    queue = workload("StatefulSet", "queue", readinessProbe=probe, volumeMounts=mounts)
    claim = {
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": storage_class,
        "resources": {"requests": {"storage": "1Mi"}},
    }
    queue["spec"] |= {
        "serviceName": "queue",
        "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": claim}],
    }
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "queue"},
        "spec": {
            "clusterIP": "None",
            "selector": {"app": "queue"},
            "ports": [{"name": "tcp-redis", "port": 6379}],
        },
    }
    writer = workload(
        "Deployment",
        "writer",
        command=WRITE,
        env=[
            {"name": "QUEUE_URL", "value": "redis://queue:6379/0"},
            {"name": "MARK", "value": "production"},
        ],
    )
    return [service, queue, writer]


def test_what_a_flow_writes_stays_in_its_own_store(
    lab: Lab,
    lab_environment: dict[str, str],
    running: Lab,
    kubectl: Kubectl,
    namespace: str,
    tmp_path: Path,
) -> None:
    def keys(pod: str) -> list[str]:
        return sorted(kubectl("exec", pod, "-c", "queue", "--", "redis-cli", "--raw", "keys", "*").split())

    def reaches(worker: str, host: str) -> bool:
        try:
            command = ["redis-cli", "-h", host, "ping"]
            return kubectl("exec", f"deployment/{worker}", "-c", "writer", "--", *command).startswith("PONG")
        except AssertionError:
            return False

    load_demo_images(lab, images=[image for image in SHOP_IMAGES if image.name == IMAGE])
    volumes = [f"{namespace}-{number}" for number in range(2)]
    cluster = Cluster(str(running.kubeconfig))
    try:
        apply(kubectl, *(volume(tmp_path / name, namespace) for name in volumes), *production(namespace))
        for name in ("statefulset/queue", "deployment/writer"):
            kubectl("rollout", "status", name, "--timeout=120s")
        eventually(lambda: keys("queue-0") == ["production"], "what production writes", WRITING_SECONDS)
        before = cluster.snapshot(namespace)
        (tmp_path / "project").mkdir()
        project = engine_project(
            tmp_path / "project",
            PROGRAM,
            plugins=True,
            KUBECONFIG=lab_environment["KUBECONFIG"],
            TEST_NAMESPACE=namespace,
        )

        project.pulumi(*UP)

        stores = json.loads(project.pulumi("stack", "output", "stores", "--json").output)
        host = f"queue-dev.{namespace}.svc.cluster.local"
        assert stores == {"queue": {"mode": "fresh", "fork": "queue-dev", "host": host, "port": 6379}}
        eventually(lambda: keys("queue-dev-0"), "what the flow writes", WRITING_SECONDS)
        assert keys("queue-dev-0") == ["flow"]
        assert keys("queue-0") == ["production"]
        address = kubectl("get", "pod", "queue-0", "-o", "jsonpath={.status.podIP}").strip()
        assert reaches("writer", address)
        assert reaches("writer-dev", host)
        assert not reaches("writer-dev", address)
        assert not reaches("writer-dev", "queue")
        assert claims(kubectl) == ["data-queue-0", "data-queue-dev-0"]

        project.pulumi("destroy", "--yes", "--skip-preview")

        assert differences(before, cluster.snapshot(namespace)) == []
        assert claims(kubectl) == ["data-queue-0"]
        assert keys("queue-0") == ["production"]
    finally:
        cluster.close()
        kubectl("delete", "statefulset,deployment", "--all", "--timeout=60s")
        kubectl("delete", "pvc", "--all", "--timeout=60s")
        ask(running, "kubectl", "delete", "pv", *volumes, "--ignore-not-found", "--timeout=60s")
