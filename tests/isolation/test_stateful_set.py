"""A forked StatefulSet on the cluster: it starts beside its baseline, and its volume goes when it goes."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kardinal_infra.forking import ForkSpec, fork_workload
from kardinal_infra.model.names import Owner
from lab.settings import Lab
from tests.isolation.conftest import IMAGE, Kubectl, apply, ask, claims, volume
from tests.pure.forked import spec
from tests.pure.samples import STACK

pytestmark = pytest.mark.lab


def baseline(storage_class: str) -> dict[str, Any]:
    claim = {
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": storage_class,
        "resources": {"requests": {"storage": "1Mi"}},
    }
    container = {
        "name": "web",
        "image": IMAGE,
        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
        "readinessProbe": {"tcpSocket": {"port": 7001}, "periodSeconds": 1},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": "web"},
        "spec": {
            "serviceName": "web",
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web", "sidecar.istio.io/inject": "false"}},
                "spec": {"terminationGracePeriodSeconds": 0, "containers": [container]},
            },
            "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": claim}],
        },
    }


def test_its_volume_is_new_and_goes_with_it(
    kubectl: Kubectl, namespace: str, running: Lab, tmp_path: Path
) -> None:
    volumes = [f"{namespace}-{number}" for number in range(2)]
    try:
        apply(kubectl, *(volume(tmp_path / name, namespace) for name in volumes), baseline(namespace))
        kubectl("rollout", "status", "statefulset/web", "--timeout=60s")
        live = json.loads(kubectl("get", "statefulset", "web", "-o", "json"))
        made: ForkSpec = replace(spec(live), owner=Owner(STACK, namespace, "dev"))

        apply(kubectl, fork_workload(made, {}))
        kubectl("rollout", "status", "statefulset/web-dev", "--timeout=60s")
        assert claims(kubectl) == ["data-web-0", "data-web-dev-0"]
        used = kubectl("get", "pvc", "-o", "jsonpath={.items[*].spec.volumeName}").split()
        assert sorted(used) == volumes

        kubectl("delete", "statefulset", "web-dev", "--cascade=foreground", "--timeout=60s")
        until = time.monotonic() + 30
        while "data-web-dev-0" in claims(kubectl) and time.monotonic() < until:
            time.sleep(0.5)
        assert claims(kubectl) == ["data-web-0"]
        assert kubectl("get", "statefulset", "web", "-o", "jsonpath={.status.readyReplicas}").strip() == "1"
    finally:
        kubectl("delete", "statefulset", "--all", "--timeout=60s")
        kubectl("delete", "pvc", "--all", "--timeout=60s")
        ask(running, "kubectl", "delete", "pv", *volumes, "--ignore-not-found", "--timeout=60s")
