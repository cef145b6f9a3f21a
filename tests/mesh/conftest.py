"""One namespace with a server, a caller and many Services, for all tests on the real mesh.

All Services lead to one pod, each to a port of its own, so the port that answers tells which Service a
request was routed to; a mesh needs no more to be asked about its routes.
"""

from __future__ import annotations

import json
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.demo_images import load_demo_images
from lab.settings import Lab

IMAGE = "votes-api:1.0"  # for its Python alone
FIRST_PORT = 20000
LAST_PORT = 20099
EFFECT_SECONDS = 20

SERVER = """
import json, socketserver, sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def answer(self):
        body = json.dumps([self.server.server_port, self.path, dict(self.headers)]).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    do_GET = do_POST = answer
    def log_message(self, *arguments): pass
class Server(socketserver.ThreadingMixIn, HTTPServer):
    daemon_threads = True
for port in range(int(sys.argv[1]), int(sys.argv[2]) + 1):
    Thread(target=Server(("", port), Handler).serve_forever).start()
"""

ASKER = """
import http.client, json, sys
for host, port, method, path, headers in json.load(sys.stdin):
    client = http.client.HTTPConnection(host, port, timeout=10)
    client.request(method, path, headers=headers)
    answer = client.getresponse()
    print(json.dumps([answer.status, answer.read().decode(), dict(answer.getheaders())]))
"""

Manifest = dict[str, Any]


@dataclass(frozen=True)
class Ask:
    """A request of the caller's; `host` is a Service of the namespace, or a full name."""

    host: str
    path: str = "/"
    headers: tuple[tuple[str, str], ...] = ()
    port: int = 80
    method: str = "GET"


@dataclass(frozen=True)
class Answer:
    """Status, the Service that answered (None: the proxy itself), and what it was sent."""

    status: int
    service: str | None
    received: dict[str, str]
    headers: dict[str, str]

    @property
    def by(self) -> str:
        """The Service that answered, or the proxy's status."""
        return self.service or str(self.status)


@dataclass
class Mesh:
    """The namespace and everything that a test does in it."""

    namespace: str
    kubeconfig: str
    programs: Path
    ports: dict[tuple[str, int], int] = field(default_factory=dict)

    def kubectl(self, *arguments: str, text: str = "", check: bool = True) -> str:
        command = [str(self.programs / "kubectl"), f"--kubeconfig={self.kubeconfig}", "-n", self.namespace]
        done = subprocess.run([*command, *arguments], input=text, capture_output=True, text=True, check=False)
        assert not check or done.returncode == 0, done.stderr
        return done.stdout + ("" if check else done.stderr)

    def apply(self, manifests: Sequence[Manifest], *options: str) -> str:
        """Applies objects, those without a namespace in the tests' own; what kubectl says of each."""
        if not manifests:
            return ""
        return self.kubectl("apply", *options, "-f", "-", text=yaml.safe_dump_all(map(dict, manifests)))

    def delete(self, kind: str, *names: str) -> None:
        if names:
            self.kubectl("delete", kind, *names, "--wait=false")

    def objects(self, kind: str, namespace: str | None = None) -> list[Manifest]:
        where = ("-n", namespace) if namespace else ()
        items: list[Manifest] = json.loads(self.kubectl("get", kind, *where, "-o", "json"))["items"]
        return items

    def analyze(self) -> str:
        """What `istioctl analyze` has to say about the namespace."""
        command = [str(self.programs / "istioctl"), "analyze", f"--kubeconfig={self.kubeconfig}"]
        done = subprocess.run(
            [*command, "-n", self.namespace], capture_output=True, text=True, check=False, timeout=60
        )
        return done.stdout + done.stderr

    def services(self, names: Sequence[str], ports: Sequence[int] = (80,), **spec: Any) -> None:
        """Makes Services of the server's pod; on which of its ports each is told apart."""
        manifests = []
        for name in names:
            listed = []
            for port in ports:
                target = self.ports.setdefault((name, port), FIRST_PORT + len(self.ports))
                assert target <= LAST_PORT
                listed.append({"name": f"http-{port}", "port": port, "targetPort": target})
            manifests.append(
                {
                    "apiVersion": "v1",
                    "kind": "Service",
                    "metadata": {"name": name},
                    "spec": {"selector": {"app": "server"}, "ports": listed, **spec},
                }
            )
        self.apply(manifests)

    def ask(self, asked: Sequence[Ask]) -> list[Answer]:
        """Sends the requests from the caller's pod, through its sidecar."""
        lines = [[item.host, item.port, item.method, item.path, dict(item.headers)] for item in asked]
        output = self.kubectl(
            *("exec", "-i", "caller", "-c", "main", "--", "python3", "-c", ASKER), text=json.dumps(lines)
        )
        names = {target: name for (name, _), target in self.ports.items()}
        answers = []
        for status, body, headers in map(json.loads, output.splitlines()):
            port, _, received = json.loads(body) if status == 200 else (0, "", {})
            lower = {name.lower(): value for name, value in headers.items()}
            answers.append(
                Answer(status, names.get(port), {k.lower(): v for k, v in received.items()}, lower)
            )
        return answers

    def settles(self, asked: Sequence[Ask], wanted: Callable[[list[str]], Any]) -> list[str]:
        """Asks until the mesh has taken up the latest routes; the answers, right or not."""
        deadline = time.monotonic() + EFFECT_SECONDS
        while True:
            answers = [answer.by for answer in self.ask(asked)]
            if wanted(answers) or time.monotonic() > deadline:
                return answers
            time.sleep(0.3)

    def comes_to(self, table: dict[Ask, str]) -> None:
        """The table of answers that holds, at the latest when the routes are in effect."""
        asked = list(table)
        answers = self.settles(asked, lambda found: found == list(table.values()))
        assert dict(zip(map(str, asked), answers, strict=True)) == {str(k): v for k, v in table.items()}


def _pod(name: str, *command: str) -> Manifest:
    container = {
        "name": "main",
        "image": IMAGE,
        "imagePullPolicy": "IfNotPresent",
        "command": ["python3", "-c", *command],
        "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}},
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {"containers": [container], "terminationGracePeriodSeconds": 1},
    }


@pytest.fixture(scope="session")
def mesh(lab: Lab) -> Iterator[Mesh]:
    """Server and caller, both with a sidecar; removed at the end."""
    load_demo_images(lab)
    found = Mesh(f"g-routes-{uuid.uuid4().hex[:6]}", str(lab.kubeconfig), lab.programs)
    found.kubectl("create", "namespace", found.namespace)
    try:
        found.kubectl("label", "namespace", found.namespace, "istio-injection=enabled")
        server = _pod("server", SERVER, str(FIRST_PORT), str(LAST_PORT))
        found.apply([server, _pod("caller", "import time; time.sleep(3600)")])
        found.kubectl("wait", "--for=condition=Ready", "pod/server", "pod/caller", "--timeout=120s")
        yield found
    finally:
        found.kubectl("delete", "namespace", found.namespace, "--wait=false")
