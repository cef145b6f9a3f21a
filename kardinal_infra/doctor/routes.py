"""The routes of a probe: as a flow's, but they lead where requests go anyway, and mirror what meets them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from dataclasses import replace
from typing import Any

from kardinal_infra.doctor.collector import baggage_pattern
from kardinal_infra.doctor.entry import mirrored
from kardinal_infra.live import Object
from kardinal_infra.routing import Targets, baseline_routes
from kardinal_infra.routing.gateway_api.manifest import MAX_HEADERS
from kardinal_infra.routing.gateway_api.mesh import routes_on, with_key
from kardinal_infra.routing.gateway_api.rules import flow_rule
from kardinal_infra.routing.parents import kind_of, matches_of, rules_of


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
    by_kind: dict[str, list[dict[str, Any]]] = {}
    for item in baseline_routes(routes, targets.owner.namespace, targets.service, port):
        for rule in rules_of(item):
            by_kind.setdefault(kind_of(item), []).append(_watched(rule, port, targets, baggage=baggage))
    return [item for kind, rules in by_kind.items() for item in routes_on(targets, port, kind, rules)]


def _watched(rule: Mapping[str, Any], port: int, targets: Targets, *, baggage: bool) -> dict[str, Any]:
    # What the probe sends is for the collector alone, whatever is mirrored besides.
    copy, _ = flow_rule(rule, replace(targets, mirrors=False), port)
    copy.pop("sessionPersistence", None)  # a probe must not take part in production's sessions
    copy["matches"] = [
        marked
        for match in matches_of(rule)
        for marked in _with_carriers(match, targets.flow, baggage=baggage)
    ]
    if copy.get("backendRefs"):
        copy["filters"] = mirrored(copy.get("filters") or (), targets.service, targets.flow)
    return copy


def _with_carriers(match: Mapping[str, Any], key: str, *, baggage: bool) -> Iterator[dict[str, Any]]:
    yield with_key(match, key)
    headers = list(match.get("headers") or ())
    if baggage and len(headers) < MAX_HEADERS:
        pattern = {"type": "RegularExpression", "name": "baggage", "value": baggage_pattern(key)}
        yield {**deepcopy(dict(match)), "headers": [*headers, pattern]}
