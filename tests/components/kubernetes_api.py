"""A Kubernetes API server of a few kinds over HTTP: pages of lists, selectors, deletion, every failure."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import yaml

from tests import loopback
from tests.pure import samples

CORE = "/api/v1"
APPS = "/apis/apps/v1"
BATCH = "/apis/batch/v1"
GATEWAY = "/apis/gateway.networking.k8s.io/v1"
ISTIO = "/apis/networking.istio.io/v1"
NETWORKING = "/apis/networking.k8s.io/v1"
SECURITY = "/apis/security.istio.io/v1"
POLICY = "/apis/policy/v1"
ADMISSION = "/apis/admissionregistration.k8s.io/v1"

SERVED = {
    CORE: ("namespaces", "services", "persistentvolumeclaims", "configmaps", "secrets"),
    APPS: ("deployments", "statefulsets", "daemonsets"),
    BATCH: ("jobs",),
    GATEWAY: ("httproutes", "gateways"),
    ISTIO: ("virtualservices", "sidecars", "serviceentries"),
    NETWORKING: ("networkpolicies",),
    SECURITY: ("authorizationpolicies", "peerauthentications", "requestauthentications"),
    POLICY: ("poddisruptionbudgets",),
    ADMISSION: ("mutatingwebhookconfigurations",),
}

Answer = tuple[int, str, str]
"""Status, content type, body."""


class KubernetesApi:
    """What the server holds and how it fails.

    Attributes:
        objects: By plural, e.g. `services`.
        apis: Group-versions that are served.
        failures: Answer by path prefix, before anything else is looked at.
        seen: Method and path with query of every request.
        tokens: `Authorization` of every request.
        forgotten: Plurals of which no page but the first is given out any more.
        on_delete: Called with the plural and name instead of the removal.
    """

    def __init__(self) -> None:
        self.objects: dict[str, list[dict[str, Any]]] = {}
        self.apis = set(SERVED)
        self.failures: dict[str, Answer] = {}
        self.seen: list[str] = []
        self.tokens: list[str] = []
        self.forgotten: set[str] = set()
        self.on_delete: Callable[[str, str], None] | None = None
        self.url = ""

    def put(self, plural: str, *items: dict[str, Any]) -> None:
        self.objects.setdefault(plural, []).extend(items)

    def forbid(self, path: str) -> None:
        """Refuses a path as Kubernetes' own authorisation does."""
        message = f'cannot list resource at {path}: User "reader" is not allowed'
        self.failures[path] = status(403, message)

    def kubeconfig(self, **user: Any) -> str:
        """A kubeconfig for this server, as YAML text."""
        return kubeconfig(self.url, **user)

    def handle(self, method: str, target: str) -> Answer:
        """Answers a request."""
        parts = urlsplit(target)
        for prefix, answer in self.failures.items():
            if parts.path.startswith(prefix):
                return answer
        api = next((api for api in self.apis if parts.path.startswith(f"{api}/")), None)
        if api is None:
            # As the real server: plain text for an API that it does not know.
            return 404, "text/plain; charset=utf-8", "404 page not found\n"
        rest = parts.path.removeprefix(f"{api}/").split("/")
        namespace = ""
        if rest[0] == "namespaces" and len(rest) > 2:
            namespace, rest = rest[1], rest[2:]
        if rest[0] not in SERVED[api]:
            return 404, "text/plain; charset=utf-8", "404 page not found\n"
        if method == "DELETE":
            return self._delete(rest[0], rest[1])
        if len(rest) == 2:
            return self._get(rest[0], rest[1])
        return self._list(rest[0], namespace, dict(parse_qsl(parts.query)))

    def _list(self, plural: str, namespace: str, query: dict[str, str]) -> Answer:
        selector, first = query.get("labelSelector", ""), int(query.get("continue", "0"))
        if first and plural in self.forgotten:
            return status(410, "The provided continue parameter is too old")
        items = [
            item
            for item in self.objects.get(plural, [])
            if namespace in ("", item["metadata"].get("namespace", ""))
            and selects(selector, item["metadata"].get("labels") or {})
        ]
        last = first + int(query["limit"]) if "limit" in query else len(items)
        # As the real server: the token is there, and empty on the last page.
        metadata = {"resourceVersion": "1", "continue": str(last) if last < len(items) else ""}
        return 200, "application/json", json.dumps({"metadata": metadata, "items": items[first:last]})

    def _get(self, plural: str, name: str) -> Answer:
        for item in self.objects.get(plural, []):
            if item["metadata"]["name"] == name:
                return 200, "application/json", json.dumps(item)
        return status(404, f'{plural} "{name}" not found')

    def _delete(self, plural: str, name: str) -> Answer:
        if self.on_delete is not None:
            self.on_delete(plural, name)
            return status(200, "")
        kept = [item for item in self.objects.get(plural, []) if item["metadata"]["name"] != name]
        if len(kept) == len(self.objects.get(plural, [])):
            return status(404, f'{plural} "{name}" not found')
        self.objects[plural] = kept
        return status(200, "")


def demonstration() -> KubernetesApi:
    """A server that holds the demonstration's application."""
    api = KubernetesApi()
    live = samples.live()
    api.put("namespaces", {"metadata": {"name": samples.NAMESPACE, "labels": {"istio-injection": "enabled"}}})
    api.put("services", *map(dict, live.services))
    api.put("deployments", *map(dict, live.deployments))
    api.put("httproutes", *map(dict, live.http_routes))
    api.put("gateways", *map(dict, live.gateways))
    api.put("mutatingwebhookconfigurations", samples.INJECTOR)
    return api


def selects(selector: str, labels: dict[str, str]) -> bool:
    """Evaluates `key` and `key=value`, joined by commas."""
    for term in filter(None, selector.split(",")):
        key, equals, value = term.partition("=")
        if key not in labels or (equals and labels[key] != value):
            return False
    return True


def status(code: int, message: str) -> Answer:
    """An answer of Kubernetes' own kind `Status`."""
    body = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "code": code}
    return code, "application/json", json.dumps(body)


def kubeconfig(url: str, **user: Any) -> str:
    """A kubeconfig of one context `lab`, as YAML text."""
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "lab", "cluster": {"server": url}}],
        "users": [{"name": "me", "user": user}],
        "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": "me"}}],
        "current-context": "lab",
    }
    return yaml.safe_dump(content)


@contextlib.contextmanager
def serving(api: KubernetesApi) -> Iterator[KubernetesApi]:
    """Serves it on the loopback."""

    def answer(request: loopback.Request) -> loopback.Answer:
        api.seen.append(f"{request.method} {request.target}")
        api.tokens.append(request.headers.get("authorization", ""))
        code, kind, text = api.handle(request.method, request.target)
        return loopback.Answer(code, text.encode(), {"content-type": kind} if kind else {})

    with loopback.serving(answer) as api.url:
        yield api
