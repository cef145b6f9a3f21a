"""Makes plans: every part is planned, whatever the others found, and all problems are raised together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from kardinal_infra.config import Capabilities, CapabilitiesOf, FlowConfig
from kardinal_infra.config.flow import KEY
from kardinal_infra.config.reading import SUGGESTED, did_you_mean
from kardinal_infra.errors import ConfigError, Problem
from kardinal_infra.forking.workloads import find_workload
from kardinal_infra.model.names import Owner, label_problem
from kardinal_infra.model.topology import Topology
from kardinal_infra.observed.live import LiveObjects
from kardinal_infra.plan.baseline import baseline_version
from kardinal_infra.plan.branches import choose_handovers, plan_branches
from kardinal_infra.plan.context import Context
from kardinal_infra.plan.entries import plan_entries
from kardinal_infra.plan.forks import image_of, plan_forks
from kardinal_infra.plan.gateway import gateway_problems
from kardinal_infra.plan.hooks import plan_hooks
from kardinal_infra.plan.mesh import cluster_problems
from kardinal_infra.plan.model import FlowPlan, ForkPlan
from kardinal_infra.plan.ownership import host_problems, taken_flow, taken_names
from kardinal_infra.plan.parent_databases import allow_problems
from kardinal_infra.plan.proof import acknowledgement_problems, prove_plan
from kardinal_infra.plan.routes import plan_routes
from kardinal_infra.plan.selection import Selection, select
from kardinal_infra.plan.stores import plan_stores


def make_plan(
    topology: Topology,
    config: FlowConfig,
    live: LiveObjects,
    *,
    stack: str,
    problems: Iterable[Problem] = (),
    capabilities: CapabilitiesOf | None = None,
) -> FlowPlan:
    """Plans a flow.

    Args:
        topology: The application, from the baseline stack.
        config: The flow's config.
        live: What is on the cluster.
        stack: The flow's stack, `organization/project/stack`.
        problems: What reading the config found (`read_flow`), to be named in the same error.
        capabilities: Tells what a branching backend can do; default: of none anything is known.

    Returns:
        The plan.

    Raises:
        ConfigError: With every problem, in the config and on the cluster.
    """
    found = [*problems, *_unknown_names(topology, config)]
    found += [*cluster_problems(live), *gateway_problems(topology, live, config.id)]
    owner = Owner(stack, topology.namespace, config.id)
    selection = select(topology, config)
    handovers = choose_handovers(topology, config, selection)
    known, unknown = _capabilities(topology, selection, capabilities)
    found += unknown
    context = Context(topology, config, live, owner, handovers, KEY, selection.fresh, known)
    forks, fork_problems, warnings = plan_forks(context, selection.forks)
    branches, branch_problems = plan_branches(context, selection)
    stores, store_problems = plan_stores(context, selection)
    hooks, hook_problems, left_out = plan_hooks(context, selection.databases)
    names = {fork.service: fork.name for fork in forks if fork.service_manifest}
    planned = plan_routes(context, names)
    entries, entry_problems = ([], []) if _unusable(config.id) else plan_entries(context, names)
    unsafe, findings = prove_plan(context, forks, planned, [entry.route for entry in entries])
    found += [
        *acknowledgement_problems(context),
        *unsafe,
        *fork_problems,
        *branch_problems,
        *store_problems,
        *hook_problems,
        *allow_problems(context),
        *planned.problems,
        *entry_problems,
        *_name_problems(context, forks, [*planned.routes, *(entry.route for entry in entries)]),
    ]
    if found:
        raise ConfigError(found)
    images = baseline_images(topology, live)
    return FlowPlan(
        owner=owner,
        flow=config.flow,
        baseline=config.baseline,
        isolation=config.isolation,
        topology=topology,
        forks=tuple(forks),
        databases=tuple(branches),
        stores=tuple(stores),
        routes=tuple(planned.routes),
        insertions=tuple(planned.insertions),
        entries=tuple(entries),
        baseline_images=images,
        baseline_version=baseline_version(images, [fork.spec.workload for fork in forks]),
        hooks=tuple(hooks),
        findings=tuple(findings),
        acknowledged=frozenset(config.acknowledge),
        egress=context.egress,
        warnings=(*warnings, *_sharing_warnings(topology, config, selection), *left_out),
    )


def baseline_images(topology: Topology, live: LiveObjects) -> dict[str, str]:
    """Finds the image that each service of the baseline runs.

    Args:
        topology: The application.
        live: The snapshot.

    Returns:
        Image by service; services without a clear workload are left out.
    """
    images: dict[str, str] = {}
    for name, service in sorted(topology.services.items()):
        try:
            workload = find_workload(live, name, service)
        except ValueError:
            continue
        images[name] = image_of(workload, service.container, name)
    return images


def _unusable(flow: str) -> bool:
    return label_problem(flow) is not None


def _unknown_names(topology: Topology, config: FlowConfig) -> Iterator[Problem]:
    for part, what in (("services", "service"), ("databases", "database"), ("stores", "store")):
        known = getattr(topology, part)
        listed = f"; {topology.application} has: {', '.join(sorted(known)) or 'none'}"
        unknown = [name for name in getattr(config, part) if name not in known]
        for place, name in enumerate(unknown):
            more = listed + did_you_mean(name, known) if place < SUGGESTED else ""
            yield Problem(f"{KEY}.{part}.{name}", f"unknown {what}{more}")


def _capabilities(
    topology: Topology, selection: Selection, capabilities: CapabilitiesOf | None
) -> tuple[dict[str, Capabilities], list[Problem]]:
    """What the backends of the branched databases can do, by database, and which of them there are not."""
    known: dict[str, Capabilities] = {}
    problems: list[Problem] = []
    if capabilities is None:
        return known, problems
    for name in selection.databases:
        try:
            known[name] = capabilities(topology.databases[name].backend)
        except ConfigError as error:
            where = f"topology.databases.{name}.backend"
            problems += [Problem(where, problem.message) for problem in error.problems]
    return known, problems


def _name_problems(context: Context, forks: Sequence[ForkPlan], routes: Sequence[Any]) -> Iterator[Problem]:
    if _unusable(context.owner.flow or ""):
        return  # reading the config found it; names made from it would only repeat that
    path = f"{context.key}.id"
    yield from taken_flow(context.live, context.owner, path)
    manifests = [fork.service_manifest for fork in forks if fork.service_manifest]
    workloads = [fork.manifest for fork in forks]
    policies = [policy for fork in forks for policy in fork.policies]
    yield from taken_names(context.live, context.owner, [*manifests, *workloads, *policies, *routes], path)
    yield from host_problems(context.live, context.owner, context.topology, path)


def _sharing_warnings(topology: Topology, config: FlowConfig, selection: Selection) -> Iterator[str]:
    if config.isolation != "services":
        yield from _shared_with_databases(topology, selection)
        return
    for name in selection.forks:
        service = topology.services[name]
        shared = [f"database {use.database}" for use in service.databases]
        shared += [f"store {use.store}" for use in service.stores]
        yield from (
            f'isolation "services": the fork of {name} writes to production\'s {what}' for what in shared
        )


def _shared_with_databases(topology: Topology, selection: Selection) -> Iterator[str]:
    for store, mode in selection.stores.items():
        service = topology.store_service(store)
        used = {use.database for use in topology.services[service].databases} & set(selection.databases)
        if mode == "share" and used:
            yield (
                f'store "{store}" is shared: its service {service} goes on using production\'s database'
                f" {', '.join(sorted(used))}"
            )
