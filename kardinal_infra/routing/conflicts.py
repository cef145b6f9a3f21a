"""Why a flow's requests cannot be told apart on a Service, or all others would lose their way.

Facts: docs/facts/mesh.md#catch-all-first, docs/facts/mesh.md#a-port-in-every-parent-reference,
docs/facts/mesh.md#http-and-grpc-routes-do-not-mix, docs/facts/mesh.md#routes-of-a-consumer.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from kardinal_infra.model.names import ServiceRef
from kardinal_infra.model.service import Service
from kardinal_infra.observed.live import LiveObjects, Object, namespace_of
from kardinal_infra.observed.routes import (
    has_baseline_route,
    kind_of,
    parent_ports,
    routes_of,
    rules_of,
    title_of,
)
from kardinal_infra.observed.virtual_services import claiming
from kardinal_infra.routing.conflict import Conflict
from kardinal_infra.routing.dialect import dialect_conflicts, passes_on
from kardinal_infra.routing.gateway_api.rules import service_of


def fork_conflicts(namespace: str, name: str, service: Service, live: LiveObjects) -> Iterator[Conflict]:
    """Checks a Service that is to be forked; what concerns dialects is `dialect_conflicts`.

    Args:
        namespace: Namespace of the service.
        name: Name of the service.
        service: The topology's words about it.
        live: The snapshot.

    Yields:
        `consumer-route`, `portless-route`, `mixed-route-kinds` and `missing-catch-all`.
    """
    ref = ServiceRef(namespace, name)
    for route in routes_of(live.baseline_routes_on(ref), namespace, name):
        yield from _attachment(route, namespace, name)
    yield from _mixed_kinds(namespace, name, live)
    if claiming(live.virtual_services_on(ref), namespace, name):
        return  # requests without a flow are the VirtualService's business
    for port in service.routed_ports:
        if not has_baseline_route(live.baseline_routes_on(ref), namespace, name, port.port):
            yield Conflict(
                "missing-catch-all",
                f'no HTTPRoute takes the requests without a flow on port {port.port} of Service "{name}"; the'
                " first flow would turn them into 404: run `pulumi up` on the baseline stack",
                (f"Service {namespace}/{name}",),
            )


def passing_conflicts(
    namespace: str, name: str, forked: Collection[ServiceRef], live: LiveObjects
) -> Iterator[Conflict]:
    """Checks a Service that is not forked itself but whose routes may send requests on to a forked one.

    Args:
        namespace: Namespace of the service.
        name: Name of the service.
        forked: The forked services.
        live: The snapshot.

    Yields:
        As `fork_conflicts` and `dialect_conflicts`; nothing when no route leads to a forked service.
    """
    passing = [
        route
        for route in routes_of(live.baseline_routes_on(ServiceRef(namespace, name)), namespace, name)
        if any(
            service_of(backend, namespace_of(route)) in forked
            for rule in rules_of(route)
            for backend in rule.get("backendRefs") or ()
        )
    ]
    for route in passing:
        yield from _attachment(route, namespace, name)
    if passing or passes_on(namespace, name, forked, live):
        yield from dialect_conflicts(namespace, name, live)
        yield from _mixed_kinds(namespace, name, live)


def _attachment(route: Object, namespace: str, service: str) -> Iterator[Conflict]:
    title = title_of(route)
    if namespace_of(route) != namespace:
        yield Conflict(
            "consumer-route",
            f'{title} routes Service "{service}" for callers in its own namespace only and hides all flows'
            " from them: remove it, or move it to the Service's namespace",
            (title,),
        )
    elif None in parent_ports(route, namespace, service):
        yield Conflict(
            "portless-route",
            f'{title} is attached to Service "{service}" without a port; routes with a port would silently'
            " switch it off: give its parentRef a port",
            (title,),
        )


def _mixed_kinds(namespace: str, name: str, live: LiveObjects) -> Iterator[Conflict]:
    by_port: dict[int | None, dict[str, Object]] = {}
    for route in routes_of(live.baseline_routes_on(ServiceRef(namespace, name)), namespace, name):
        for port in parent_ports(route, namespace, name):
            by_port.setdefault(port, {}).setdefault(kind_of(route), route)
    for port, kinds in sorted(by_port.items(), key=str):
        if len(kinds) > 1:
            both = [title_of(route) for _, route in sorted(kinds.items(), reverse=True)]
            where = f'port {port} of Service "{name}"' if port else f'Service "{name}"'
            yield Conflict(
                "mixed-route-kinds",
                f"{' and '.join(both)} are both on {where}: the mesh never meets a GRPCRoute's rule without"
                " service and method behind an HTTPRoute that takes everything; use one kind on a port",
                tuple(both),
            )
