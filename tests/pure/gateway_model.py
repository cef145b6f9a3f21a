"""A small model of how a proxy answers under Gateway API, written from the specification's text alone.

HTTPRouteRule: precedence goes to the match with an exact path, then the longest path prefix, then a method,
then the most headers, then the most query parameters; ties go to the oldest route, then to the first by
namespace/name, then to the first rule. GRPCRouteRule: the longest service, the longest method, the most
headers, then the same ties. Routes on a Service replace its own forwarding: without a match, 404. At a
Gateway only the routes count whose hostname is closest to the request's.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.pure.outcomes import Changes, Outcome, Place, Way, keys_after

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
    attached = _attached(routes, request)
    if not attached:
        return {request.service: 1}
    found = _chosen(attached, request)
    return NOT_FOUND if found is None else _backends(*found)


def written(routes: Iterable[Mapping[str, Any]], request: Request) -> frozenset[str]:
    """All Services that the rule of a request names, those of weight 0 too."""
    found = _chosen(_attached(routes, request), request)
    if found is None:
        return frozenset()
    rule, home = found
    return frozenset(_name(backend, home) for backend in rule.get("backendRefs") or ())


def _attached(routes: Iterable[Mapping[str, Any]], request: Request) -> list[Mapping[str, Any]]:
    place = ("Service", request.service, request.port)
    return [
        route
        for route in routes
        if any(
            (parent.get("kind"), parent["name"], parent.get("port")) == place
            for parent in route["spec"]["parentRefs"]
        )
    ]


def closest(routes: Iterable[Mapping[str, Any]], host: str) -> list[Mapping[str, Any]]:
    """The routes of a Gateway that answer for a host: an exact name first, then the longest wildcard."""
    ranked = [
        (rank, route)
        for route in routes
        if any(parent.get("kind", "Gateway") == "Gateway" for parent in route["spec"]["parentRefs"])
        and (rank := closeness(route["spec"].get("hostnames") or ("*",), host))
    ]
    best = max((rank for rank, _ in ranked), default=0)
    return [route for rank, route in ranked if rank == best]


def closeness(patterns: Sequence[str], host: str) -> int:
    """How many characters of a host its closest pattern names, one more if it is the host; 0: another's."""
    found = [0]
    for pattern in patterns:
        if pattern == host:
            found.append(len(host) + 1)
        elif pattern.startswith("*") and host.endswith(pattern[1:]):
            found.append(len(pattern))
    return max(found)


def at_gateway(
    routes: Iterable[Mapping[str, Any]], host: str, request: Request, keys: Sequence[str]
) -> Outcome:
    """What becomes of a request to a host.

    Args:
        routes: Of any parents and hosts.
        host: The host.
        request: The request; its Service and port do not count.
        keys: Values of the key that the client sends.
    """
    return _outcome(closest(routes, host), request, keys)


def in_mesh(routes: Iterable[Mapping[str, Any]], request: Request, keys: Sequence[str]) -> Outcome:
    """What a sidecar makes of a request to a Service's port that has routes.

    Args:
        routes: Of any parents.
        request: The request, with what it carries as the key among its headers.
        keys: What it carries as the key.
    """
    return _outcome(_attached(routes, request), request, keys)


def _outcome(routes: Iterable[Mapping[str, Any]], request: Request, keys: Sequence[str]) -> Outcome:
    found = _chosen(routes, request)
    return Outcome("404") if found is None else outcome_of(*found, keys)


def outcome_of(rule: Mapping[str, Any], home: str, keys: Sequence[str]) -> Outcome:
    """What a rule makes of the requests that it is used for.

    Args:
        rule: The rule.
        home: Namespace of its route.
        keys: What the requests carry as the key.
    """
    filters: Sequence[Mapping[str, Any]] = rule.get("filters") or ()
    if redirects := _of_type(filters, "RequestRedirect"):
        return Outcome(f"redirect {json.dumps(redirects, sort_keys=True)}")
    ways, everywhere = [], [filters]
    for backend in rule.get("backendRefs") or ():
        if weight := backend.get("weight", 1):
            own: Sequence[Mapping[str, Any]] = backend.get("filters") or ()
            carried = keys_after(keys, _changes(filters), _changes(own))
            ways.append(Way(_place(backend, home), weight, carried))
            everywhere.append(own)
    mirrors = frozenset(
        _place(mirror["backendRef"], home) for own in everywhere for mirror in _of_type(own, "RequestMirror")
    )
    marks = [
        entry["value"]
        for changes in _of_type(filters, "ResponseHeaderModifier")
        for entry in changes.get("set") or ()
        if entry["name"].lower() == "x-kardinal-fork"
    ]
    written = tuple(_place(backend, home) for backend in rule.get("backendRefs") or ())
    return Outcome("" if ways else "500", tuple(ways), mirrors, "".join(marks), written)


def _of_type(filters: Sequence[Mapping[str, Any]], kind: str) -> list[Mapping[str, Any]]:
    return [item[kind[0].lower() + kind[1:]] for item in filters if item["type"] == kind]


def _changes(filters: Sequence[Mapping[str, Any]]) -> Changes:
    [modifier] = _of_type(filters, "RequestHeaderModifier") or [{}]
    return {
        "remove": [(name, "") for name in modifier.get("remove") or ()],
        **{
            action: [(item["name"], item["value"]) for item in modifier.get(action) or ()]
            for action in ("set", "add")
        },
    }


def _place(backend: Mapping[str, Any], home: str) -> Place:
    return Place(backend.get("namespace", home), backend["name"], backend["port"])


def _chosen(routes: Iterable[Mapping[str, Any]], request: Request) -> tuple[Mapping[str, Any], str] | None:
    """The rule that is used, and its route's namespace."""
    best: tuple[Any, ...] | None = None
    result: tuple[Mapping[str, Any], str] | None = None
    for route in routes:
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
                    best, result = rank, (rule, metadata["namespace"])
    return result


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
            name = _name(backend, home)
            backends[name] = backends.get(name, 0) + weight
    return backends


def _name(backend: Mapping[str, Any], home: str) -> str:
    namespace: str = backend.get("namespace", home)
    return backend["name"] if namespace == home else f"{namespace}/{backend['name']}"
