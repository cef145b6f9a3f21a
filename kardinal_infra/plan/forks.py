"""The forks of a plan, each with what stands in its way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from kardinal_infra.config import FlowService, VolumeChoice
from kardinal_infra.errors import Problem
from kardinal_infra.forking import (
    DatabaseEnv,
    ForkSpec,
    fork_problems,
    fork_service,
    fork_warnings,
    fork_workload,
)
from kardinal_infra.forking.containers import pick_container
from kardinal_infra.forking.workloads import find_workload
from kardinal_infra.model.names import fork_name
from kardinal_infra.model.service import Service
from kardinal_infra.observed.live import LiveObjects, Object, flow_of, pod_template, policy_selector
from kardinal_infra.plan.context import Context
from kardinal_infra.plan.guards import guarded
from kardinal_infra.plan.mesh import adoption_problems, fork_route_problems
from kardinal_infra.plan.model import ForkPlan, Reason
from kardinal_infra.plan.poolers import shared_host_problems, unpooled_problems
from kardinal_infra.plan.stores import emptied_volumes, store_envs
from kardinal_infra.safety.references import shared_queues

_EMPTY: VolumeChoice = "empty"


def plan_forks(
    context: Context, forks: Mapping[str, Reason]
) -> tuple[list[ForkPlan], list[Problem], list[str]]:
    """Plans all forks.

    Args:
        context: Everything known.
        forks: Reason by service.

    Returns:
        The forks that can be made, every problem, and warnings.
    """
    planned: list[ForkPlan] = []
    problems: list[Problem] = []
    warnings: list[str] = []
    selected = {live.namespace: _dropped_keys(context, live) for live in context.live.everywhere()}
    for name, reason in forks.items():
        found: list[str] = []
        fork = _plan_fork(context, name, reason, selected[context.topology.homes[name]], found)
        problems += [Problem(context.service_path(name), message) for message in found]
        if fork is not None:
            planned.append(fork)
            warnings += fork_warnings(fork.spec)
    return guarded(context, planned), problems, warnings


def _dropped_keys(context: Context, live: LiveObjects) -> frozenset[str]:
    """Label keys that no fork of the namespace keeps."""
    return selected_keys(live) | (_sidecar_keys(live) if context.egress.locked else frozenset())


def selected_keys(live: LiveObjects) -> frozenset[str]:
    """Label keys by which anything in the namespace counts or reaches pods."""
    keys: set[str] = set()
    for _, selector in live.selectors():
        keys |= (selector.get("matchLabels") or {}).keys()
        keys |= {expression["key"] for expression in selector.get("matchExpressions") or ()}
    return frozenset(keys)


def _sidecar_keys(live: LiveObjects) -> frozenset[str]:
    """Label keys by which Sidecars select pods: of two that select one pod the older counts, not the lock."""
    sidecars = [item for item in live.policies if item["kind"] == "Sidecar" and flow_of(item) is None]
    return frozenset(key for item in sidecars for key in policy_selector(item)["matchLabels"])


def image_of(workload: Object, container: str | None, service: str) -> str:
    """Returns the image of a workload's application container, empty when it is not clear which that is."""
    template = pod_template(workload)
    try:
        picked = pick_container(template, container, service)
    except ValueError:
        return ""
    return str(next(item["image"] for item in template["spec"]["containers"] if item["name"] == picked))


def _plan_fork(
    context: Context, name: str, reason: Reason, selected: frozenset[str], found: list[str]
) -> ForkPlan | None:
    """Plans one fork; what stands in its way goes to `found`."""
    service, live = context.topology.services[name], context.live.of(context.topology.homes[name])
    request = context.config.services.get(name)
    found.extend(adoption_problems(live.namespace, name, service, context.live))
    if service.routed_ports or name not in context.fresh_services:
        # Nothing is routed to a fresh store by a header: its users get its address.
        found.extend(fork_route_problems(live.namespace, name, service, context.live))
    if service.ports and live.service(name) is None:
        return None  # said already, and without it nothing tells which workload is meant
    try:
        workload = find_workload(live, name, service)
        wanted = (request and request.container) or service.container
        container = pick_container(pod_template(workload), wanted, name)
    except ValueError as error:
        found.append(str(error))
        return None
    databases = tuple(
        DatabaseEnv(use.database, context.handovers[use.database], use.environment)
        for use in service.databases
        if use.database in context.handovers
    )
    spec = ForkSpec(
        owner=context.owner_of(name),
        service=name,
        name=fork_name(name, str(context.owner.flow)),
        workload=workload,
        live_service=live.service(name) if service.ports else None,
        container=container,
        image=request.image if request else None,
        env=request.env if request else {},
        command=request.command if request else None,
        patches=request.containers if request else {},
        volumes={
            **dict.fromkeys(emptied_volumes(context, name, workload), _EMPTY),
            **(request.volumes if request else {}),
        },
        replicas=_replicas(context, service, request),
        databases=databases,
        stores=store_envs(context, service),
        selected_keys=selected,
        locked=context.egress.locked,
    )
    manifest = fork_workload(spec, context.branch_secrets)
    if spec.replicas and _would_share_work(context, service, request, spec, manifest):
        spec, manifest["spec"]["replicas"] = replace(spec, replicas=0), 0
    found.extend(shared_host_problems(context.topology, service, context.handovers))
    found.extend(unpooled_problems(context.topology, service, context.handovers, workload))
    found.extend(fork_problems(spec, live))
    for use in databases:
        found.extend(
            f'env.{variable} is set by the branch of database "{use.database}"; remove it here'
            for variable in sorted(use.environment.keys() & spec.env.keys())
            if use.handover == "env"
        )
    for store in spec.stores:
        found.extend(
            f'env.{variable} is set by the fresh store "{store.store}"; remove it here'
            for variable in sorted(store.environment.keys() & spec.env.keys())
        )
    image = spec.image or image_of(workload, container, name)
    return ForkPlan(name, reason, image, spec, manifest, fork_service(spec) if spec.live_service else None)


def _replicas(context: Context, service: Service, request: FlowService | None) -> int:
    if request is not None and request.replicas is not None:
        return request.replicas
    return int(bool(service.ports) or _names_queues(service, request) or service.works_on(context.fresh))


def _names_queues(service: Service, request: FlowService | None) -> bool:
    """Whether a flow says where its worker takes work from."""
    queues = set(service.queues or ())
    return bool(queues) and request is not None and request.env.keys() >= queues


def _would_share_work(
    context: Context, service: Service, request: FlowService | None, spec: ForkSpec, manifest: Object
) -> bool:
    """Whether a second worker, which nobody asked for, would take production's work from its queue."""
    asked = request is not None and request.replicas is not None
    if asked or service.ports or service.works_on(context.fresh):
        return False
    live, baseline = context.live.of(spec.owner.namespace), pod_template(spec.workload)
    return bool(shared_queues(service.queues or (), live, baseline, pod_template(manifest)))
