"""The rule about what comes in from outside: whoever may send the key chooses the fork that answers.

Where a route sets the key to the flow's own id, everybody's requests enter the flow.

Every route of a Gateway is judged that leads to the application, whatever its host: an internal host, or one
that the topology does not name, is as good a way in as the production host.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kardinal_infra.model.names import ServiceRef
from kardinal_infra.observed.live import Object, flow_of, namespace_of, spec_of
from kardinal_infra.observed.routes import rules_of, title_of
from kardinal_infra.observed.virtual_services import MESH, gateways_of, service_named
from kardinal_infra.routing.dialect import virtual_service_title
from kardinal_infra.routing.gateway_api import filters as gateway_api
from kardinal_infra.routing.gateway_api.host import is_redirect
from kardinal_infra.routing.gateway_api.rules import service_of
from kardinal_infra.routing.istio import rules as istio
from kardinal_infra.routing.istio.mesh import baseline_rules
from kardinal_infra.safety.case import Case
from kardinal_infra.safety.findings import Hit, safety_rule


@safety_rule("open-edge", "error")
def open_edge(case: Case) -> Iterator[Hit]:
    """A route of a Gateway passes the key on that its clients send."""
    way_out = "remove the header there with a RequestHeaderModifier in every rule"
    for route in case.live.routes:
        if flow_of(route) is None and any(map(_is_gateway, spec_of(route).get("parentRefs") or ())):
            hosts = spec_of(route).get("hostnames") or ()
            yield from _hits(case, route, title_of(route), hosts, list(_open_backends(case, route)), way_out)


@safety_rule("open-edge", "error")
def open_edge_of_istio(case: Case) -> Iterator[Hit]:
    """The same of a VirtualService at a gateway."""
    way_out = "put it into headers.request.remove of every rule"
    for item in case.live.virtual_services:
        if flow_of(item) is None and set(gateways_of(item)) - {MESH}:
            hosts = spec_of(item).get("hosts") or ()
            found = list(_open_destinations(case, item))
            yield from _hits(case, item, virtual_service_title(item), hosts, found, way_out)


def _hits(
    case: Case,
    item: Object,
    title: str,
    hosts: Sequence[str],
    places: Sequence[ServiceRef | None],
    way_out: str,
) -> Iterator[Hit]:
    """Of a production host everything counts that is passed on; of any other what the application gets."""
    if not places:
        return
    entries = case.production_hosts
    production = {entry.host for entry in entries if entry.host in hosts or item in entry.answering}
    homes = case.topology.homes
    services = sorted({place.name for place in places if place and homes.get(place.name) == place.namespace})
    if services or production:
        clients = ", ".join(sorted(production or hosts)) or "any host"
        reached = "" if production else f" through Service {', '.join(services)}"
        yield Hit(
            "topology.entries" if production else "cluster",
            f"{title} lets clients of {clients} in with a flow's {case.routing_key}, sent by them or set"
            f" there, and so to a fork{reached}: {way_out}",
            (title, *(f"Service {name}" for name in services)),
        )


def _is_gateway(parent: Mapping[str, Any]) -> bool:
    """Services are the mesh's; whatever else has listeners is a way in."""
    return bool(parent.get("kind", "Gateway") != "Service")


def _open_backends(case: Case, route: Object) -> Iterator[ServiceRef | None]:
    """Backends that a rule passes requests on to, the key with them; None for what is no Service."""
    for rule in rules_of(route):
        if is_redirect(rule):
            continue
        for backend in rule.get("backendRefs") or ():
            changes = (*gateway_api.changes_of(rule), *gateway_api.changes_of(backend))
            if backend.get("weight", 1) != 0 and not case.routing_key.closed_by(case.flow, *changes):
                yield service_of(backend, namespace_of(route))


def _open_destinations(case: Case, item: Object) -> Iterator[ServiceRef | None]:
    """The same of a VirtualService, with what it delegates to."""
    for rule in baseline_rules(item):
        matches: list[Mapping[str, Any]] = list(rule.get("match") or ({},))
        gateways = {name for match in matches for name in match.get("gateways") or gateways_of(item)}
        if gateways - {MESH}:
            yield from _destinations(case, item, rule)


def _destinations(case: Case, item: Object, rule: Mapping[str, Any]) -> Iterator[ServiceRef | None]:
    if rule.get("redirect") or rule.get("directResponse"):
        return
    changes = istio.changes_of(rule)
    for target in rule.get("route") or ():
        if not case.routing_key.closed_by(case.flow, changes, istio.changes_of(target)):
            yield service_named(target["destination"]["host"], namespace_of(item))
    if delegate := rule.get("delegate"):
        home = delegate.get("namespace") or namespace_of(item)
        parts = case.live.virtual_services_named(home, delegate.get("name"))
        if not parts and not case.routing_key.closed_by(case.flow, changes):
            yield None  # nobody knows where it leads
        for part in parts:
            for own in baseline_rules(part):
                # Headers of its own take the place of those above it; it cannot delegate once more.
                inherited = own.get("headers") or rule.get("headers")
                yield from _destinations(case, part, {**own, "delegate": None, "headers": inherited})
