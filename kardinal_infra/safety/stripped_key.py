"""The rule about routes of the owner's that take the routing key from requests inside the mesh."""

from __future__ import annotations

from collections.abc import Iterator

from kardinal_infra.live import Object, name_of, namespace_of
from kardinal_infra.names import HEADER_FLOW
from kardinal_infra.routing.dialect import virtual_service_title
from kardinal_infra.routing.mesh_hosts import MESH, claiming, gateways_of
from kardinal_infra.routing.parents import routes_of, rules_of, service_parents, title_of
from kardinal_infra.routing.virtual_service import baseline_entries
from kardinal_infra.safety.case import Case
from kardinal_infra.safety.findings import Hit, Rule
from kardinal_infra.safety.open_edge import overrides_key, overrides_key_of_istio


def _stripped_key(case: Case) -> Iterator[Hit]:
    """A service that is not forked gets the flow's requests without the key, and stands before a fork."""
    forked = case.forked()
    # The flow's own routes and entries there are copies without this.
    routed = {(home, name) for route in case.routes for home, name, _ in service_parents(route)}
    entered = {(namespace_of(item), name_of(item)) for item in case.routes}
    for name in sorted(case.topology.services.keys() - forked):
        home = case.home(name)
        if (home, name) in routed:
            continue
        ref = case.topology.ref(name)
        routes = routes_of(case.live.baseline_routes_on(ref), home, name)
        titles = [title_of(route) for route in routes if _strips(route)]
        titles += [
            virtual_service_title(item)
            for item in claiming(case.live.virtual_services_on(ref), home, name)
            if (namespace_of(item), name_of(item)) not in entered and _strips_in_mesh(item)
        ]
        # Last, because it looks at much: few routes take the key away.
        behind = case.topology.downstream(case.topology.services[name].depends_on) if titles else frozenset()
        for title in titles if behind & forked else ():
            yield Hit(
                case.service_path(name),
                f"{title} takes {HEADER_FLOW} from requests inside the mesh: behind {name} the flow's reach"
                f" production's {', '.join(sorted(behind & forked))}",
                (title,),
            )


def _strips(route: Object) -> bool:
    return any(
        overrides_key(item) for rule in rules_of(route) for item in (rule, *(rule.get("backendRefs") or ()))
    )


def _strips_in_mesh(item: Object) -> bool:
    for entry in baseline_entries(item):
        matches: list[Object] = list(entry.get("match") or ({},))
        if any(MESH in (match.get("gateways") or gateways_of(item)) for match in matches):
            parts = (entry, *(entry.get("route") or ()))
            if any(overrides_key_of_istio(part.get("headers")) for part in parts):
                return True
    return False


STRIPPED_KEY = Rule("stripped-key", "error", _stripped_key)
