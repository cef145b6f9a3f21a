"""What the tests of isolation on the lab share: its image, and its programs."""

from __future__ import annotations

import json
import subprocess
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from kardinal_infra.observed.live import name_of
from lab.containers import import_image
from lab.images import build_image
from lab.settings import Lab, from_environment
from lab.variables import is_running
from tests.isolation.guarded import Place, place

IMAGE = "kardinal.lab/isolation:4"
"""Listens on 7001, 7002, 7080 (HTTP) and 7443 (after the client's first words), and says which.

It has gRPC and a client of PostgreSQL besides.
"""

SERVER = """
import http.server, socket, threading
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "4")
        self.end_headers()
        self.wfile.write(b"7080")
def serve(port):
    server = socket.create_server(("", port))
    while True:
        client, _ = server.accept()
        if port == 7443:
            client.recv(4096)
        client.sendall(str(port).encode())
        client.close()
for port in (7001, 7002, 7443):
    threading.Thread(target=serve, args=(port,)).start()
http.server.ThreadingHTTPServer(("", 7080), Page).serve_forever()
"""

Kubectl = Callable[..., str]


@pytest.fixture(scope="session")
def running() -> Lab:
    """The running lab, with the tests' image."""
    lab = from_environment()
    if not is_running(lab):
        pytest.skip("the lab is not running: python -m lab up")
    archive = build_image(
        IMAGE,
        packages=["python3-minimal", "python3-asyncpg", "python3-grpcio"],
        files={"/app/server.py": SERVER},
        entrypoint=["python3", "/app/server.py"],
        user="1000:1000",
        lab=lab,
    )
    import_image(lab, archive)
    return lab


@pytest.fixture(scope="session")
def guarded(running: Lab) -> Iterator[Place]:
    """An application that policies guard, and a flow of it."""
    with place(running, IMAGE) as found:
        yield found


@pytest.fixture(scope="module")
def namespace(running: Lab) -> Iterator[str]:
    """A namespace whose pods get a sidecar; removed at the end."""
    name = f"isolation-{uuid.uuid4().hex[:8]}"
    ask(running, "kubectl", "create", "namespace", name)
    ask(running, "kubectl", "label", "namespace", name, "istio-injection=enabled")
    yield name
    ask(running, "kubectl", "delete", "namespace", name, "--wait=false")


@pytest.fixture(scope="module")
def kubectl(running: Lab, namespace: str) -> Kubectl:
    """Asks kubectl in the namespace; `text` goes to its standard input."""

    def call(*arguments: str, text: str = "") -> str:
        return ask(running, "kubectl", "-n", namespace, *arguments, text=text)

    return call


def ask(lab: Lab, program: str, *arguments: str, text: str = "") -> str:
    """Runs one of the lab's programs, which must succeed."""
    command = [str(lab.programs / program), f"--kubeconfig={lab.kubeconfig}", *arguments]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def apply(kubectl: Kubectl, *objects: Mapping[str, Any]) -> None:
    """Makes objects."""
    kubectl("apply", "-f", "-", text=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))


def volume(folder: Path, storage_class: str) -> dict[str, Any]:
    """A volume of the node that any user may write, as a provisioner would make one."""
    folder.mkdir()
    folder.chmod(0o777)
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": folder.name},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "capacity": {"storage": "1Mi"},
            "storageClassName": storage_class,
            "hostPath": {"path": str(folder), "type": "Directory"},
        },
    }


def claims(kubectl: Kubectl) -> list[str]:
    return sorted(map(name_of, json.loads(kubectl("get", "pvc", "-o", "json"))["items"]))
