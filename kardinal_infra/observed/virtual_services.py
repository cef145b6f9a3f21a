"""Which VirtualServices take a Service's requests inside the mesh."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from kardinal_infra.model.names import ServiceRef
from kardinal_infra.observed.live import Object, namespace_of, spec_of

MESH = "mesh"
"""Istio's word for all sidecars, in a VirtualService's `gateways`; the default."""


def gateways_of(virtual_service: Object) -> tuple[str, ...]:
    """Returns the gateways that a VirtualService is for.

    Args:
        virtual_service: The object.
    """
    return tuple(spec_of(virtual_service).get("gateways") or (MESH,))


def gateways_named(names: Iterable[str], home: str) -> frozenset[str]:
    """Resolves gateways as Istio does: a name alone is of the VirtualService's namespace.

    Args:
        names: As written in a VirtualService or a match of it.
        home: Namespace of the VirtualService.

    Returns:
        `namespace/name`, and `mesh`.
    """
    return frozenset(name if "/" in name or name == MESH else f"{home}/{name}" for name in names)


def hosts_in_mesh(virtual_service: Object) -> tuple[str, ...]:
    """Returns the hosts that a VirtualService routes for sidecars, as written.

    Args:
        virtual_service: The object.
    """
    if MESH not in gateways_of(virtual_service):
        return ()
    return tuple(spec_of(virtual_service).get("hosts") or ())


def claiming(virtual_services: Iterable[Object], namespace: str, service: str) -> list[Object]:
    """Finds every VirtualService that takes, or might take, a Service's requests inside the mesh.

    Args:
        virtual_services: Of any namespace.
        namespace: Namespace of the Service.
        service: Its name.

    Returns:
        Those with a host that means the Service, exactly, by a wildcard, or by part of its full name.
    """
    return [
        item
        for item in virtual_services
        if any(_may_mean(host, namespace_of(item), namespace, service) for host in hosts_in_mesh(item))
    ]


def service_named(host: str, home: str) -> ServiceRef | None:
    """Resolves a host as Istio does in VirtualServices.

    Args:
        host: A host or destination, as written.
        home: Namespace of the VirtualService.

    Returns:
        The Service: of a name without dots in `home`, or of the full `<service>.<namespace>.svc.<domain>`.
        None for everything else.
    """
    if host == "*":
        return None
    if "." not in host:
        return ServiceRef(home, host)
    labels = host.split(".")
    if len(labels) > 3 and labels[2] == "svc" and labels[0] != "*":
        return ServiceRef(labels[1], labels[0])
    return None


def beside(host: str, name: str) -> str:
    """Names another Service of the same namespace.

    Args:
        host: Full name of a Service, as written.
        name: The other Service's.
    """
    return name + host[len(first_label(host)) :]


def first_label(host: str) -> str:
    """Returns the Service's name of a host.

    Args:
        host: Its name, alone or in full.
    """
    return host.partition(".")[0]


def services_of(virtual_service: Object) -> set[ServiceRef]:
    """Returns the Services that a VirtualService's hosts name exactly.

    Args:
        virtual_service: The object.
    """
    return set(_named(virtual_service))


def _named(virtual_service: Object) -> Iterator[ServiceRef]:
    for host in hosts_in_mesh(virtual_service):
        if found := service_named(host, namespace_of(virtual_service)):
            yield found


def _may_mean(host: str, home: str, namespace: str, service: str) -> bool:
    full = f"{service}.{namespace}.svc.cluster.local"
    if host.startswith("*"):
        return full.endswith(host[1:])
    partial = {f"{service}.{namespace}", f"{service}.{namespace}.svc"}
    return host in partial or service_named(host, home) == (namespace, service)
