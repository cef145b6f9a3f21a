"""A plan as text for people, and as a graph for other programs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from kardinal_infra.model.branch_options import BranchOptions
from kardinal_infra.model.topology import SCHEMA_VERSION

if TYPE_CHECKING:
    from kardinal_infra.model.hook import Hook
    from kardinal_infra.plan.model import BranchPlan, FlowPlan, StorePlan


def describe(plan: FlowPlan) -> str:
    """Writes a plan as text.

    Args:
        plan: The plan.

    Returns:
        Several lines; no env value and no credential is in them.
    """
    homes = plan.topology.namespaces
    where = f"{plan.topology.application} (namespace{'s' if len(homes) > 1 else ''} {', '.join(homes)})"
    lines = [f'Flow "{plan.flow}" beside {where}, isolation {plan.isolation}']
    lines.append(f"  Forks ({len(plan.forks)} of {len(plan.topology.services)} services)")
    for fork in plan.forks:
        size = "" if fork.spec.replicas == 1 else f", {fork.spec.replicas} replicas"
        home = fork.spec.owner.namespace
        place = "" if home == plan.owner.namespace else f" in namespace {home}"
        lines.append(f"    {fork.name}{place}: {fork.reason}; image {fork.image}{size}")
    shared = sorted(plan.topology.services.keys() - {fork.service for fork in plan.forks})
    if shared:
        lines.append(f"  Shared with production: {', '.join(shared)}")
    for branch in plan.databases:
        lines.extend(_describe_branch(branch))
    lines.extend(f"  {_describe_store(store)}" for store in plan.stores)
    if plan.routes or plan.insertions:
        lines.append(f"  Routes: requests with {plan.header['name']}: {plan.flow}")
        for route in plan.routes:
            lines.append(f"    {_describe_route(route)}")
        for insertion in plan.insertions:
            lines.append(
                f"    {insertion.service}: {len(insertion.rules)} rules in front of VirtualService"
                f" {insertion.namespace}/{insertion.virtual_service}"
            )
    for entry in plan.entries:
        lines.append(
            f"  URL: {entry.url} -> {entry.fork or f'{entry.service} (production), which calls the forks'}"
        )
    lines.extend(f"  {_describe_hook(hook)}" for hook in plan.hooks)
    if plan.egress.locked:
        more = ", ".join(plan.egress.allow)
        lines.append(f"  Egress: locked to the application, the branches{f' and {more}' if more else ''}")
    lines.extend(f"  Note: {warning}" for warning in plan.warnings)
    for finding in plan.findings:
        lines.append(f"  {'Acknowledged' if finding.severity == 'error' else 'Note'}: {finding}")
    return "\n".join(lines)


def _describe_branch(branch: BranchPlan) -> list[str]:
    parent = branch.database.parent or "the default branch"
    moment = branch.options.parent_timestamp or branch.options.parent_lsn
    life = f"for {branch.ttl}" if branch.ttl else "until the flow is destroyed"
    lines = [
        f'  Database {branch.name}: branch "{branch.branch_name}" of {parent}'
        + (f" as of {moment}" if moment else "")
        + f" ({branch.database.backend} project {branch.database.project}),"
        f" {_describe_content(branch)}{life}{', protected' if branch.options.protected else ''},"
        f" hand-over {branch.handover} to {', '.join(branch.users)}"
    ]
    lines += [f"    {line}" for line in _describe_extras(branch.options)]
    if branch.migrations:
        lines.append(f"    migrations: {' '.join(branch.migrations.command)} in {branch.migrations.image}")
    return lines


def _describe_store(store: StorePlan) -> str:
    users = f", for {', '.join(store.users)}" if store.users else ""
    if store.mode == "share":
        return f"Store {store.name}: shared with production{users}"
    return f"Store {store.name}: fresh, empty: {store.fork}{users}"


def _describe_hook(hook: Hook) -> str:
    moment = "before the forks start" if hook.after == "databases" else "when the flow answers"
    commands = [f"{moment}: {_first_line(hook.create)}"] if hook.create else []
    commands += [f"on destroy: {_first_line(hook.delete)}"] if hook.delete else []
    return f"Hook {hook.name}, on this machine, {'; '.join(commands)}"


def _first_line(command: str) -> str:
    first, _, more = command.strip().partition("\n")
    return f"{first} ..." if more else first


def _describe_content(branch: BranchPlan) -> str:
    options = branch.options
    if options.init == "schema-only":
        return "schema only, "
    if options.init == "masked":
        columns = [f"{rule.table}.{rule.column}" for rule in options.masking_rules or ()]
        return f"masked in {', '.join(columns)}, "
    return "unmasked although the baseline masks it, " if branch.database.init == "masked" else ""


def _describe_extras(options: BranchOptions) -> Iterator[str]:
    if (compute := options.compute) is not None:
        sizes = [f"{size:g}" for size in (compute.min_units, compute.max_units) if size is not None]
        size = f"{' to '.join(sizes)} units" if sizes else "the project's size"
        pause = f", suspended after {compute.suspend_after}" if compute.suspend_after else ""
        yield f"compute: {size}{pause}"
    if options.roles:
        yield f"further roles: {', '.join(options.roles)}"
    if options.databases:
        owned = [f"{name} of {owner}" for name, owner in options.databases.items()]
        yield f"further databases: {', '.join(owned)}"


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
        `service`, `database` or `entry`, and with `namespace` where that is not the application's own; its
        versions are the baseline's and, where there is one, the flow's. An edge is `{from, to, kind}` with
        kind `calls`, `uses` or `enters`.
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
        place = {} if service.namespace is None else {"namespace": service.namespace}
        node = {"id": f"service/{name}", "kind": "service", "name": name, **place}
        nodes.append({**node, "versions": versions})
        edges.extend(_edge(f"service/{name}", f"service/{other}", "calls") for other in service.depends_on)
        edges.extend(
            _edge(f"service/{name}", f"database/{use.database}", "uses") for use in service.databases
        )
        edges.extend(
            _edge(f"service/{name}", f"service/{topology.store_service(use.store)}", "uses")
            for use in service.stores
        )
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
