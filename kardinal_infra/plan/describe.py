"""A plan as text for people, and as a graph for other programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kardinal_infra.topology import SCHEMA_VERSION

if TYPE_CHECKING:
    from kardinal_infra.plan.model import BranchPlan, FlowPlan


def describe(plan: FlowPlan) -> str:
    """Writes a plan as text.

    Args:
        plan: The plan.

    Returns:
        Several lines; no env value and no credential is in them.
    """
    where = f"{plan.topology.application} (namespace {plan.owner.namespace})"
    lines = [f'Flow "{plan.flow}" beside {where}, isolation {plan.isolation}']
    lines.append(f"  Forks ({len(plan.forks)} of {len(plan.topology.services)} services)")
    for fork in plan.forks:
        size = "" if fork.spec.replicas == 1 else f", {fork.spec.replicas} replicas"
        lines.append(f"    {fork.name}: {fork.reason}; image {fork.image}{size}")
    shared = sorted(plan.topology.services.keys() - {fork.service for fork in plan.forks})
    if shared:
        lines.append(f"  Shared with production: {', '.join(shared)}")
    for branch in plan.databases:
        lines.extend(_describe_branch(branch))
    if plan.routes:
        lines.append(f"  Routes: requests with {plan.header['name']}: {plan.flow}")
        for route in plan.routes:
            lines.append(f"    {_describe_route(route)}")
    for entry in plan.entries:
        lines.append(
            f"  URL: {entry.url} -> {entry.fork or f'{entry.service} (production), which calls the forks'}"
        )
    lines.extend(f"  Note: {warning}" for warning in plan.warnings)
    return "\n".join(lines)


def _describe_branch(branch: BranchPlan) -> list[str]:
    parent = branch.database.parent or "the default branch"
    life = f"for {branch.ttl}" if branch.ttl else "until the flow is destroyed"
    lines = [
        f'  Database {branch.name}: branch "{branch.branch_name}" of {parent}'
        f" ({branch.database.backend} project {branch.database.project}), {life},"
        f" hand-over {branch.handover} to {', '.join(branch.users)}"
    ]
    if branch.migrations:
        lines.append(f"    migrations: {' '.join(branch.migrations.command)} in {branch.migrations.image}")
    return lines


def _describe_route(route: Any) -> str:
    parent = route["spec"]["parentRefs"][0]
    rules = route["spec"]["rules"]
    targets = sorted({backend["name"] for rule in rules for backend in rule.get("backendRefs") or ()})
    noun = "rule" if len(rules) == 1 else "rules"
    return f"{parent['name']}:{parent['port']} -> {', '.join(targets)} ({len(rules)} {noun})"


def contract(plan: FlowPlan) -> dict[str, Any]:
    """Writes a plan as a graph.

    Args:
        plan: The plan.

    Returns:
        `{schemaVersion, flow, application, nodes, edges}`. A node is `{id, kind, name, versions}` with kind
        `service`, `database` or `entry`; its versions are the baseline's and, where there is one, the
        flow's. An edge is `{from, to, kind}` with kind `calls`, `uses` or `enters`.
    """
    topology = plan.topology
    forks = {fork.service: fork for fork in plan.forks}
    branches = {branch.name: branch for branch in plan.databases}
    nodes: list[dict[str, Any]] = []
    edges: list[dict[str, Any]] = []
    for entry in topology.entries:
        flow_host = topology.flow_host(entry, plan.flow)
        versions = [{"version": "baseline", "host": entry.host}, {"version": plan.flow, "host": flow_host}]
        nodes.append({"id": f"entry/{entry.host}", "kind": "entry", "name": entry.host, "versions": versions})
        edges.append(_edge(f"entry/{entry.host}", f"service/{entry.service}", "enters"))
    for name, service in sorted(topology.services.items()):
        versions = [{"version": "baseline", "image": plan.baseline_images.get(name, "")}]
        if fork := forks.get(name):
            versions.append(
                {"version": plan.flow, "image": fork.image, "fork": fork.name, "reason": str(fork.reason)}
            )
        nodes.append({"id": f"service/{name}", "kind": "service", "name": name, "versions": versions})
        edges.extend(_edge(f"service/{name}", f"service/{other}", "calls") for other in service.depends_on)
        edges.extend(_edge(f"service/{name}", f"database/{use.database}", "uses") for use in service.uses)
    for name, database in sorted(topology.databases.items()):
        versions = [{"version": "baseline", "branch": database.parent or ""}]
        if branch := branches.get(name):
            versions.append({"version": plan.flow, "branch": branch.branch_name})
        nodes.append({"id": f"database/{name}", "kind": "database", "name": name, "versions": versions})
    return {
        "schemaVersion": SCHEMA_VERSION,
        "flow": plan.flow,
        "application": topology.application,
        "nodes": nodes,
        "edges": edges,
    }


def _edge(source: str, target: str, kind: str) -> dict[str, str]:
    return {"from": source, "to": target, "kind": kind}
