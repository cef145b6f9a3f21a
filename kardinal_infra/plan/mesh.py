"""If the cluster can carry a flow: mesh, injection, Gateway API, and what routes the services already."""

from __future__ import annotations

from collections.abc import Iterator

from kardinal_infra.errors import Problem
from kardinal_infra.model.service import Port, Service
from kardinal_infra.observed.live import LiveObjects, Object, spec_of
from kardinal_infra.routing.conflicts import fork_conflicts
from kardinal_infra.routing.dialect import dialect_conflicts

_OTHER_NAMES = frozenset({"tcp", "udp", "tls", "https", "mongo", "mysql", "redis", "auto-tcp"})


def cluster_problems(live: LiveObjects) -> Iterator[Problem]:
    """Checks what concerns no service alone.

    Args:
        live: The snapshot.
    """
    if not live.has_mesh:
        yield Problem("cluster", "there is no mesh: install Istio (1.24 or later) with sidecars")
    elif not live.injectors:
        yield Problem("cluster", "Istio injects no sidecars here (no injector webhook); flows need sidecars")
    if not live.has_gateway_api:
        yield Problem(
            "cluster",
            "there is no Gateway API: install the CRDs of gateway.networking.k8s.io/v1 (standard channel)",
        )


def adoption_problems(namespace: str, name: str, service: Service, live: LiveObjects) -> Iterator[str]:
    """Checks what a Service must be before any HTTPRoute is put on it.

    Args:
        namespace: Namespace of the service.
        name: Name of the service.
        service: The topology's words about it.
        live: The snapshot.

    Yields:
        Sentences.
    """
    if not service.ports:
        return  # a worker: nothing is routed to it
    item = live.of(namespace).service(name)
    if item is None:
        yield f'there is no Service "{name}" in namespace {namespace}'
        return
    for port in service.ports:
        yield from port_problems(name, port, item)
    yield from (conflict.message for conflict in dialect_conflicts(namespace, name, live))


def fork_route_problems(namespace: str, name: str, service: Service, live: LiveObjects) -> Iterator[str]:
    """Checks whether a flow's requests can be told apart on a Service, and all others keep their way.

    Args:
        namespace: Namespace of the service.
        name: Name of the service.
        service: The topology's words about it.
        live: The snapshot.

    Yields:
        Sentences.
    """
    if service.ports and not service.routed_ports:
        yield (
            f'service "{name}" has only tcp ports: their traffic carries no header to route a flow by;'
            " flows can have one of their own when the baseline names it in `stores`"
        )
    if live.has_gateway_api and live.of(namespace).service(name) is not None:
        yield from (conflict.message for conflict in fork_conflicts(namespace, name, service, live))


def port_problems(name: str, port: Port, item: Object) -> Iterator[str]:
    """Compares a declared port with the Service.

    Args:
        name: Name of the Service.
        port: The topology's words about the port.
        item: The live Service.

    Yields:
        Sentences.
    """
    found = next((p for p in spec_of(item).get("ports") or () if p.get("port") == port.port), None)
    if found is None:
        there = ", ".join(str(p.get("port")) for p in spec_of(item).get("ports") or ()) or "none"
        yield f'Service "{name}" has no port {port.port} (it has: {there})'
    elif port.protocol != "tcp" and (other := _other_protocol(found)):
        yield (
            f'port {port.port} of Service "{name}" is declared as {port.protocol}, but {other} makes the mesh'
            " treat it otherwise and ignore all routes: set its appProtocol to http or grpc"
        )


def _other_protocol(port: Object) -> str | None:
    """How a Service's port tells Istio that it is not HTTP; appProtocol wins over the name."""
    application = port.get("appProtocol")
    if application:
        known_other = application.lower() in _OTHER_NAMES
        return f'its appProtocol "{application}"' if known_other else None
    name = str(port.get("name") or "").lower()
    if any(name == prefix or name.startswith(f"{prefix}-") for prefix in _OTHER_NAMES):
        return f'its name "{name}"'
    return None
