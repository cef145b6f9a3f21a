"""The running lab: a pod in the mesh, names, load balancers, and no way out."""

from __future__ import annotations

import ipaddress
import json
import socket
import ssl
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from lab.containers import import_image
from lab.images import build_image
from lab.processes import wait_for
from lab.settings import SOURCES, Lab

pytestmark = pytest.mark.lab

IMAGE = "kardinal.lab/lab-test:1"
# An address of a documentation range (RFC 5737): it looks like the outside and nobody has it.
OUTSIDE = "192.0.2.1"

SERVER = """
import socket
server = socket.create_server(("", 8080))
while True:
    client, _ = server.accept()
    client.recv(65536)
    client.sendall(b"HTTP/1.1 200 OK\\r\\ncontent-length: 5\\r\\nconnection: close\\r\\n\\r\\nhello")
    client.close()
"""

CONNECT = """
import socket, sys
client = socket.socket()
client.settimeout(10)
try:
    client.connect((sys.argv[1], int(sys.argv[2])))
    print("connected", client.recv(100).decode())
except OSError as error:
    print(type(error).__name__, error.errno, error.strerror)
"""

RESOLVE = """
import socket, sys
try:
    print(socket.gethostbyname(sys.argv[1]))
except socket.gaierror as error:
    print(error.errno == socket.EAI_NONAME)
"""

PODS = """
apiVersion: v1
kind: Pod
metadata: {name: meshed, labels: {app: meshed}}
spec:
  containers: [{name: main, image: "%(image)s", readinessProbe: {httpGet: {path: /, port: 8080}}}]
---
apiVersion: v1
kind: Pod
metadata: {name: plain, labels: {app: plain, sidecar.istio.io/inject: "false"}}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{name: main, image: "%(image)s"}]
---
apiVersion: v1
kind: Service
metadata: {name: meshed}
spec: {selector: {app: meshed}, ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: v1
kind: Service
metadata: {name: balanced}
spec: {type: LoadBalancer, selector: {app: meshed}, ports: [{port: 80, targetPort: 8080}]}
"""

Python = Callable[..., str]


@pytest.fixture(scope="module")
def pods(running: Lab, kubectl: Callable[..., str], namespace: str) -> str:
    archive = build_image(
        IMAGE,
        packages=["python3-minimal"],
        files={"/app/server.py": SERVER},
        entrypoint=["python3", "/app/server.py"],
        user="1000:1000",
        lab=running,
    )
    import_image(running, archive)
    kubectl("apply", "-n", namespace, "-f", "-", text=PODS % {"image": IMAGE})
    kubectl("wait", "-n", namespace, "--for=condition=Ready", "pod/meshed", "pod/plain", "--timeout=120s")
    return namespace


@pytest.fixture
def in_pod(kubectl: Callable[..., str], pods: str) -> Python:
    def run(script: str, *arguments: str, pod: str = "plain") -> str:
        return kubectl("exec", "-n", pods, pod, "-c", "main", "--", "python3", "-c", script, *arguments)

    return run


def test_status_says_that_it_runs(running: Lab) -> None:
    command = [sys.executable, "-m", "lab", "status"]
    done = subprocess.run(command, cwd=SOURCES.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "kube-apiserver" in done.stdout
    assert "not running" not in done.stdout


def test_the_sidecar_is_a_native_one_and_ready(kubectl: Callable[..., str], pods: str) -> None:
    pod = json.loads(kubectl("get", "pod", "meshed", "-n", pods, "-o", "json"))
    sidecar = next(part for part in pod["spec"]["initContainers"] if part["name"] == "istio-proxy")
    assert sidecar["restartPolicy"] == "Always"
    assert all(
        status["ready"]
        for status in pod["status"]["initContainerStatuses"]
        if status["name"] == "istio-proxy"
    )


def test_names_of_the_cluster_resolve_and_others_do_not_exist(running: Lab, in_pod: Python) -> None:
    first = str(next(ipaddress.ip_network(running.service_range).hosts()))
    assert in_pod(RESOLVE, "kubernetes.default") == first
    assert in_pod(RESOLVE, "nothing.example") == "True"


def test_a_load_balancer_gets_an_address_that_the_machine_reaches(
    running: Lab, kubectl: Callable[..., str], pods: str
) -> None:
    question = "jsonpath={.status.loadBalancer.ingress[0].ip}"
    address = wait_for(
        lambda: kubectl("get", "service", "balanced", "-n", pods, "-o", question), "an address", seconds=20
    )
    assert ipaddress.ip_address(address) in ipaddress.ip_network(running.load_balancer_range)
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with wait_for(lambda: direct.open(f"http://{address}/", timeout=5), "an answer", seconds=20) as answer:
        assert answer.read() == b"hello"


def test_a_pod_reaches_the_machine_at_its_end_of_the_link(running: Lab, in_pod: Python) -> None:
    with socket.create_server((running.host_address, 0)) as server:
        port = server.getsockname()[1]

        def greet() -> None:
            client, _ = server.accept()
            with client:
                client.sendall(b"welcome")

        greeter = threading.Thread(target=greet)
        greeter.start()
        assert in_pod(CONNECT, running.host_address, str(port)) == "connected welcome"
        greeter.join()


def test_the_kubelet_obeys_only_the_api_server(running: Lab, kubectl: Callable[..., str], pods: str) -> None:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(f"https://{running.node_address}:10250/pods", context=context, timeout=5)
    # The API server's own way in works: every test here that runs something in a pod goes through it.
    assert kubectl("logs", "-n", pods, "plain") == ""


def test_no_pod_gets_out(in_pod: Python) -> None:
    assert in_pod(CONNECT, OUTSIDE, "80").split()[2:] == ["Network", "is", "unreachable"]


def test_nothing_beside_the_pods_gets_out(running: Lab) -> None:
    inside = ["nsenter", f"--net={running.network_namespace}", "--"]
    route = subprocess.run(
        [*inside, "ip", "route", "get", OUTSIDE], capture_output=True, text=True, check=False
    )
    assert "Network is unreachable" in route.stderr
    command = [*inside, sys.executable, "-c", CONNECT, OUTSIDE, "80"]
    tried = subprocess.run(command, capture_output=True, text=True, check=True)
    assert tried.stdout.split()[2:] == ["Network", "is", "unreachable"]


def test_the_machine_forwards_nothing_that_comes_out_of_the_link(running: Lab) -> None:
    setting = Path(f"/proc/sys/net/ipv4/conf/{running.host_interface}/forwarding")
    assert setting.read_text().strip() == "0"
