"""The fake Kubernetes API with what a probe needs: it makes objects, runs a collector, and can be cut off.

The application is the demonstration's, and the collector always sees its page call its API with the key.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from kardinal_infra.cluster import sweep
from kardinal_infra.doctor import Question, run
from kardinal_infra.doctor.collector import CONTAINER
from kardinal_infra.doctor.entry import GATEWAY
from kardinal_infra.model.names import HEADER_FLOW, LABEL_FLOW
from tests import loopback
from tests.components.kubernetes_api import CORE, KubernetesApi, status
from tests.pure import samples
from tests.pure.samples import NAMESPACE

PAGE = "10.0.0.1"
PROBED = ("httproutes", "services", "jobs", "pods")
"""Kinds that a run makes objects of."""

Ask = Callable[[str, str], bool]
"""Judges a request to the API server by its method and path."""


class ProbedApi(KubernetesApi):
    """An API server in front of a running application.

    Attributes:
        cut: Whether the network to it is cut, judged before each request.
        tried: Requests that the cut network did not carry.
    """

    def __init__(self) -> None:
        super().__init__()
        self.cut: Ask = lambda *_: False
        self.tried: list[str] = []
        live = samples.live()
        self.put("namespaces", {"metadata": {"name": NAMESPACE, "labels": {"istio-injection": "enabled"}}})
        self.put("services", *map(dict, live.services))
        self.put("deployments", *map(dict, live.deployments))
        self.put("httproutes", *map(dict, live.http_routes))
        self.put("gateways", *map(dict, live.gateways))
        self.put("mutatingwebhookconfigurations", samples.INJECTOR)
        self.put("pods", _pod("page", {"app": "voting-app-ui"}, PAGE))
        self.put("pods", _pod("api", {"app": "votes-api"}, "10.0.0.2"))

    @property
    def probes(self) -> list[str]:
        """What is there of any probe."""
        return sorted(
            f"{plural} {item['metadata']['name']}"
            for plural in PROBED
            for item in self.objects.get(plural, [])
            if LABEL_FLOW in (item["metadata"].get("labels") or {})
        )

    def answer(self, request: loopback.Request) -> loopback.Answer:
        self.seen.append(f"{request.method} {request.target}")
        if request.method == "POST":
            code, kind, text = self._create(request.path, json.loads(request.body))
        elif request.path.endswith("/log"):
            code, kind, text = self._log(request)
        elif request.path == f"{CORE}/namespaces/{NAMESPACE}/pods":
            query = dict(httpx.URL(request.target).params)
            code, kind, text = self._list("pods", NAMESPACE, query)
        else:
            code, kind, text = self.handle(request.method, request.target)
        return loopback.Answer(code, text.encode(), {"content-type": kind})

    def _create(self, path: str, item: dict[str, Any]) -> tuple[int, str, str]:
        item["metadata"] |= {"uid": "1", "creationTimestamp": "2026-11-27T12:00:00Z"}
        if item["kind"] == "Job":
            self.put("pods", self._collector(item))
        if item["kind"] == "HTTPRoute":
            accepted = [{"type": name, "status": "True"} for name in ("Accepted", "ResolvedRefs")]
            parents = [{"parentRef": parent, "conditions": accepted} for parent in item["spec"]["parentRefs"]]
            item["status"] = {"parents": parents}
        self.put(path.rpartition("/")[2], item)
        return 201, "application/json", json.dumps(item)

    def _collector(self, job: dict[str, Any]) -> dict[str, Any]:
        # As where another injector than the mesh's puts a container into every pod.
        pod = _pod("collector-x1", job["spec"]["template"]["metadata"]["labels"], "10.0.0.9")
        pod["spec"]["containers"].append({"name": CONTAINER, "image": "proxyv2"})
        pod["status"]["conditions"] = [{"type": "Ready", "status": "True"}]
        return pod

    def _log(self, request: loopback.Request) -> tuple[int, str, str]:
        if httpx.URL(request.target).params.get("container") != CONTAINER:
            return status(400, "a container name must be specified")
        [job] = self.objects["jobs"]
        key = job["metadata"]["name"]
        entries = [
            {"hop": GATEWAY, "header": key, "from": "192.0.2.1"},
            {"hop": "votes-api", "header": key, "from": PAGE},
        ]
        return 200, "text/plain", "\n".join(map(json.dumps, entries))

    def _delete(self, plural: str, name: str) -> tuple[int, str, str]:
        if plural == "jobs":  # what the garbage collector does for a Job's pods
            self.objects["pods"] = [
                item for item in self.objects["pods"] if item["metadata"]["labels"].get(LABEL_FLOW) != name
            ]
        return super()._delete(plural, name)


def _pod(name: str, labels: dict[str, str], address: str) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": labels},
        "spec": {"containers": [{"name": "istio-proxy", "image": "proxyv2"}]},
        "status": {"phase": "Running", "podIPs": [{"ip": address}]},
    }


def _gateway(request: loopback.Request) -> loopback.Answer:
    """What answers at a probe's host: its answers carry the key, which is the host's first label."""
    return loopback.Answer(200, b"ok", {HEADER_FLOW: request.headers["host"].partition(".")[0]})


@contextlib.contextmanager
def running(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[ProbedApi, Question]]:
    """Serves it and the application, with the question that leads there."""
    api = ProbedApi()
    carry = httpx.HTTPTransport.handle_request

    def handle(transport: httpx.HTTPTransport, request: httpx.Request) -> httpx.Response:
        # Cut on the client's side: a server that goes away keeps the connections that it has.
        if str(request.url).startswith(api.url) and api.cut(request.method, request.url.path):
            api.tried.append(f"{request.method} {request.url.path}")
            raise httpx.ConnectError("Connection refused", request=request)
        return carry(transport, request)

    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", handle)
    for module in (run, sweep):
        monkeypatch.setattr(module, "PAUSE_SECONDS", 0.01)
    with (
        loopback.serving(api.answer) as api.url,
        loopback.serving(_gateway) as entry,
    ):
        gateway = {**samples.TOPOLOGY["gateway"], "address": urlsplit(entry).netloc}
        yield api, Question(samples.topology(gateway=gateway), seconds=0)
