"""An application of three services and a fork on the real mesh, whose propagation a request chooses.

`front` calls `middle`, which calls `back`. A request's query says who keeps what: `/?drop=middle` makes
`middle` drop every header, `/?header=middle` makes it drop the routing header alone.
"""

from __future__ import annotations

import json
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from kardinal_infra.model.names import HEADER_FLOW, LABEL_FLOW, LABEL_FORK
from kardinal_infra.model.topology import Topology
from kardinal_infra.routing import catch_all_routes, production_routes
from lab.demo_images import load_demo_images
from lab.settings import Lab

IMAGE = "votes-api:1.0"  # for its Python alone
FLOW = "dev"
FORK = "middle-dev"
CALLS = {"front": "middle", "middle": "back", "back": "", FORK: "back"}
KINDS = "jobs,services,httproutes,pods"

SERVER = f"""
import http.client, os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit
NAME, CALLS = os.environ["NAME"], os.environ["CALLS"]
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        query = parse_qs(urlsplit(self.path).query)
        kept = {{"{HEADER_FLOW}", "baggage"}}
        if NAME in query.get("drop", ()):
            kept = set()
        if NAME in query.get("header", ()):
            kept.discard("{HEADER_FLOW}")
        text = NAME
        if CALLS:
            client = http.client.HTTPConnection(CALLS, 80, timeout=10)
            headers = {{name: value for name, value in self.headers.items() if name.lower() in kept}}
            client.request("GET", self.path, headers=headers)
            answer = client.getresponse()
            text += " " + answer.read().decode()
            client.close()
        self.send_response(200)
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())
    def log_message(self, *arguments): pass
ThreadingHTTPServer(("", 8080), Handler).serve_forever()
"""


def shop(namespace: str, address: str | None = None) -> dict[str, Any]:
    """The topology, as a baseline stack exports it."""
    names = [name for name in CALLS if name != FORK]
    return {
        "schemaVersion": 1,
        "application": "shop",
        "namespace": namespace,
        "domain": "shop.example",
        "gateway": {"name": "edge", "namespace": namespace, "address": address},
        "services": {
            name: {"ports": [{"port": 80}], "depends_on": [CALLS[name]] if CALLS[name] else []}
            for name in names
        },
        "entries": [{"service": "front", "host": "shop.example"}],
    }


def eventually(condition: Callable[[], Any], what: str, seconds: float = 60) -> None:
    """Waits until something holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds:g} s for {what}"
        time.sleep(0.3)


@dataclass(frozen=True)
class Shop:
    """The running application."""

    namespace: str
    kubeconfig: str
    programs: Path
    address: str = ""

    @property
    def plain(self) -> dict[str, Any]:
        return dict(json.loads(json.dumps(shop(self.namespace, self.address))))

    @property
    def topology(self) -> Topology:
        return Topology.model_validate(self.plain)

    def kubectl(self, *arguments: str, text: str = "") -> str:
        command = [str(self.programs / "kubectl"), f"--kubeconfig={self.kubeconfig}", "-n", self.namespace]
        done = subprocess.run([*command, *arguments], input=text, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def apply(self, *manifests: Any) -> None:
        self.kubectl(
            "apply", "-f", "-", text=json.dumps({"apiVersion": "v1", "kind": "List", "items": manifests})
        )

    def objects(self) -> dict[str, Any]:
        """What a probe could change: everything of the kinds that it makes, without the status."""
        items = json.loads(self.kubectl("get", KINDS, "-o", "json"))["items"]
        return {f"{item['kind']} {item['metadata']['name']}": item["spec"] for item in items}


@pytest.fixture(scope="session")
def running(lab: Lab) -> Iterator[Shop]:
    """The application with its Gateway and the baseline's routes; removed at the end."""
    load_demo_images(lab)
    found = Shop(f"i-doctor-{uuid.uuid4().hex[:6]}", str(lab.kubeconfig), lab.programs)
    found.kubectl("create", "namespace", found.namespace)
    try:
        found.kubectl("label", "namespace", found.namespace, "istio-injection=enabled")
        found.apply(_gateway(), *(item for name in CALLS for item in _service(name)))
        routes = [*catch_all_routes(found.topology, "shop"), *production_routes(found.topology, "shop")]
        found.apply(*routes)
        found.kubectl("wait", "--for=condition=Ready", "pod", "--all", "--timeout=180s")

        def address() -> str:
            status = json.loads(found.kubectl("get", "gateway", "edge", "-o", "json")).get("status", {})
            return "".join(item["value"] for item in status.get("addresses") or ())

        eventually(address, "an address for the Gateway")
        found.kubectl("wait", "--for=condition=Programmed", "gateway/edge", "--timeout=120s")
        yield Shop(found.namespace, found.kubeconfig, found.programs, f"{address()}:80")
    finally:
        found.kubectl("delete", "namespace", found.namespace, "--wait=false")


def _gateway() -> dict[str, Any]:
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "Gateway",
        "metadata": {"name": "edge"},
        "spec": {
            "gatewayClassName": "istio",
            "listeners": [{"name": "http", "port": 80, "protocol": "HTTP"}],
        },
    }


def _service(name: str) -> list[dict[str, Any]]:
    # A fork as the library makes it: its labels meet no Service but its own.
    labels = {LABEL_FORK: name, LABEL_FLOW: FLOW} if name == FORK else {"app": name}
    selector = {LABEL_FORK: name} if name == FORK else labels
    container = {
        "name": "main",
        "image": IMAGE,
        "imagePullPolicy": "IfNotPresent",
        "command": ["python3", "-c", SERVER],
        "env": [{"name": "NAME", "value": name}, {"name": "CALLS", "value": CALLS[name]}],
        "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}},
    }
    return [
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "labels": labels},
            "spec": {"containers": [container], "terminationGracePeriodSeconds": 1},
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name, "labels": {LABEL_FLOW: FLOW} if name == FORK else {}},
            "spec": {"selector": selector, "ports": [{"name": "http", "port": 80, "targetPort": 8080}]},
        },
    ]
