"""The mesh routes of a flow, derived from the baseline's routes.

Gateway API ranks path, method and the number of headers before age. So every match of every rule is copied
and the flow's key added: each copy ranks right above its original, and among each other the copies keep
the order of the originals. Copies are of the kind of their original: a GRPCRoute behind an HTTPRoute that
takes everything is never programmed.

Facts: docs/facts/mesh.md#every-match-is-copied, docs/facts/mesh.md#http-and-grpc-routes-do-not-mix.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from kardinal_infra.model.names import route_name
from kardinal_infra.observed.live import Object, namespace_of
from kardinal_infra.observed.routes import kind_of, matches_of, parent_ports, routes_of, rules_of
from kardinal_infra.routing.gateway_api.manifest import route, service_parent
from kardinal_infra.routing.gateway_api.rules import backends_of, flow_rule, naming_fork
from kardinal_infra.routing.retarget import Targets
from kardinal_infra.routing.split import split


def flow_routes(targets: Targets, port: int, routes: Iterable[Object]) -> list[dict[str, Any]]:
    """Derives a flow's routes on one port of one Service.

    Args:
        targets: The Service and the flow's forks.
        port: Port of the Service.
        routes: Live HTTPRoutes and GRPCRoutes, of any namespace and Service; those without `kind` are
            HTTPRoutes.

    Returns:
        Manifests; several when one object cannot hold all rules. Empty when no rule leads to a fork.

    Raises:
        ValueError: A match of the baseline has no room for one more header or matches the key itself, or
            rules that can tie do not fit one object.
    """
    home = targets.owner.namespace
    by_kind: dict[str, list[Object]] = {}
    for item in baseline_routes(routes, home, targets.service, port):
        by_kind.setdefault(kind_of(item), []).extend(rules_of(item))
    made: list[dict[str, Any]] = []
    for kind, rules in by_kind.items():
        # Asked before anything is copied: most Services lead to no fork.
        if any(targets.chosen(backends_of(rule, home, port), port) for rule in rules):
            made += routes_on(targets, port, kind, [_flow_rule(rule, targets, port) for rule in rules])
    return made


def _flow_rule(rule: Object, targets: Targets, port: int) -> dict[str, Any]:
    copy, forks = flow_rule(rule, targets, port)
    copy["matches"] = asking_for_key(rule, targets)
    if filters := naming_fork(copy.get("filters") or (), forks):
        copy["filters"] = filters
    return copy


def asking_for_key(rule: Object, targets: Targets) -> list[dict[str, Any]]:
    """Makes the matches of a flow's copy of a rule.

    Args:
        rule: The baseline's.
        targets: The flow and its key.

    Raises:
        ValueError: As `Key.added_to`.
    """
    made: list[dict[str, Any]] = []
    for match in matches_of(rule):
        made += targets.key.added_to(match, targets.flow)
    return made


def routes_on(
    targets: Targets, port: int, kind: str, rules: Iterable[Mapping[str, Any]]
) -> Iterator[dict[str, Any]]:
    """Makes the route objects of rules on a port of a Service.

    Args:
        targets: The Service, and whose the objects are.
        port: Port of the Service.
        kind: `HTTPRoute` or `GRPCRoute`.
        rules: The rules, in the order in which they win ties.

    Yields:
        Manifests.

    Raises:
        ValueError: Rules that can tie do not fit one object.
    """
    for part, chunk in enumerate(split([*rules]), start=1):
        name = route_name(targets.service, targets.flow, port, part)
        spec = {"parentRefs": [service_parent(targets.service, port)], "rules": chunk}
        yield route(kind, targets.owner, name, targets.service, spec)


def baseline_routes(
    routes: Iterable[Object], namespace: str, service: str, port: int | None
) -> Iterator[Object]:
    """Yields the routes that decide about a Service's port without any flow.

    Args:
        routes: HTTPRoutes and GRPCRoutes of any namespace and Service.
        namespace: Namespace of the Service.
        service: Its name.
        port: Its port; None for attachments without a port.

    Yields:
        Those in the Service's own namespace, in the order in which ties are broken.
    """
    for item in routes_of(routes, namespace, service):
        if namespace_of(item) == namespace and port in parent_ports(item, namespace, service):
            yield item
