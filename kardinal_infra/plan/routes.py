"""The mesh routes of a plan, in the dialect of each Service."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from kardinal_infra.errors import Problem
from kardinal_infra.model.service import Service
from kardinal_infra.observed.virtual_services import first_label
from kardinal_infra.plan.context import Context
from kardinal_infra.routing import Insertion, Targets, flow_insertion, flow_routes, has_baseline_route
from kardinal_infra.routing.conflicts import passing_conflicts
from kardinal_infra.routing.dialect import virtual_service_of, virtual_service_title


@dataclass
class PlannedRoutes:
    """What leads a flow's requests to its forks.

    Attributes:
        routes: HTTPRoute and GRPCRoute manifests.
        insertions: Rules for VirtualServices.
        problems: What stands in their way.
        refused_ports: Services and ports of which a problem says why they cannot be routed.
    """

    routes: list[dict[str, Any]] = field(default_factory=list)
    insertions: list[Insertion] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    refused_ports: set[tuple[str, int]] = field(default_factory=set)

    @property
    def manifests(self) -> list[dict[str, Any]]:
        """Routes and insertions, as the safety rules judge them."""
        return [*self.routes, *(insertion.manifest() for insertion in self.insertions)]


def plan_routes(context: Context, forks: Mapping[str, str]) -> PlannedRoutes:
    """Plans the mesh routes of a flow.

    Args:
        context: Everything known.
        forks: Fork by service.

    Returns:
        Routes, insertions and problems.
    """
    planned = PlannedRoutes()
    live, homes = context.live, context.topology.homes
    forked = {context.topology.ref(name) for name in forks}
    # Every service, not only the forked ones: routes of the others may send requests on to a forked one.
    for name, service in sorted(context.topology.services.items()):
        path, namespace, before = context.service_path(name), homes[name], len(planned.problems)
        if name not in forks:
            found = passing_conflicts(namespace, name, forked, live)
            planned.problems += [Problem(path, conflict.message) for conflict in found]
        targets = Targets.of(context.topology, context.owner, name, forks)
        if (virtual_service := virtual_service_of(live, namespace, name)) is not None:
            try:
                insertion = flow_insertion(virtual_service, targets)
            except ValueError as error:
                title = virtual_service_title(virtual_service)
                planned.problems.append(Problem(path, f"{title} cannot take a flow: {error}"))
                continue
            made = [insertion] if insertion else []
            planned.insertions += made
            reached = any(_leads_to(item.manifest(), forks.get(name)) for item in made)
        else:
            routes = _routes(context, service, targets, planned)
            planned.routes += routes
            reached = name not in forks or _reaches(context, name, service, routes, forks[name])
        # Every problem of this path has been found in this round.
        if name in forks and service.routed_ports and not reached and len(planned.problems) == before:
            message = (
                f'no route on Service "{name}" leads to it or to a version of it in namespace {namespace}: a'
                " flow's requests would never reach its fork"
            )
            planned.problems.append(Problem(path, message))
    return planned


def _reaches(
    context: Context, name: str, service: Service, routes: Iterable[Mapping[str, Any]], fork: str
) -> bool:
    if any(_leads_to(route, fork) for route in routes):
        return True
    ref = context.topology.ref(name)
    candidates = context.live.baseline_routes_on(ref)
    # Where there is nothing to derive routes from, or nothing unambiguous, that has been said.
    return not all(has_baseline_route(candidates, *ref, port.port) for port in service.routed_ports)


def _routes(
    context: Context, service: Service, targets: Targets, planned: PlannedRoutes
) -> list[dict[str, Any]]:
    routes: list[dict[str, Any]] = []
    for port in service.routed_ports:
        try:
            candidates = context.live.baseline_routes_on(context.topology.ref(targets.service))
            routes += flow_routes(targets, port.port, candidates)
        except ValueError as error:
            message = f"port {port.port} cannot be routed: {error}"
            planned.problems.append(Problem(context.service_path(targets.service), message))
            planned.refused_ports.add((targets.service, port.port))
    return routes


def _leads_to(manifest: Mapping[str, Any], fork: str | None) -> bool:
    rules, http = manifest["spec"].get("rules", ()), manifest["spec"].get("http", ())
    names = {first_label(backend["name"]) for rule in rules for backend in rule.get("backendRefs") or ()}
    names |= {first_label(item["destination"]["host"]) for rule in http for item in rule.get("route") or ()}
    return fork in names
