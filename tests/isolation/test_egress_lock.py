"""The egress lock on the real mesh: what a locked pod reaches, and what its neighbour goes on reaching."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import starmap
from pathlib import Path
from typing import Any

import pytest
import yaml

from kardinal_infra.config import parse_destination
from kardinal_infra.forking import (
    allowed_entries,
    branch_entry,
    fork_policies,
    fork_service,
    fork_template,
    fork_workload,
    lock_sidecar,
)
from kardinal_infra.names import Owner
from lab.settings import Lab
from tests.isolation.conftest import IMAGE, Kubectl, apply, ask
from tests.pure.forked import spec
from tests.pure.samples import STACK, live, workload

pytestmark = pytest.mark.lab

BRANCH_PORT = 15500
ANYWHERE = "192.0.2.1"
"""An address of a documentation range (RFC 5737)."""

CONNECT = """
import socket, sys
for target in sys.argv[1:]:
    host, port = target.split(":")
    try:
        with socket.create_connection((host, int(port)), timeout=10) as client:
            print(target, client.recv(10).decode() or "closed")
    except OSError:
        print(target, "closed")
"""


@dataclass(frozen=True)
class Place:
    """A namespace with a target, a locked pod and its neighbour.

    Attributes:
        kubectl: Asks kubectl in the namespace.
        namespace: Its name.
        address: Address of the target's pod, which listens on 7001 and 7002 and says which.
    """

    kubectl: Kubectl
    namespace: str
    address: str

    def reached(self, pod: str, *targets: str) -> dict[str, str]:
        """Port that answers each target, or `closed`."""
        script = ("python3", "-c", CONNECT, *targets)
        answer = self.kubectl("exec", pod, "-c", "main", "--", *script)
        return dict(line.split() for line in answer.splitlines())


@pytest.fixture(scope="module")
def place(kubectl: Kubectl, namespace: str) -> Place:
    plain = {"sidecar.istio.io/inject": "false"}
    apply(kubectl, pod("target", {"app": "target", **plain}), *starmap(service, SERVICES.items()))
    kubectl("wait", "--for=condition=Ready", "pod/target", "--timeout=120s")
    address = kubectl("get", "pod", "target", "-o", "jsonpath={.status.podIP}").strip()
    owner = Owner(STACK, namespace, "dev")
    made = replace(spec(workload("web"), locked=True), owner=owner)
    allowed = [parse_destination(f"tcp://{address}:7002")]
    lock = lock_sidecar(made, [(namespace, "allowed")], ["votes"], allowed)
    branch = branch_entry(owner, "votes", BRANCH_PORT, address, 7001)
    apply(kubectl, lock, branch, *allowed_entries(owner, allowed))
    # The annotation is the fork's own: init containers must not run before the lock holds.
    annotations = fork_template(made, {})["metadata"]["annotations"]
    init = container("early", ["python3", "-c", CONNECT, f"{address}:7001", f"{ANYWHERE}:{BRANCH_PORT}"])
    apply(kubectl, pod("locked", made.selector, annotations, [init]), pod("neighbour", {"app": "neighbour"}))
    kubectl("wait", "--for=condition=Ready", "pod/locked", "pod/neighbour", "--timeout=120s")
    return Place(kubectl, namespace, address)


SERVICES = {"allowed": 7001, "other": 7002}


def container(name: str, command: list[str] | None = None) -> dict[str, Any]:
    return {"name": name, "image": IMAGE, **({"command": command} if command else {})}


def pod(
    name: str,
    labels: Mapping[str, str],
    annotations: Mapping[str, str] | None = None,
    init: list[Any] | None = None,
) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": dict(labels), "annotations": dict(annotations or {})},
        "spec": {
            "terminationGracePeriodSeconds": 0,
            "initContainers": init or [],
            "containers": [container("main")],
        },
    }


def service(name: str, port: int) -> dict[str, Any]:
    ports = [{"name": "tcp", "port": port}]
    content = {"selector": {"app": "target"}, "ports": ports}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": content}


def test_a_locked_pod_reaches_what_is_named_and_nothing_else(place: Place) -> None:
    assert place.reached(
        "locked",
        "allowed:7001",
        "other:7002",
        f"{place.address}:7001",
        f"{place.address}:7002",
        f"{ANYWHERE}:{BRANCH_PORT}",
    ) == {
        "allowed:7001": "7001",
        "other:7002": "closed",  # a Service that is not on the list, although its address and port are
        f"{place.address}:7001": "closed",
        f"{place.address}:7002": "7002",
        f"{ANYWHERE}:{BRANCH_PORT}": "7001",  # the branch, whatever the address
    }


def test_its_init_containers_are_locked_too(place: Place) -> None:
    lines = place.kubectl("logs", "locked", "-c", "early").splitlines()
    assert lines == [f"{place.address}:7001 closed", f"{ANYWHERE}:{BRANCH_PORT} 7001"]


def test_its_neighbour_reaches_everything_as_before(place: Place) -> None:
    targets = ["allowed:7001", "other:7002", f"{place.address}:7001", f"{place.address}:7002"]
    assert place.reached("neighbour", *targets) == {target: target[-4:] for target in targets}


def test_everything_that_is_rendered_is_valid_to_the_cluster_and_nothing_to_analyze(
    place: Place, running: Lab, tmp_path: Path
) -> None:
    item = workload("web")
    item["spec"]["volumeClaimTemplates"] = [
        {
            "metadata": {"name": "data"},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
        }
    ]
    owner = Owner(STACK, place.namespace, "dev")
    selects = {"selector": {"matchLabels": {"app": "web"}}}
    contents: dict[str, dict[str, Any]] = {
        "NetworkPolicy": {"podSelector": selects["selector"], "policyTypes": ["Ingress"], "ingress": [{}]},
        "AuthorizationPolicy": {**selects, "action": "ALLOW", "rules": [{}]},
        "PeerAuthentication": {**selects, "mtls": {"mode": "PERMISSIVE"}},
        "RequestAuthentication": {**selects, "jwtRules": []},
        "Sidecar": {"workloadSelector": {"labels": {"app": "web"}}, "egress": [{"hosts": ["./*"]}]},
    }
    policies = [
        {"kind": kind, "metadata": {"name": "guard", "namespace": place.namespace}, "spec": content}
        for kind, content in contents.items()
    ]
    made = replace(spec({**item, "kind": "StatefulSet"}), owner=owner, name="web-ordered")
    locked = replace(spec(workload("web"), locked=True), owner=owner, name="web-locked")
    snapshot = replace(live(policies=policies), namespace=place.namespace)
    labels = fork_template(made, {})["metadata"]["labels"]
    allowed = [parse_destination(text) for text in ("api.example.com", "http://a.example.com", "cache/redis")]
    objects = [
        fork_workload(made, {}),
        fork_service(made),
        *fork_policies(made, labels, snapshot, [made]),
        fork_workload(locked, {}),
        lock_sidecar(locked, [(place.namespace, "allowed")], ["votes"], allowed),
        branch_entry(owner, "orders", BRANCH_PORT + 1, "ep-x.neon.tech", 5432),
        *allowed_entries(owner, allowed),
    ]
    assert len({item["kind"] for item in objects}) == 9
    plain = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    answer = place.kubectl("apply", "--dry-run=server", "-f", "-", text=plain)
    assert answer.count("(server dry run)") == len(objects)
    # With what is in the namespace: a locked pod and what locks it. Selectors without pods would be findings.
    file = tmp_path / "rendered.yaml"
    shown = [item for item in objects if item["kind"] in {"Service", "ServiceEntry"}]
    file.write_text(yaml.safe_dump_all(shown))
    answer = ask(running, "istioctl", "analyze", "-n", place.namespace, str(file))
    assert "No validation issues found" in answer
