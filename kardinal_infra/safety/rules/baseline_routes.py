"""Rules about the routes that are on the host already, as a flow's requests would meet them.

Fact: docs/facts/mesh.md#expressions-come-last.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kardinal_infra.observed.live import Object, name_of, namespace_of, spec_of
from kardinal_infra.observed.routes import matches_of, rules_of, takes_everything, title_of
from kardinal_infra.observed.virtual_services import claiming
from kardinal_infra.routing import baseline_routes
from kardinal_infra.routing.dialect import virtual_service_title
from kardinal_infra.routing.gateway_api.filters import MIRROR, changes_of
from kardinal_infra.routing.gateway_api.rules import backends_of, service_of
from kardinal_infra.routing.headers import named_in
from kardinal_infra.routing.key import BAGGAGE
from kardinal_infra.safety.case import Case
from kardinal_infra.safety.findings import Hit, safety_rule


def baseline_of(case: Case) -> Iterator[tuple[str, int, Object]]:
    """Yields Service, port and route: every route that decides about a forked Service without a flow.

    Args:
        case: The cluster, and what a flow would add to it.
    """
    for service in sorted(case.forked()):
        candidates = case.live.baseline_routes_on(case.topology.ref(service))
        for port in case.topology.services[service].routed_ports:
            for route in baseline_routes(candidates, case.home(service), service, port.port):
                yield service, port.port, route


@safety_rule("undeclared-port", "warning")
def undeclared_port(case: Case) -> Iterator[Hit]:
    """A forked Service has a port that the topology does not name, so nothing of the flow is routed there."""
    for fork in case.forks:
        known = {port.port for port in case.topology.services[fork.service].ports}
        for port in _undeclared(case.live_of(fork.service).service(fork.service), known):
            yield Hit(
                fork.path,
                f"port {port} of Service {fork.service} is not declared in the topology: requests of the flow"
                " to it reach production",
                (f"Service {fork.service}",),
            )


def _undeclared(service: Object | None, known: set[int]) -> Iterator[int]:
    ports = spec_of(service or {}).get("ports") or ()
    yield from (port["port"] for port in ports if port["port"] not in known)


@safety_rule("mirror-left-out", "warning")
def mirror_left_out(case: Case) -> Iterator[Hit]:
    """A route of a forked Service mirrors requests to something that the flow does not fork."""
    for service, _, route in baseline_of(case):
        for rule in rules_of(route):
            for item in _filters(rule):
                if item.get("type") != MIRROR:
                    continue
                mirror = item["requestMirror"]["backendRef"]
                if case.targets(service).mirror_fork(service_of(mirror, namespace_of(route))) is None:
                    yield Hit(
                        case.service_path(service),
                        f"{title_of(route)} mirrors requests to {mirror['name']}, which the flow does not"
                        " fork: its requests are not mirrored",
                        (title_of(route),),
                    )


@safety_rule("lost-baggage", "warning")
def lost_baggage(case: Case) -> Iterator[Hit]:
    """What routes ask for survives, because copies leave it alone; the baggage member may not."""
    key = case.routing_key
    if "baggage" in key.asked:
        return
    for service, _, route in baseline_of(case):
        for rule in rules_of(route):
            parts = (rule, *(rule.get("backendRefs") or ()))
            changes = [item for part in parts for item in changes_of(part)]
            for _ in filter(_replaces_baggage, changes):
                yield Hit(
                    case.service_path(service),
                    f"{title_of(route)} replaces or removes the header baggage: what reads the flow from"
                    f" it (traces, jobs) loses {key.baggage(case.flow)} there",
                    (title_of(route),),
                )


def _replaces_baggage(changes: Mapping[str, Any]) -> bool:
    return BAGGAGE in named_in(changes, "set", "remove")


def _filters(rule: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """A rule's own, and those of each of its backends."""
    for item in (rule, *(rule.get("backendRefs") or ())):
        yield from item.get("filters") or ()


@safety_rule("outside-backend", "warning")
def outside_backend(case: Case) -> Iterator[Hit]:
    """A route of a forked Service sends requests to what the application does not know."""
    for service, port, route in baseline_of(case):
        targets, home = case.targets(service), namespace_of(route)
        for rule in rules_of(route):
            meant = targets.meant_by(backends_of(rule, home, port), port)
            for backend, inside in zip(rule.get("backendRefs") or (), meant, strict=True):
                if inside is not None:
                    continue
                yield Hit(
                    case.service_path(service),
                    f"{title_of(route)} sends requests to {backend.get('kind', 'Service')}"
                    f" {backend.get('namespace') or home}/{backend['name']}, outside the application:"
                    " requests of the flow go there as production's do",
                    (title_of(route),),
                )


@safety_rule("dead-expression", "warning")
def dead_expression(case: Case) -> Iterator[Hit]:
    """Istio puts expressions behind all prefixes and cuts off what follows a rule that takes everything."""
    routes = list(baseline_of(case))
    everything = {(service, port) for service, port, route in routes if takes_everything(route)}
    for service, port, route in routes:
        expressions = [
            match["path"]["value"]
            for rule in rules_of(route)
            for match in matches_of(rule)
            if (match.get("path") or {}).get("type") == "RegularExpression"
        ]
        for expression in expressions if (service, port) in everything else ():
            yield Hit(
                case.service_path(service),
                f"the path expression {expression} of {title_of(route)} is never met: another rule takes"
                " every path, and Istio tries it first",
                (title_of(route),),
            )


@safety_rule("private-virtual-service", "warning")
def private_virtual_service(case: Case) -> Iterator[Hit]:
    """A VirtualService that the flow's rules go into is not seen from every namespace."""
    written = {(namespace_of(route), name_of(route)) for route in case.routes}
    for service, namespace in case.topology.homes.items():
        candidates = case.live.virtual_services_on(case.topology.ref(service))
        for item in claiming(candidates, namespace, service):
            exported = spec_of(item).get("exportTo") or ["*"]
            # Only into which the flow's entries go.
            if "*" not in exported and (namespace_of(item), name_of(item)) in written:
                yield Hit(
                    case.service_path(service),
                    f"{virtual_service_title(item)} is exported to {', '.join(exported)} only: callers in"
                    " other namespaces reach production with any key",
                    (virtual_service_title(item),),
                )
