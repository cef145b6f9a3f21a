"""The mesh routes of a flow, derived from the baseline's routes.

Gateway API ranks path, method and the number of headers before age. So every match of every rule is copied
and the flow's header added: each copy ranks right above its original, and among each other the copies keep
the order of the originals.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Any

from kardinal_infra.live import Object, namespace_of
from kardinal_infra.names import HEADER_FLOW, HEADER_FORK, Owner, route_name
from kardinal_infra.routing.manifest import (
    MAX_HEADERS,
    MAX_MATCHES,
    MAX_RULES,
    http_route,
    merge_filter,
    service_parent,
)
from kardinal_infra.routing.parents import matches_of, parent_ports, routes_of, rules_of


def flow_routes(
    owner: Owner,
    service: str,
    port: int,
    routes: Iterable[Object],
    forks: Mapping[str, str],
    declared: Collection[str],
) -> list[dict[str, Any]]:
    """Derives a flow's HTTPRoutes on one port of one Service.

    Args:
        owner: Stack, namespace and flow.
        service: The Service, forked or only sending requests on to a forked one.
        port: Its port.
        routes: Live HTTPRoutes of any namespace.
        forks: Fork by service, of this flow.
        declared: Services of the topology. A backend that is none of them is a version of `service`, for
            example a canary, and is replaced by its fork too.

    Returns:
        Manifests, in the order in which they rank; several when one object cannot hold all rules. Empty when
        no rule leads to a fork.

    Raises:
        ValueError: A match of the baseline has no room for one more header.
    """
    assert owner.flow is not None
    baseline = [
        route
        for route in routes_of(routes, owner.namespace, service)
        if namespace_of(route) == owner.namespace and port in parent_ports(route, owner.namespace, service)
    ]
    rules: list[dict[str, Any]] = []
    reached = False
    for route in baseline:
        for rule in rules_of(route):
            copy, forked = _copy_rule(rule, owner, service, port, forks, declared)
            rules.append(copy)
            reached = reached or forked
    if not reached:
        return []
    return [
        http_route(
            owner,
            route_name(service, owner.flow, port, part),
            service,
            {"parentRefs": [service_parent(service, port)], "rules": chunk},
        )
        for part, chunk in enumerate(_split(rules), start=1)
    ]


def _copy_rule(
    rule: Mapping[str, Any],
    owner: Owner,
    service: str,
    port: int,
    forks: Mapping[str, str],
    declared: Collection[str],
) -> tuple[dict[str, Any], bool]:
    # A rule's name is for policies that attach to it, and would not be unique any more.
    copy = {key: deepcopy(value) for key, value in rule.items() if key != "name"}
    copy["matches"] = [_with_key(match, str(owner.flow)) for match in matches_of(rule)]
    backends: list[dict[str, Any]] = []
    for backend in copy.get("backendRefs") or ():
        fork = _fork_of(backend, owner.namespace, service, forks, declared)
        # Weight 0 means that nothing goes there, forked or not.
        if fork is not None and backend.get("weight", 1) > 0:
            # A version of the service may listen on another port; its fork has the service's.
            backend_port = backend.get("port", port) if backend["name"] in declared else port
            backends.append({**backend, "name": fork, "port": backend_port})
    if not backends:
        return copy, False
    copy["backendRefs"] = _merged(backends)
    copy["filters"] = merge_filter(
        copy.get("filters") or (),
        "ResponseHeaderModifier",
        "set",
        {"name": HEADER_FORK, "value": backends[0]["name"]},
    )
    return copy, True


def _with_key(match: Mapping[str, Any], flow: str) -> dict[str, Any]:
    headers = list(match.get("headers") or ())
    if len(headers) >= MAX_HEADERS:
        raise ValueError(f"a match with {len(headers)} headers has no room for the flow's")
    return {
        **deepcopy(dict(match)),
        "headers": [*headers, {"type": "Exact", "name": HEADER_FLOW, "value": flow}],
    }


def _fork_of(
    backend: Mapping[str, Any],
    namespace: str,
    service: str,
    forks: Mapping[str, str],
    declared: Collection[str],
) -> str | None:
    is_service = backend.get("kind", "Service") == "Service" and backend.get("group", "") == ""
    if not is_service or backend.get("namespace", namespace) != namespace:
        return None
    name = backend["name"]
    return forks.get(name if name in declared else service)


def _merged(backends: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """One entry per fork. Requests of a flow never take part in the baseline's split of weights beside it."""
    by_target: dict[tuple[str, int], dict[str, Any]] = {}
    for backend in backends:
        target = (backend["name"], backend["port"])
        known = by_target.setdefault(target, {**backend, "weight": 0})
        known["weight"] += backend.get("weight", 1)
    merged = list(by_target.values())
    if len(merged) == 1:
        merged[0].pop("weight")
    return merged


def _split(rules: Sequence[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    chunk: list[dict[str, Any]] = []
    matches = 0
    for rule in rules:
        size = len(rule["matches"])
        if chunk and (len(chunk) == MAX_RULES or matches + size > MAX_MATCHES):
            yield chunk
            chunk, matches = [], 0
        chunk.append(rule)
        matches += size
    if chunk:
        yield chunk
