"""A caller inside the mesh that asks votes-api what it is told from outside, with or without a key."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import httpx

from kardinal_infra.model.names import ANSWER_FLOW, HEADER_FORK
from kardinal_infra.routing.key import DEFAULT_KEY
from lab.demo_cluster import Cluster
from tests.e2e.bringup import READY_SECONDS, eventually, remove_namespace

IMAGE = "votes-api:1.0"  # for its Python alone
SERVICE = "votes-api"

PROGRAM = (
    f"""
KEY, ANSWER = {tuple(DEFAULT_KEY.carried(""))}, {(ANSWER_FLOW, HEADER_FORK)}
"""
    + """
import http.client, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1

    def setup(self):
        super().setup()
        self.service = http.client.HTTPConnection(sys.argv[1], timeout=100)

    def pass_on(self):
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        kept = (*KEY, "content-type")
        headers = {name: self.headers[name] for name in kept if name in self.headers}
        self.service.request(self.command, self.path, body, headers)
        answer = self.service.getresponse()
        content = answer.read()
        self.send_response(answer.status)
        for name in ANSWER:
            if name in answer.headers:
                self.send_header(name, answer.headers[name])
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = pass_on

    def log_message(self, *_):
        pass

class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

Server(("", 8000), Handler).serve_forever()
"""
)


@contextlib.contextmanager
def relay(cluster: Cluster, namespace: str) -> Iterator[str]:
    """Runs the caller in a namespace of its own, removed at the end.

    Args:
        cluster: The cluster.
        namespace: Namespace of the application.

    Yields:
        Its address; `GET /votes` there asks production's votes-api from inside the mesh.
    """
    own = f"{namespace}-caller"
    remove_namespace(cluster, own)
    labels = {"istio-injection": "enabled"}
    cluster.create(
        "/api/v1/namespaces",
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": own, "labels": labels}},
    )
    try:
        container = {
            "name": "main",
            "image": IMAGE,
            "imagePullPolicy": "IfNotPresent",
            "command": ["python3", "-c", PROGRAM, f"{SERVICE}.{namespace}"],
        }
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "caller", "labels": {"app": "caller"}},
            "spec": {"containers": [container], "terminationGracePeriodSeconds": 1},
        }
        port = {"name": "http", "port": 80, "targetPort": 8000}
        service = {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "caller"},
            "spec": {"type": "LoadBalancer", "selector": {"app": "caller"}, "ports": [port]},
        }
        cluster.create(f"/api/v1/namespaces/{own}/pods", pod)
        cluster.create(f"/api/v1/namespaces/{own}/services", service)
        found: list[str] = []

        def answers() -> bool:
            object_ = cluster.get(f"/api/v1/namespaces/{own}/services/caller") or {}
            addresses = object_.get("status", {}).get("loadBalancer", {}).get("ingress") or []
            found[:] = [f"http://{item['ip']}" for item in addresses]
            with contextlib.suppress(httpx.HTTPError):
                return any(httpx.get(f"{url}/votes", trust_env=False).is_success for url in found)
            return False

        eventually(answers, "the caller inside the mesh", READY_SECONDS)
        yield found[0]
    finally:
        remove_namespace(cluster, own)
