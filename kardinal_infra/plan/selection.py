"""Which databases are branched, which stores are fresh, which services are forked, by topology and config."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from kardinal_infra.config import FlowConfig
from kardinal_infra.model.store import StoreMode
from kardinal_infra.model.topology import Topology
from kardinal_infra.plan.model import Reason


@dataclass(frozen=True)
class Selection:
    """What a flow consists of.

    Attributes:
        forks: Reason by service, sorted by service.
        databases: Branched databases, sorted.
        stores: What becomes of every store that the flow touches, sorted; None: nobody says.
    """

    forks: dict[str, Reason]
    databases: tuple[str, ...]
    stores: dict[str, StoreMode | None] = field(default_factory=dict)

    @property
    def fresh(self) -> frozenset[str]:
        """Stores of which the flow gets a new, empty one."""
        return _fresh(self.stores)


def select(topology: Topology, config: FlowConfig) -> Selection:
    """Chooses forks, branches and fresh stores.

    Under `data`, a database is branched when a requested service reaches it (itself or through what it
    calls), when the flow names it, or when a fork uses it; and every service that uses a branched database
    is forked, so that no request of the flow writes to the parent. A store that may be fresh is treated in
    the same way, and its own service is forked too. All these rules feed each other until nothing changes.

    Args:
        topology: The application.
        config: The flow; names that the topology does not know are left out.

    Returns:
        Forks, databases and stores.
    """
    requested = {name for name in config.services if name in topology.services}
    if config.isolation == "services":
        stores: dict[str, StoreMode | None] = dict.fromkeys(sorted(_stores(topology, requested)), "share")
        forks = requested - _services(topology, stores)
        return Selection({name: Reason("requested") for name in sorted(forks)}, (), stores)
    if config.isolation == "full":
        forks, databases = set(topology.services), set(topology.databases)
        modes = _modes(topology, config, topology.stores)
    else:
        databases = set(config.databases.keys() & topology.databases.keys())
        named = {name for name in topology.stores if config.stores.get(name) == "fresh"}
        modes = _modes(topology, config, named)
        forks = requested
        while True:
            reached = topology.downstream(requested | _workers(topology, _fresh(modes))) | forks
            more_modes = _modes(topology, config, modes.keys() | _stores(topology, reached))
            fresh = _fresh(more_modes)
            # What a shared store uses itself is shared with it.
            shared = _services(topology, more_modes.keys() - fresh)
            more_databases = databases | _used(topology, reached - shared)
            more_forks = forks.union(
                *(topology.users(name) for name in more_databases),
                *(topology.store_users(name) for name in fresh),
                _services(topology, fresh),
            )
            more_forks -= shared
            if (more_forks, more_databases, more_modes) == (forks, databases, modes):
                break
            forks, databases, modes = more_forks, more_databases, more_modes
    forks -= _services(topology, modes.keys() - _fresh(modes))
    return Selection(
        {
            name: _reason(topology, name, requested, databases, _fresh(modes), config)
            for name in sorted(forks)
        },
        tuple(sorted(databases)),
        dict(sorted(modes.items())),
    )


def _modes(topology: Topology, config: FlowConfig, stores: Iterable[str]) -> dict[str, StoreMode | None]:
    """The flow's word on stores, else the baseline's."""
    return {name: config.stores.get(name) or topology.stores[name].flows for name in stores}


def _fresh(modes: Mapping[str, StoreMode | None]) -> frozenset[str]:
    return frozenset(name for name, mode in modes.items() if mode == "fresh")


def _used(topology: Topology, services: Iterable[str]) -> set[str]:
    return {use.database for name in services for use in topology.services[name].databases}


def _stores(topology: Topology, services: Iterable[str]) -> set[str]:
    """Stores that services use, or are."""
    services = set(services)
    used = {use.store for name in services for use in topology.services[name].stores}
    return used | {name for name in topology.stores if topology.store_service(name) in services}


def _services(topology: Topology, stores: Iterable[str]) -> set[str]:
    """Services behind which stores run."""
    return set(map(topology.store_service, stores))


def _workers(topology: Topology, stores: Iterable[str]) -> set[str]:
    """Users of stores that no request reaches: they act on the messages that they find there."""
    users = {user for name in stores for user in topology.store_users(name)}
    return {name for name in users if not topology.services[name].ports}


def _reason(
    topology: Topology,
    name: str,
    requested: set[str],
    databases: set[str],
    fresh: frozenset[str],
    config: FlowConfig,
) -> Reason:
    if name in requested:
        return Reason("requested")
    if config.isolation == "full":
        return Reason("full")
    for store in sorted(fresh):
        if topology.store_service(store) == name:
            return Reason("fresh-store", stores=(store,))
    used = sorted(_used(topology, [name]) & databases)
    stores = sorted({use.store for use in topology.services[name].stores} & fresh)
    return Reason("uses-database" if used else "uses-store", tuple(used), tuple(stores))
