"""The routes of a probe: as a flow's, but they lead where requests go anyway, and mirror what meets them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from kardinal_infra.doctor.entry import mirrored
from kardinal_infra.observed.live import Object
from kardinal_infra.observed.routes import kind_of, rules_of
from kardinal_infra.routing import Targets, baseline_routes
from kardinal_infra.routing.gateway_api.mesh import asking_for_key, routes_on
from kardinal_infra.routing.gateway_api.rules import flow_rule


def probe_routes(targets: Targets, port: int, routes: Iterable[Object]) -> list[dict[str, Any]]:
    """Derives the routes of a probe on one port of one Service.

    Args:
        targets: The Service; forks are those of the flow that is looked at, none for the baseline. Its key
            says on which carriers requests are seen.
        port: The Service's port.
        routes: Live HTTPRoutes and GRPCRoutes.

    Returns:
        Manifests.

    Raises:
        ValueError: As `flow_routes`.
    """
    by_kind: dict[str, list[dict[str, Any]]] = {}
    for item in baseline_routes(routes, targets.owner.namespace, targets.service, port):
        for rule in rules_of(item):
            by_kind.setdefault(kind_of(item), []).append(_watched(rule, port, targets))
    return [item for kind, rules in by_kind.items() for item in routes_on(targets, port, kind, rules)]


def _watched(rule: Mapping[str, Any], port: int, targets: Targets) -> dict[str, Any]:
    # What the probe sends is for the collector alone, whatever is mirrored besides.
    copy, _ = flow_rule(rule, replace(targets, mirrors=False), port)
    copy.pop("sessionPersistence", None)  # a probe must not take part in production's sessions
    copy["matches"] = asking_for_key(rule, targets)
    if copy.get("backendRefs"):
        copy["filters"] = mirrored(copy.get("filters") or (), targets.service, targets.flow)
    return copy
