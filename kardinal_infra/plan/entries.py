"""The public hosts of a plan."""

from __future__ import annotations

from collections.abc import Mapping

from kardinal_infra.errors import Problem
from kardinal_infra.plan.context import Context
from kardinal_infra.plan.model import EntryPlan
from kardinal_infra.routing.public_hosts import flow_entry


def plan_entries(context: Context, forks: Mapping[str, str]) -> tuple[list[EntryPlan], list[Problem]]:
    """Plans the flow's hosts.

    Args:
        context: Everything known.
        forks: Fork by service.

    Returns:
        The hosts in the topology's order, and what stands in their way.
    """
    topology, gateway, live = context.topology, context.topology.gateway, context.live
    entries: list[EntryPlan] = []
    problems: list[Problem] = []
    for index, entry in enumerate(topology.entries):
        host = topology.flow_host(entry, str(context.owner.flow))
        fork = forks.get(entry.service)
        try:
            route = flow_entry(topology, live, context.owner, index, forks)
        except ValueError as error:
            problems.append(Problem(f"topology.entries[{index}]", f'host "{host}" cannot be routed: {error}'))
            continue
        urls = gateway.url(host), gateway.url(entry.host)
        entries.append(EntryPlan(entry.service, host, *urls, fork, route))
    return entries, problems
