"""The rule about routes of the owner's that take the routing key from requests inside the mesh."""

from __future__ import annotations

from collections.abc import Iterator

from kardinal_infra.observed.live import Object, name_of, namespace_of
from kardinal_infra.observed.routes import parent_ports, routes_of, rules_of, service_parents, title_of
from kardinal_infra.observed.virtual_services import MESH, claiming, gateways_of
from kardinal_infra.routing.dialect import virtual_service_title
from kardinal_infra.routing.gateway_api import filters as gateway_api
from kardinal_infra.routing.istio import rules as istio
from kardinal_infra.routing.istio.mesh import baseline_rules
from kardinal_infra.routing.key import Key
from kardinal_infra.safety.case import Case
from kardinal_infra.safety.findings import Hit, safety_rule


@safety_rule("stripped-key", "error")
def stripped_key(case: Case) -> Iterator[Hit]:
    """A service that is not forked gets the flow's requests without the key, and stands before a fork."""
    forked, key = case.forked(), case.routing_key
    # The flow's own routes and rules there are copies without this.
    routed = {place for route in case.routes for place in service_parents(route)}
    entered = {(namespace_of(item), name_of(item)) for item in case.routes}
    for name in sorted(case.topology.services.keys() - forked):
        home = case.home(name)
        ref = case.topology.ref(name)
        routes = [
            route
            for route in routes_of(case.live.baseline_routes_on(ref), home, name)
            if any((ref, port) not in routed for port in parent_ports(route, home, name))
        ]
        titles = [title_of(route) for route in routes if _strips(route, key, case.flow)]
        titles += [
            virtual_service_title(item)
            for item in claiming(case.live.virtual_services_on(ref), home, name)
            if (namespace_of(item), name_of(item)) not in entered and _strips_in_mesh(item, key, case.flow)
        ]
        # Last, because it looks at much: few routes take the key away.
        behind = case.topology.downstream(case.topology.services[name].depends_on) if titles else frozenset()
        for title in titles if behind & forked else ():
            yield Hit(
                case.service_path(name),
                f"{title} takes {key} from requests inside the mesh: behind {name} the flow's reach"
                f" production's {', '.join(sorted(behind & forked))}",
                (title,),
            )


def _strips(route: Object, key: Key, flow: str) -> bool:
    for rule in rules_of(route):
        own = [*gateway_api.changes_of(rule)]
        ways = [gateway_api.changes_of(backend) for backend in rule.get("backendRefs") or ()]
        if key.closed_by(flow, *own) or any(key.closed_by(flow, *own, *changes) for changes in ways):
            return True
    return False


def _strips_in_mesh(item: Object, key: Key, flow: str) -> bool:
    for rule in baseline_rules(item):
        matches: list[Object] = list(rule.get("match") or ({},))
        if any(MESH in (match.get("gateways") or gateways_of(item)) for match in matches):
            own = istio.changes_of(rule)
            ways = [istio.changes_of(target) for target in rule.get("route") or ()]
            if key.closed_by(flow, own) or any(key.closed_by(flow, own, changes) for changes in ways):
                return True
    return False
