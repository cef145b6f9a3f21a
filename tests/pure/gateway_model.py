"""A small model of how a mesh proxy answers under Gateway API, written from the specification's text alone.

HTTPRouteRule: precedence goes to the match with an exact path, then the longest path prefix, then a method,
then the most headers, then the most query parameters; ties go to the oldest route, then to the first by
namespace/name, then to the first rule. GRPCRouteRule: the longest service, the longest method, the most
headers, then the same ties. Routes on a Service replace its own forwarding: without a match, 404.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

NOT_FOUND: Mapping[str, int] = {"404": 1}


@dataclass(frozen=True)
class Request:
    """What a proxy looks at; `service` and `port` are where the caller sends it.

    A call of gRPC is a request for `/<service>/<method>`.
    """

    service: str
    port: int
    path: str = "/"
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)


def answer(routes: Iterable[Mapping[str, Any]], request: Request) -> Mapping[str, int]:
    """Backends with their weights, `NOT_FOUND`, or the Service itself where no route is on its port."""
    best: tuple[Any, ...] | None = None
    result: Mapping[str, int] = NOT_FOUND
    attached = False
    for route in routes:
        if not any(
            (parent["kind"], parent["name"], parent["port"]) == ("Service", request.service, request.port)
            for parent in route["spec"]["parentRefs"]
        ):
            continue
        attached = True
        metadata = route["metadata"]
        tie = (metadata.get("creationTimestamp", ""), f"{metadata['namespace']}/{metadata['name']}")
        grpc = route.get("kind") == "GRPCRoute"
        for index, rule in enumerate(route["spec"]["rules"]):
            for match in rule.get("matches") or [{}]:
                if not (_calls if grpc else _meets)(match, request):
                    continue
                specificity = (_grpc_specificity if grpc else _http_specificity)(match)
                rank = (*(-value for value in specificity), *tie, index)
                if best is None or rank < best:
                    best, result = rank, _backends(rule, metadata["namespace"])
    return result if attached else {request.service: 1}


def _http_specificity(match: Mapping[str, Any]) -> tuple[int, ...]:
    path = match.get("path", {"type": "PathPrefix", "value": "/"})
    return (
        int(path["type"] == "Exact"),
        len(path["value"]),
        int("method" in match),
        len(match.get("headers") or ()),
        len(match.get("queryParams") or ()),
    )


def _grpc_specificity(match: Mapping[str, Any]) -> tuple[int, ...]:
    method = match.get("method") or {}
    return len(method.get("service", "")), len(method.get("method", "")), len(match.get("headers") or ())


def _meets(match: Mapping[str, Any], request: Request) -> bool:
    path = match.get("path", {"type": "PathPrefix", "value": "/"})
    wanted = path["value"]
    if path["type"] == "Exact":
        fits = request.path == wanted
    else:
        # Element by element: /api holds for /api and /api/x, not for /apix.
        fits = request.path == wanted or request.path.startswith(wanted.rstrip("/") + "/")
    return (
        fits
        and match.get("method", request.method) == request.method
        and _has_headers(match, request)
        and all(request.query.get(q["name"]) == q["value"] for q in match.get("queryParams") or ())
    )


def _calls(match: Mapping[str, Any], request: Request) -> bool:
    service, _, called = request.path.removeprefix("/").partition("/")
    method = match.get("method") or {}
    return (
        method.get("service", service) == service
        and method.get("method", called) == called
        and _has_headers(match, request)
    )


def _has_headers(match: Mapping[str, Any], request: Request) -> bool:
    return all(request.headers.get(h["name"]) == h["value"] for h in match.get("headers") or ())


def _backends(rule: Mapping[str, Any], home: str) -> Mapping[str, int]:
    backends: dict[str, int] = {}
    for backend in rule.get("backendRefs") or ():
        if weight := backend.get("weight", 1):
            namespace = backend.get("namespace", home)
            name = backend["name"] if namespace == home else f"{namespace}/{backend['name']}"
            backends[name] = backends.get(name, 0) + weight
    return backends
