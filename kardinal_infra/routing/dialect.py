"""Which dialect a Service's routes are written in, and what makes it impossible to tell.

A mesh VirtualService on a Service's host decides alone as long as no HTTPRoute or GRPCRoute is attached to
the Service, and not at all from the first one on; no status says so. So a Service has one dialect: `istio`
where one VirtualService takes its requests, `gateway-api` everywhere else, and mixtures are refused.

Facts: docs/facts/mesh.md#a-route-silences-the-virtualservice,
docs/facts/mesh.md#virtualservices-of-one-mesh-host-do-not-merge.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from kardinal_infra.model.names import ServiceRef
from kardinal_infra.observed.live import LiveObjects, Object, name_of, namespace_of, spec_of
from kardinal_infra.observed.routes import is_attached, title_of
from kardinal_infra.observed.virtual_services import claiming, hosts_in_mesh, service_named, services_of
from kardinal_infra.routing.conflict import Conflict
from kardinal_infra.routing.istio.mesh import baseline_rules


def virtual_service_of(live: LiveObjects, namespace: str, service: str) -> Object | None:
    """Finds the VirtualService that a flow's rules for a Service go into.

    Args:
        live: The snapshot.
        namespace: Namespace of the Service.
        service: Its name.

    Returns:
        The one that takes the Service's requests in the mesh; None when there is none, or when
        `dialect_conflicts` has something to say.
    """
    found = claiming(live.virtual_services_on(ServiceRef(namespace, service)), namespace, service)
    return found[0] if len(found) == 1 and not any(dialect_conflicts(namespace, service, live)) else None


def passes_on(namespace: str, service: str, forked: Collection[ServiceRef], live: LiveObjects) -> bool:
    """Says whether a VirtualService on a Service sends requests to a forked one.

    Args:
        namespace: Namespace of the Service.
        service: Its name.
        forked: The forked services.
        live: The snapshot.
    """
    candidates = live.virtual_services_on(ServiceRef(namespace, service))
    return any(
        service_named(item["destination"]["host"], namespace_of(virtual_service)) in forked
        for virtual_service in claiming(candidates, namespace, service)
        for rule in baseline_rules(virtual_service)
        for item in rule.get("route") or ()
    )


def dialect_conflicts(namespace: str, service: str, live: LiveObjects) -> Iterator[Conflict]:
    """Says why no flow can be added to what routes a Service.

    Args:
        namespace: Namespace of the application.
        service: Name of the Service.
        live: The snapshot.

    Yields:
        `mixed-dialects`, `duplicate-virtual-service` and `unusable-virtual-service`.
    """
    found = claiming(live.virtual_services_on(ServiceRef(namespace, service)), namespace, service)
    if not found:
        return
    titles = tuple(sorted(map(virtual_service_title, found)))
    # Those of flows too: another flow's routes switch a VirtualService off just the same.
    attached = live.routes_on(ServiceRef(namespace, service))
    routes = tuple(sorted(title_of(route) for route in attached if is_attached(route, namespace, service)))
    if routes:
        yield Conflict(
            "mixed-dialects",
            f'{", ".join(titles)} and {", ".join(routes)} are on Service "{service}" together: the mesh'
            " ignores a VirtualService as soon as there is a route of Gateway API; keep one of the two kinds",
            (*titles, *routes),
        )
    if len(found) > 1:
        yield Conflict(
            "duplicate-virtual-service",
            f'{" and ".join(titles)} all take the requests of Service "{service}" in the mesh, which heeds'
            " only one of them: make them one",
            titles,
        )
        return
    for message in _unusable(found[0], namespace, service):
        yield Conflict("unusable-virtual-service", message, titles)


def _unusable(virtual_service: Object, namespace: str, service: str) -> Iterator[str]:
    title, spec = virtual_service_title(virtual_service), spec_of(virtual_service)
    named = services_of(virtual_service)
    if namespace_of(virtual_service) != namespace:
        yield (
            f'{title} routes Service "{service}" from another namespace than the Service\'s, where a flow'
            f" does not write: move it to namespace {namespace}"
        )
        return
    if (namespace, service) not in named:
        hosts = ", ".join(hosts_in_mesh(virtual_service))
        yield (
            f'{title} takes the requests of Service "{service}" by the host {hosts}; flows need one of its'
            f' own with the host "{service}.{namespace}.svc.cluster.local"'
        )
    elif len(named) > 1:
        others = ", ".join(sorted(other.name for other in named))
        yield (
            f"{title} routes several Services ({others}) by one list, where a flow's rules for one would"
            " take the requests of the others too: give each Service a VirtualService of its own"
        )
    if not spec.get("http"):
        yield f'{title} is on Service "{service}" but has no http rules that a flow\'s could be made from'
    for rule in baseline_rules(virtual_service):
        if "delegate" in rule:
            yield (
                f"{title} delegates to another VirtualService ({rule['delegate'].get('name', '')}), where a"
                " flow's rules cannot stand: write the routes into it"
            )


def virtual_service_title(virtual_service: Object) -> str:
    """Names a VirtualService for a message, as `Kind namespace/name`.

    Args:
        virtual_service: The object.
    """
    return f"VirtualService {namespace_of(virtual_service)}/{name_of(virtual_service)}"
