"""Which databases are branched and which services are forked, by topology and config alone."""

from __future__ import annotations

from dataclasses import dataclass

from kardinal_infra.config import FlowConfig
from kardinal_infra.plan.model import Reason
from kardinal_infra.topology import Topology


@dataclass(frozen=True)
class Selection:
    """What a flow consists of.

    Attributes:
        forks: Reason by service, sorted by service.
        databases: Branched databases, sorted.
    """

    forks: dict[str, Reason]
    databases: tuple[str, ...]


def select(topology: Topology, config: FlowConfig) -> Selection:
    """Chooses forks and branches.

    Under `data`, a database is branched when a requested service reaches it (itself or through what it
    calls), when the flow names it, or when a fork uses it; and every service that uses a branched database
    is forked, so that no request of the flow writes to the parent. The last two rules feed each other until
    nothing changes.

    Args:
        topology: The application.
        config: The flow; names that the topology does not know are left out.

    Returns:
        Forks and databases.
    """
    requested = {name for name in config.services if name in topology.services}
    if config.isolation == "services":
        return Selection({name: Reason("requested") for name in sorted(requested)}, ())
    if config.isolation == "full":
        forks = set(topology.services)
        databases = set(topology.databases)
    else:
        databases = _used(topology, topology.downstream(requested))
        databases |= config.databases.keys() & topology.databases.keys()
        forks = requested
        while True:
            more_forks = forks.union(*(topology.users(name) for name in databases))
            more_databases = databases | _used(topology, more_forks)
            if (more_forks, more_databases) == (forks, databases):
                break
            forks, databases = more_forks, more_databases
    return Selection(
        {name: _reason(topology, name, requested, databases, config) for name in sorted(forks)},
        tuple(sorted(databases)),
    )


def _used(topology: Topology, services: set[str] | frozenset[str]) -> set[str]:
    return {use.database for name in services for use in topology.services[name].databases}


def _reason(
    topology: Topology, name: str, requested: set[str], databases: set[str], config: FlowConfig
) -> Reason:
    if name in requested:
        return Reason("requested")
    if config.isolation == "full":
        return Reason("full")
    used = {use.database for use in topology.services[name].databases} & databases
    return Reason("uses-database", tuple(sorted(used)))
