"""The mesh routes of a plan, in the dialect of each Service."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from kardinal_infra.errors import Problem
from kardinal_infra.plan.context import Context
from kardinal_infra.routing import Insertion, Targets, flow_insertion, flow_routes, has_baseline_route
from kardinal_infra.routing.conflicts import passing_conflicts
from kardinal_infra.routing.dialect import virtual_service_of, virtual_service_title
from kardinal_infra.routing.mesh_hosts import first_label
from kardinal_infra.service import Service


@dataclass
class PlannedRoutes:
    """What leads a flow's requests to its forks.

    Attributes:
        routes: HTTPRoute and GRPCRoute manifests.
        insertions: Rules for VirtualServices.
        problems: What stands in their way.
    """

    routes: list[dict[str, Any]] = field(default_factory=list)
    insertions: list[Insertion] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

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
    # Every service, not only the forked ones: routes of the others may send requests on to a forked one.
    for name, service in sorted(context.topology.services.items()):
        path, namespace = context.service_path(name), homes[name]
        if name not in forks:
            found = passing_conflicts(namespace, name, forks, live, homes)
            planned.problems += [Problem(path, conflict.message) for conflict in found]
        targets = Targets.of(context.topology, context.owner, name, forks)
        if (virtual_service := virtual_service_of(live, namespace, name)) is not None:
            try:
                insertion = flow_insertion(virtual_service, targets)
            except ValueError as error:
                title = virtual_service_title(virtual_service)
                planned.problems.append(Problem(path, f"{title} cannot take a flow: {error}"))
                continue
            planned.insertions += [insertion] if insertion else []
            reached = insertion is not None and _leads_to(insertion.manifest(), forks.get(name))
        else:
            routes = _routes(context, service, targets, planned.problems)
            planned.routes += routes
            reached = any(_leads_to(route, forks.get(name)) for route in routes)
            # Where there is nothing to derive routes from, or nothing unambiguous, that has been said.
            reached = reached or not all(
                has_baseline_route(live.routes, namespace, name, port.port) for port in service.routed_ports
            )
        if name in forks and service.routed_ports and not reached and not _said(planned.problems, path):
            message = (
                f'no route on Service "{name}" leads to it or to a version of it in namespace {namespace}: a'
                " flow's requests would never reach its fork"
            )
            planned.problems.append(Problem(path, message))
    return planned


def _routes(
    context: Context, service: Service, targets: Targets, problems: list[Problem]
) -> list[dict[str, Any]]:
    routes: list[dict[str, Any]] = []
    for port in service.routed_ports:
        try:
            routes += flow_routes(targets, port.port, context.live.routes)
        except ValueError as error:
            message = f"port {port.port} cannot be routed: {error}"
            problems.append(Problem(context.service_path(targets.service), message))
    return routes


def _said(problems: Iterable[Problem], path: str) -> bool:
    return any(problem.path == path for problem in problems)


def _leads_to(manifest: Mapping[str, Any], fork: str | None) -> bool:
    rules, http = manifest["spec"].get("rules", ()), manifest["spec"].get("http", ())
    names = {backend["name"] for rule in rules for backend in rule.get("backendRefs") or ()}
    names |= {first_label(item["destination"]["host"]) for rule in http for item in rule.get("route") or ()}
    return fork in names
