"""The routes of a probe: as a flow's, but they lead where requests go anyway, and mirror what meets them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from typing import Any

from kardinal_infra.doctor.collector import baggage_pattern
from kardinal_infra.doctor.entry import mirrored
from kardinal_infra.live import Object
from kardinal_infra.names import route_name
from kardinal_infra.routing import Targets, baseline_routes
from kardinal_infra.routing.derive import is_service, with_key
from kardinal_infra.routing.filters import for_flow
from kardinal_infra.routing.manifest import MAX_HEADERS, route, service_parent
from kardinal_infra.routing.parents import kind_of, matches_of, rules_of
from kardinal_infra.routing.split import split


def probe_routes(
    targets: Targets, port: int, routes: Iterable[Object], *, baggage: bool
) -> list[dict[str, Any]]:
    """Derives the routes of a probe on one port of one Service.

    Args:
        targets: The Service; forks are those of the flow that is looked at, none for the baseline.
        port: The Service's port.
        routes: Live HTTPRoutes and GRPCRoutes.
        baggage: Whether requests with the key in the baggage alone are seen too.

    Returns:
        Manifests.

    Raises:
        ValueError: As `flow_routes`.
    """
    owner, service = targets.owner, targets.service
    by_kind: dict[str, list[dict[str, Any]]] = {}
    for item in baseline_routes(routes, owner.namespace, service, port):
        for rule in rules_of(item):
            by_kind.setdefault(kind_of(item), []).append(_watched(rule, port, targets, baggage=baggage))
    return [
        route(
            kind,
            owner,
            route_name(service, str(owner.flow), port, part),
            service,
            {"parentRefs": [service_parent(service, port)], "rules": chunk},
        )
        for kind, rules in by_kind.items()
        for part, chunk in enumerate(split(rules), start=1)
    ]


def _watched(rule: Mapping[str, Any], port: int, targets: Targets, *, baggage: bool) -> dict[str, Any]:
    key = str(targets.owner.flow)
    copy = {name: deepcopy(value) for name, value in rule.items() if name not in {"name", "filters"}}
    copy.pop("sessionPersistence", None)  # a probe must not take part in production's sessions
    copy["matches"] = [
        marked for match in matches_of(rule) for marked in _with_carriers(match, key, baggage=baggage)
    ]
    filters = for_flow(rule.get("filters") or (), lambda _: None)
    if backends := copy.get("backendRefs"):
        made = [_backend(item, port, targets) for item in backends]
        forked = [backend for backend, is_fork in made if is_fork]
        # As a flow's: where some of a rule's backends are forked, its requests go to the forks alone.
        copy["backendRefs"] = forked or [backend for backend, _ in made]
        filters = mirrored(filters, targets.service, key)
    if filters:
        copy["filters"] = filters
    return copy


def _with_carriers(match: Mapping[str, Any], key: str, *, baggage: bool) -> Iterator[dict[str, Any]]:
    yield with_key(match, key)
    headers = list(match.get("headers") or ())
    if baggage and len(headers) < MAX_HEADERS:
        pattern = {"type": "RegularExpression", "name": "baggage", "value": baggage_pattern(key)}
        yield {**deepcopy(dict(match)), "headers": [*headers, pattern]}


def _backend(backend: Mapping[str, Any], port: int, targets: Targets) -> tuple[dict[str, Any], bool]:
    """Where a backend's requests go, and whether that is a fork."""
    copy = {name: value for name, value in backend.items() if name != "filters"}
    if filters := for_flow(backend.get("filters") or (), lambda _: None):
        copy["filters"] = filters
    if not is_service(backend) or backend.get("weight", 1) == 0:
        return copy, False
    fork = targets.fork_of(backend["name"], backend.get("namespace") or targets.owner.namespace)
    if fork is None:
        return copy, False
    # A version of the service may listen elsewhere, its fork has the service's port.
    declared = targets.declares(backend["name"], backend.get("namespace") or targets.owner.namespace)
    copy["port"] = backend.get("port", port) if declared else port
    copy["name"] = fork
    return copy, True
