"""The stores of a plan: which ones are shared, which ones are new and empty, and how users get there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from graphlib import TopologicalSorter

from kardinal_infra.errors import Problem
from kardinal_infra.forking import StoreEnv
from kardinal_infra.forking.volumes import production_volumes
from kardinal_infra.model.names import fork_name
from kardinal_infra.model.service import Service
from kardinal_infra.observed.live import Object
from kardinal_infra.plan.context import Context
from kardinal_infra.plan.model import ForkPlan, StorePlan
from kardinal_infra.plan.selection import Selection


def plan_stores(context: Context, selection: Selection) -> tuple[list[StorePlan], list[Problem]]:
    """Plans what becomes of every store that the flow touches.

    Args:
        context: Everything known.
        selection: Forks, databases and stores.

    Returns:
        Shared and fresh stores, and a problem for each one that nobody has decided on or that is decided on
        in two ways.
    """
    topology = context.topology
    planned: list[StorePlan] = []
    problems: list[Problem] = []
    for name, mode in selection.stores.items():
        service, users = topology.store_service(name), sorted(topology.store_users(name))
        path = f"{context.key}.stores.{name}"
        if mode is None:
            problems.append(Problem(path, _undecided(name, users)))
            continue
        if mode == "share" and service in context.config.services:
            message = (
                f'service "{service}" is store "{name}", which this flow shares with production; a version of'
                f" its own needs `stores: {{{name}: fresh}}`"
            )
            problems.append(Problem(context.service_path(service), message))
        fork = fork_name(service, str(context.owner.flow)) if mode == "fresh" else None
        address = (context.service_host(service, fork), topology.store_port(name))
        planned.append(StorePlan(name, mode, service, *address, tuple(users), fork))
    return planned, problems


def store_envs(context: Context, service: Service) -> tuple[StoreEnv, ...]:
    """Says how a fork gets to the fresh stores that its service uses.

    Args:
        context: Everything known.
        service: The topology's words about the service.
    """
    return tuple(
        StoreEnv(use.store, use.rendered(*_fresh_address(context, use.store)))
        for use in service.stores
        if use.store in context.fresh
    )


def emptied_volumes(context: Context, name: str, workload: Object) -> list[str]:
    """Names the volumes that the fork of a service gets empty, because it is a fresh store.

    Args:
        context: Everything known.
        name: Name of the service.
        workload: Its live workload.
    """
    return production_volumes(workload) if name in context.fresh_services else []


def starting_order(forks: Sequence[ForkPlan], stores: Sequence[StorePlan]) -> Iterator[ForkPlan]:
    """Yields forks so that each comes after the fresh stores that it uses.

    Args:
        forks: The forks of a flow.
        stores: Its stores.
    """
    service_of = {store.name: store.service for store in stores}
    by_service = {fork.service: fork for fork in forks}
    graph = {
        fork.service: {service_of[use.store] for use in fork.spec.stores} - {fork.service} for fork in forks
    }
    for service in TopologicalSorter(graph).static_order():
        yield by_service[service]


def _fresh_address(context: Context, store: str) -> tuple[str, int]:
    service = context.topology.store_service(store)
    fork = fork_name(service, str(context.owner.flow))
    return context.service_host(service, fork), context.topology.store_port(store)


def _undecided(name: str, users: Sequence[str]) -> str:
    used = f"used by {', '.join(users)}" if users else "used by no service"
    return (
        f'store "{name}" ({used}) cannot be branched, and nobody says what the flow does with it:'
        f" `stores: {{{name}: fresh}}` gives it a new, empty one and forks its users,"
        f" `stores: {{{name}: share}}` lets it use production's"
    )
