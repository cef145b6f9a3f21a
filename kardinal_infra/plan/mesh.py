"""If the cluster can carry a flow: mesh, injection, Gateway API, and what routes the services already."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from kardinal_infra.errors import Problem
from kardinal_infra.live import LiveObjects, Object, name_of, namespace_of
from kardinal_infra.routing import has_baseline_route, parent_ports, routes_of
from kardinal_infra.routing.parents import rules_of
from kardinal_infra.topology import Port, Service, Topology

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


def gateway_problems(topology: Topology, live: LiveObjects) -> Iterator[Problem]:
    """Checks that the application's Gateway is there.

    Args:
        topology: The application.
        live: The snapshot.
    """
    gateway = topology.gateway
    # Those of other namespaces may be hidden from the user; the route's own conditions tell about them.
    if not topology.entries or not live.has_gateway_api or gateway.namespace != live.namespace:
        return
    if all(
        (namespace_of(item), name_of(item)) != (gateway.namespace, gateway.name) for item in live.gateways
    ):
        where = f"{gateway.namespace}/{gateway.name}"
        yield Problem("cluster", f"Gateway {where} does not exist: run `pulumi up` on the baseline stack")


def injection_problem(live: LiveObjects, title: str, template: Object, why: str) -> str | None:
    """Says when pods get no sidecar.

    Args:
        live: The snapshot.
        title: Whose pods they are, e.g. `Deployment web`.
        template: Their template.
        why: What the sidecar is needed for.

    Returns:
        A sentence, or None.
    """
    if not live.injectors or live.injected(template):
        return None
    return (
        f"pods of {title} get no sidecar, which {why}; label namespace"
        f" {live.namespace} istio-injection=enabled (or istio.io/rev=<revision>) and restart them"
    )


def adoption_problems(namespace: str, name: str, service: Service, live: LiveObjects) -> Iterator[str]:
    """Checks what a Service must be before any HTTPRoute is put on it.

    Args:
        namespace: Namespace of the application.
        name: Name of the service.
        service: The topology's words about it.
        live: The snapshot.

    Yields:
        Sentences.
    """
    if not service.ports:
        return  # a worker: nothing is routed to it
    item = live.service(name)
    if item is None:
        yield f'there is no Service "{name}" in namespace {namespace}'
        return
    for port in service.ports:
        yield from port_problems(name, port, item)
    yield from _virtual_service_problems(namespace, name, live)


def fork_route_problems(namespace: str, name: str, service: Service, live: LiveObjects) -> Iterator[str]:
    """Checks whether a flow's requests can be told apart on a Service, and all others keep their way.

    Args:
        namespace: Namespace of the application.
        name: Name of the service.
        service: The topology's words about it.
        live: The snapshot.

    Yields:
        Sentences.
    """
    if service.ports and not service.routed_ports:
        yield f'service "{name}" has only tcp ports: their traffic carries no header to route a flow by'
    if live.has_gateway_api and live.service(name) is not None:
        yield from _route_problems(namespace, name, service, live)


def port_problems(name: str, port: Port, item: Object) -> Iterator[str]:
    """Compares a declared port with the Service.

    Args:
        name: Name of the Service.
        port: The topology's words about the port.
        item: The live Service.

    Yields:
        Sentences.
    """
    found = next((p for p in item.get("spec", {}).get("ports") or () if p.get("port") == port.port), None)
    if found is None:
        there = ", ".join(str(p.get("port")) for p in item.get("spec", {}).get("ports") or ()) or "none"
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


def _virtual_service_problems(namespace: str, service: str, live: LiveObjects) -> Iterator[str]:
    full = f"{service}.{namespace}.svc.cluster.local"
    for item in live.virtual_services:
        spec = item.get("spec", {})
        if "mesh" not in (spec.get("gateways") or ("mesh",)):
            continue
        for host in spec.get("hosts") or ():
            if _host_means(host, namespace_of(item), service, namespace, full):
                yield (
                    f'VirtualService {namespace_of(item)}/{name_of(item)} routes host "{host}" in the mesh;'
                    " an HTTPRoute on the same Service would silently switch it off, so services with a mesh"
                    " VirtualService cannot be forked yet"
                )


def _host_means(host: str, home: str, service: str, namespace: str, full: str) -> bool:
    if host.startswith("*"):
        return full.endswith(host[1:])
    names = {f"{service}.{namespace}", f"{service}.{namespace}.svc", full}
    return host in names or (host == service and home == namespace)


def passing_problems(namespace: str, name: str, forks: Collection[str], live: LiveObjects) -> Iterator[str]:
    """Checks a service that is not forked itself but whose routes may send requests on to a forked one.

    Args:
        namespace: Namespace of the application.
        name: Name of the service.
        forks: Forked services.
        live: The snapshot.

    Yields:
        Sentences.
    """
    for route in routes_of(live.http_routes, namespace, name):
        backends = {backend["name"] for rule in rules_of(route) for backend in rule.get("backendRefs") or ()}
        if None in parent_ports(route, namespace, name) and backends.intersection(forks):
            yield _portless(route, name)


def _portless(route: Object, service: str) -> str:
    return (
        f'HTTPRoute {namespace_of(route)}/{name_of(route)} is attached to Service "{service}" without a port;'
        " routes with a port would silently switch it off: give its parentRef a port"
    )


def _route_problems(namespace: str, name: str, service: Service, live: LiveObjects) -> Iterator[str]:
    for route in routes_of(live.http_routes, namespace, name):
        if namespace_of(route) != namespace:
            yield (
                f'HTTPRoute {namespace_of(route)}/{name_of(route)} routes Service "{name}" for callers in its'
                " own namespace only and hides all flows from them: remove it, or move it to the Service's"
                " namespace"
            )
        elif None in parent_ports(route, namespace, name):
            yield _portless(route, name)
    for port in service.routed_ports:
        if not has_baseline_route(live.http_routes, namespace, name, port.port):
            yield (
                f'no HTTPRoute takes the requests without a flow on port {port.port} of Service "{name}"; the'
                " first flow would turn them into 404: run `pulumi up` on the baseline stack"
            )
