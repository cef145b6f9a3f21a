"""The egress lock on the real mesh: what a locked pod reaches, and what its neighbour goes on reaching."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import starmap
from pathlib import Path
from typing import Any

import pytest
import yaml

from kardinal_infra.config import parse_destination
from kardinal_infra.forking import (
    ForkPeers,
    allowed_entries,
    branch_entry,
    fork_policies,
    fork_service,
    fork_template,
    fork_workload,
    lock_sidecar,
    locked_hosts,
)
from kardinal_infra.model.names import Owner, ServiceRef
from lab.settings import Lab
from tests.isolation.conftest import IMAGE, Kubectl, apply, ask
from tests.pure.forked import spec
from tests.pure.samples import STACK, live, workload

pytestmark = pytest.mark.lab

BRANCH_PORT = 15500
ANYWHERE = "192.0.2.1"
"""An address of a documentation range (RFC 5737)."""

CONNECT = """
import socket, ssl, sys
from urllib.parse import urlsplit
def first_words(url):
    if url.scheme == "http":
        # Envoy does not take HTTP/1.0.
        words = f"GET / HTTP/1.1\\r\\nHost: {url.hostname}\\r\\nConnection: close\\r\\n\\r\\n"
        return words.encode()
    received, sent = ssl.MemoryBIO(), ssl.MemoryBIO()
    try:
        ssl.create_default_context().wrap_bio(received, sent, server_hostname=url.hostname).do_handshake()
    except ssl.SSLWantReadError:
        return sent.read()
for target in sys.argv[1:]:
    url = urlsplit(target if "//" in target else "tcp://" + target)
    answer = b""
    try:
        with socket.create_connection((url.hostname, url.port), timeout=10) as client:
            if url.scheme != "tcp":
                client.sendall(first_words(url))
            while part := client.recv(1000):
                answer += part
    except OSError:
        pass
    port = answer[-4:].decode()
    print(target, port if port.isdigit() else "closed")
"""


@dataclass(frozen=True)
class Place:
    """A namespace with a target, a locked pod and its neighbour.

    Attributes:
        kubectl: Asks kubectl in the namespace.
        namespace: Its name.
        other: Another namespace of the mesh.
        outside: A namespace that the mesh does not know; its names stand for those of the internet.
        address: Address of the target's pod, which listens on 7001 and 7002 and says which.
    """

    kubectl: Kubectl
    namespace: str
    other: str
    outside: str
    address: str

    def reached(self, pod: str, *targets: str) -> dict[str, str]:
        """Port that answers each target, or `closed`."""
        script = ("python3", "-c", CONNECT, *targets)
        answer = self.kubectl("exec", pod, "-c", "main", "--", *script)
        return dict(line.split() for line in answer.splitlines())


@pytest.fixture(scope="module")
def place(running: Lab, kubectl: Kubectl, namespace: str) -> Iterator[Place]:
    plain = {"sidecar.istio.io/inject": "false"}
    apply(kubectl, pod("target", {"app": "target", **plain}), *starmap(service, SERVICES.items()))
    kubectl("wait", "--for=condition=Ready", "pod/target", "--timeout=120s")
    address = kubectl("get", "pod", "target", "-o", "jsonpath={.status.podIP}").strip()
    owner = Owner(STACK, namespace, "dev")
    made = replace(spec(workload("web"), locked=True), owner=owner)
    other, outside = f"{namespace}-other", f"{namespace}-outside"
    for name in (other, outside):
        ask(running, "kubectl", "create", "namespace", name)
    apply(
        partial(ask, running, "kubectl"),
        *leading_to(address, namespace, {"extra": 7001}),
        *leading_to(address, other, {"cache": 7001, "spare": 7001}),
        *leading_to(address, outside, OUTSIDE, **{"networking.istio.io/exportTo": "~"}),
    )
    written = ["extra", f"{other}/cache", f"tcp://{address}:7002"]
    written += [f"api.{outside}.svc.cluster.local", f"http://plain.{outside}.svc.cluster.local"]
    allowed = [parse_destination(text) for text in written]
    hosts = locked_hosts(made.owner, [ServiceRef(namespace, "allowed")], ["votes"], allowed)
    lock = lock_sidecar(made, hosts)
    branch = branch_entry(owner, "votes", BRANCH_PORT, address, 7001)
    apply(kubectl, lock, branch, *allowed_entries(owner, allowed))
    # The annotation is the fork's own: init containers must not run before the lock holds.
    annotations = fork_template(made, {})["metadata"]["annotations"]
    init = container("early", ["python3", "-c", CONNECT, f"{address}:7001", f"{ANYWHERE}:{BRANCH_PORT}"])
    apply(kubectl, pod("locked", made.selector, annotations, [init]), pod("neighbour", {"app": "neighbour"}))
    kubectl("wait", "--for=condition=Ready", "pod/locked", "pod/neighbour", "--timeout=120s")
    yield Place(kubectl, namespace, other, outside, address)
    ask(running, "kubectl", "delete", "namespace", other, outside, "--wait=false")


SERVICES = {"allowed": 7001, "other": 7002}
OUTSIDE = {
    "api": 7443,
    "other-api": 7443,
    "plain": 7080,
    "other-plain": 7080,
    # As Neon names a compute, and the pooler in front of it.
    "ep-parent-1a2b3c": 7001,
    "ep-parent-1a2b3c-pooler": 7001,
}
"""Port of the target by name of its Service."""

NUMBERS = {7443: 443, 7080: 80}
"""Port of a Service, where it is not the target's."""


def leading_to(
    address: str, namespace: str, services: Mapping[str, int], **annotations: str
) -> Iterator[dict[str, Any]]:
    """Services of a namespace that lead to the target, whatever its namespace."""
    for name, target in services.items():
        metadata = {"name": name, "namespace": namespace}
        port = {"name": "tcp", "port": NUMBERS.get(target, target), "targetPort": target}
        shown = {**metadata, "annotations": annotations}
        yield {"apiVersion": "v1", "kind": "Service", "metadata": shown, "spec": {"ports": [port]}}
        yield {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {**metadata, "labels": {"kubernetes.io/service-name": name}},
            "addressType": "IPv4",
            "ports": [{"name": "tcp", "port": target}],
            "endpoints": [{"addresses": [address]}],
        }


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


def by_name(place: Place) -> dict[str, str]:
    """Every kind of name on the allow list, each beside one that is not; what answers whom nothing stops."""
    outside, other = f"{place.outside}.svc.cluster.local", f"{place.other}.svc.cluster.local"
    return {
        "extra:7001": "7001",
        f"cache.{other}:7001": "7001",
        f"spare.{other}:7001": "7001",
        f"https://api.{outside}:443": "7443",
        f"https://other-api.{outside}:443": "7443",
        f"http://plain.{outside}:80": "7080",
        f"http://other-plain.{outside}:80": "7080",
        f"ep-parent-1a2b3c.{outside}:7001": "7001",
        f"ep-parent-1a2b3c-pooler.{outside}:7001": "7001",
    }


def test_names_of_every_kind_are_told_apart(place: Place) -> None:
    everything = by_name(place)
    assert place.reached("neighbour", *everything) == everything
    closed = ("spare.", "//other-", "ep-parent")
    wanted = {
        name: "closed" if any(part in name for part in closed) else port for name, port in everything.items()
    }
    assert place.reached("locked", *everything) == wanted


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
    hosts = locked_hosts(owner, [ServiceRef(place.namespace, "allowed")], ["votes"], allowed)
    objects = [
        fork_workload(made, {}),
        fork_service(made),
        *fork_policies(made, labels, snapshot, ForkPeers([made], snapshot)),
        fork_workload(locked, {}),
        lock_sidecar(locked, hosts),
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
