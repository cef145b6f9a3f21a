"""Where the parents of branched databases are, and what of a flow's allow list would lead there."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterator, Mapping

from kardinal_infra.config import Capabilities, Destination
from kardinal_infra.errors import Problem
from kardinal_infra.model.names import ServiceRef
from kardinal_infra.model.topology import Topology
from kardinal_infra.plan.context import Context


def parent_services(
    topology: Topology, databases: Collection[str], capabilities: Mapping[str, Capabilities]
) -> frozenset[ServiceRef]:
    """Finds the Services of the cluster behind which branched databases run.

    Args:
        topology: The application.
        databases: Branched databases.
        capabilities: What their backends can do, by database.

    Returns:
        Each of them, as far as the topology tells the database's host.
    """
    found: set[ServiceRef] = set()
    for database in databases:
        for host in parent_hosts(topology, [database], capabilities):
            if "." not in host:
                homes = {topology.homes[user] for user in topology.users(database)}
                found |= {ServiceRef(home, host) for home in {topology.namespace, *homes}}
            elif place := _in_cluster(host):
                found.add(place)
    return frozenset(found)


def parent_hosts(
    topology: Topology, databases: Collection[str], capabilities: Mapping[str, Capabilities]
) -> frozenset[str]:
    """Lists the hosts of branched databases' parents, in lower case.

    Args:
        topology: The application.
        databases: Branched databases.
        capabilities: What their backends can do, by database. A project of which nothing is known may be a
            server.
    """
    hosts: set[str] = set()
    for name in databases:
        if name not in topology.databases:
            continue
        database = topology.databases[name]
        if database.host:
            hosts.add(database.host)
        if name not in capabilities or capabilities[name].project_is_server:
            hosts.add(database.project.rpartition(":")[0] or database.project)
    return frozenset(host.lower().rstrip(".") for host in hosts)


def allow_problems(context: Context) -> Iterator[Problem]:
    """Refuses destinations of the allow list that lead to a branched database's parent.

    Args:
        context: Everything known.
    """
    if not context.egress.locked:
        return
    hosts = parent_hosts(context.topology, context.handovers, context.capabilities)
    services = parent_services(context.topology, context.handovers, context.capabilities)
    for index, item in enumerate(context.egress.destinations):
        if _leads_to(item, hosts, services, context.topology.namespace):
            yield Problem(
                f"{context.egress_path}.allow[{index}]",
                f'"{context.egress.allow[index]}" leads to the parent of a branched database, which'
                " the lock is there to close",
            )


def _leads_to(item: Destination, hosts: Collection[str], services: Collection[ServiceRef], home: str) -> bool:
    if item.kind == "service":
        return ServiceRef(item.namespace or home, item.host) in services
    if item.kind == "tcp":
        network = ipaddress.ip_network(item.host, strict=False)
        return any(address in network for address in _addresses(hosts))
    return item.host in hosts or _in_cluster(item.host) in services


def _in_cluster(host: str) -> ServiceRef | None:
    """The Service that a host with dots may mean, as a pod's resolver completes it."""
    name, *rest = host.split(".")
    return ServiceRef(rest[0], name) if rest and rest[1:2] in ([], ["svc"]) else None


def _addresses(hosts: Collection[str]) -> Iterator[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    for host in hosts:
        try:
            yield ipaddress.ip_address(host)
        except ValueError:
            continue  # a name
