"""If the application's Gateway is there, and takes the hosts of an application and its flows."""

from __future__ import annotations

from collections.abc import Iterator

from kardinal_infra.errors import Problem
from kardinal_infra.model.names import DEFAULT_GATEWAY, address_problem
from kardinal_infra.model.topology import Topology
from kardinal_infra.observed.live import LiveObjects
from kardinal_infra.routing.public_hosts import PublicHost, flow_host, production_host

_KINDS = {"istio": "gateways.networking.istio.io"}


def gateway_problems(topology: Topology, live: LiveObjects, flow: str) -> Iterator[Problem]:
    """Checks that a flow's hosts can be reached and asked.

    Args:
        topology: The application.
        live: The snapshot.
        flow: Flow id.
    """
    gateway, path = topology.gateway, "topology.gateway"
    if gateway.address and topology.entries and (problem := address_problem(gateway.address)):
        yield Problem(f"{path}.address", f"{problem}: correct it in the baseline stack")
    hosts = [flow_host(topology, live, entry, flow) for entry in topology.entries]
    if hosts and is_missing(hosts[0]):
        way = (
            "run `pulumi up` on the baseline stack"
            if is_ours(topology)
            else "correct gateway.existing in the baseline stack"
        )
        yield Problem("cluster", f"Gateway {gateway.namespace}/{gateway.name} does not exist: {way}")
    yield from (Problem(path, problem) for host in hosts if (problem := landing_problem(host)))


def existing_gateway_problems(topology: Topology, live: LiveObjects, path: str) -> Iterator[Problem]:
    """Checks the user's Gateway before the application is adopted.

    Args:
        topology: The application.
        live: The snapshot.
        path: Path of the config's words about the Gateway.
    """
    gateway = topology.gateway
    hosts = [flow_host(topology, live, entry, "{flow}") for entry in topology.entries]
    if hosts and is_missing(hosts[0]):
        kind = "Istio Gateway" if gateway.kind == "istio" else "Gateway"
        yield Problem(path, f"there is no {kind} {gateway.namespace}/{gateway.name}")
    production = [production_host(topology, live, entry) for entry in topology.entries]
    # Where the user has routes for the host, they have found their way in.
    hosts += [host for host in production if not host.routes]
    yield from (Problem(path, problem) for host in hosts if (problem := landing_problem(host)))


def is_ours(topology: Topology) -> bool:
    """Says whether the baseline stack makes the Gateway.

    Args:
        topology: The application.
    """
    gateway = topology.gateway
    return (gateway.namespace, gateway.name) == (topology.namespace, DEFAULT_GATEWAY)


def is_missing(host: PublicHost) -> bool:
    """Says whether a host's Gateway does not exist; one that may not be read may be there.

    Args:
        host: The host.
    """
    kind = _KINDS.get(host.gateway.kind or "", "gateways.gateway.networking.k8s.io")
    readable = kind not in host.live.hidden or (
        host.gateway.kind != "istio"
        and host.gateway.namespace in {live.namespace for live in host.live.everywhere()}
    )
    served = host.live.has_gateway_api or host.gateway.kind == "istio"
    return host.found is None and readable and served


def landing_problem(host: PublicHost) -> str | None:
    """Says that no listener of the Gateway takes a host.

    Args:
        host: The host.

    Returns:
        A sentence with each listener's reason; None where one takes it, or the Gateway is not known.
    """
    if not host.listeners or any(item.obstacle is None for item in host.listeners):
        return None
    gateway = host.gateway
    reasons = "; ".join(f"{item.name} {item.obstacle}" for item in host.listeners)
    return (
        f'no listener of Gateway {gateway.namespace}/{gateway.name} takes host "{host.host}" from namespace'
        f" {host.namespace}: {reasons}"
    )
