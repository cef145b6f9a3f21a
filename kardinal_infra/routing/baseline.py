"""The routes that the baseline stack owns, there before any flow.

Fact: docs/facts/mesh.md#catch-all-first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from kardinal_infra.model.names import Owner, catch_all_name, production_route_name
from kardinal_infra.model.topology import Topology
from kardinal_infra.observed.live import LiveObjects, Object, name_of
from kardinal_infra.observed.routes import parent_ports, routes_of, takes_everything
from kardinal_infra.observed.virtual_services import claiming
from kardinal_infra.routing.gateway_api import host as gateway_api
from kardinal_infra.routing.gateway_api.manifest import http_route, service_parent
from kardinal_infra.routing.istio import host as istio
from kardinal_infra.routing.key import DEFAULT_KEY, Key
from kardinal_infra.routing.public_hosts import production_host


def catch_all_routes(
    topology: Topology,
    stack: str,
    existing: Iterable[Object] = (),
    virtual_services: Iterable[Object] = (),
) -> list[dict[str, Any]]:
    """Makes a catch-all HTTPRoute for each http or grpc port of each service.

    Alone it changes nothing: requests go where they went. It must never be deleted while flows exist.

    Args:
        topology: The application.
        stack: The baseline stack.
        existing: Live HTTPRoutes and GRPCRoutes. A port with a route of the user's own gets none: there, what
            a request without a match gets is the user's decision. One that is there stays until a route of
            the user's takes every request: flows may depend on it.
        virtual_services: Live VirtualServices. A Service whose requests one of them takes in the mesh gets
            none: it would switch the VirtualService off.

    Returns:
        Manifests.
    """
    live = LiveObjects(
        topology.namespace, http_routes=list(existing), virtual_services=list(virtual_services)
    )
    result = []
    for service, port in _routed_ports(topology):
        namespace = topology.homes[service]
        ref = topology.ref(service)
        if claiming(live.virtual_services_on(ref), namespace, service):
            continue
        own = catch_all_name(service, port)
        found = [
            route
            for route in routes_of(live.routes_on(ref), namespace, service)
            if {port, None} & parent_ports(route, namespace, service)
        ]
        users = [route for route in found if name_of(route) != own]
        if any(map(takes_everything, users)) or (users and users == found):
            continue
        rules = [gateway_api.production_rule(service, port)]
        spec = {"parentRefs": [service_parent(service, port)], "rules": rules}
        result.append(http_route(Owner(stack, namespace), own, service, spec))
    return result


def production_routes(
    topology: Topology, stack: str, live: LiveObjects | None = None, key: Key = DEFAULT_KEY
) -> list[dict[str, Any]]:
    """Makes the route of each entry's production host; it removes the key.

    So nobody outside reaches a fork without knowing a flow's host.

    Args:
        topology: The application.
        stack: The baseline stack.
        live: The snapshot; default: an empty one. A host that the user routes already gets none; the safety
            rule `open-edge` says what such a route must do.
        key: What carries flows.

    Returns:
        Manifests of HTTPRoutes, or of VirtualServices where the Gateway is Istio's.
    """
    snapshot = live or LiveObjects(topology.namespace)
    hosts = [production_host(topology, snapshot, entry) for entry in topology.entries]
    return [
        _production_route(stack, topology, index, host.sections, key)
        for index, host in enumerate(hosts)
        if not host.routes
    ]


def _production_route(
    stack: str, topology: Topology, index: int, listeners: Sequence[str], key: Key
) -> dict[str, Any]:
    entry = topology.entries[index]
    owner = Owner(stack, topology.homes[entry.service])
    name = production_route_name(entry.service, topology.entry_part(index))
    port = topology.entry_port(entry)
    gateway, service = topology.gateway, entry.service
    if gateway.kind == "istio":
        http = [istio.closed(istio.production_rule(service, port), key)]
        return istio.virtual_service(owner, gateway, name, service, entry.host, http)
    spec = {
        "parentRefs": gateway_api.gateway_parents(gateway, listeners),
        "hostnames": [entry.host],
        "rules": [gateway_api.closed(gateway_api.production_rule(service, port), key)],
    }
    return http_route(owner, name, service, spec)


def _routed_ports(topology: Topology) -> Iterator[tuple[str, int]]:
    for name, service in sorted(topology.services.items()):
        yield from ((name, port.port) for port in service.routed_ports)
