"""The forks of a plan, each with what stands in its way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from kardinal_infra.config import FlowService, VolumeChoice
from kardinal_infra.errors import Problem
from kardinal_infra.forking import (
    DatabaseEnv,
    ForkSpec,
    fork_policies,
    fork_problems,
    fork_service,
    fork_template,
    fork_warnings,
    lock_sidecar,
)
from kardinal_infra.forking.containers import pick_container
from kardinal_infra.forking.workloads import find_workload
from kardinal_infra.live import LiveObjects, Object, flow_of, pod_template, policy_selector
from kardinal_infra.names import fork_name
from kardinal_infra.plan.context import Context
from kardinal_infra.plan.mesh import adoption_problems, fork_route_problems
from kardinal_infra.plan.model import ForkPlan, Reason
from kardinal_infra.plan.parents import parent_services
from kardinal_infra.plan.poolers import shared_host_problems, unpooled_problems
from kardinal_infra.plan.stores import emptied_volumes, store_envs
from kardinal_infra.safety.work import shared_queues
from kardinal_infra.service import Service

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
    selected = {live.namespace: selected_keys(live) for live in context.live.everywhere()}
    for name, reason in forks.items():
        found: list[str] = []
        fork = _plan_fork(context, name, reason, selected[context.topology.homes[name]], found)
        problems += [Problem(context.service_path(name), message) for message in found]
        if fork is not None:
            planned.append(fork)
            warnings += fork_warnings(fork.spec)
    specs = [fork.spec for fork in planned]
    guarded = [replace(fork, policies=tuple(_policies(context, fork.spec, specs))) for fork in planned]
    return guarded, problems, warnings


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
    found.extend(adoption_problems(live.namespace, name, service, live))
    if service.routed_ports or name not in context.fresh_services:
        # Nothing is routed to a fresh store by a header: its users get its address.
        found.extend(fork_route_problems(live.namespace, name, service, live))
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
        replicas=0,
        databases=databases,
        stores=store_envs(context, service),
        selected_keys=selected | (_sidecar_keys(live) if context.egress.locked else frozenset()),
        locked=context.egress.locked,
    )
    spec = replace(spec, replicas=_replicas(context, service, request, spec))
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
    return ForkPlan(name, reason, image, spec, fork_service(spec) if spec.live_service else None)


def _replicas(context: Context, service: Service, request: FlowService | None, spec: ForkSpec) -> int:
    if request is not None and request.replicas is not None:
        return request.replicas
    # A second worker would take production's work from its queue, unless the flow gives it one of its own.
    queues = set(service.queues or ())
    own_queues = bool(queues) and request is not None and request.env.keys() >= queues
    if own_queues:
        live, made = context.live.of(spec.owner.namespace), fork_template(spec, _unnamed_secrets(context))
        own_queues = not shared_queues(queues, live, pod_template(spec.workload), made)
    return int(bool(service.ports) or own_queues or service.works_on(context.fresh))


def _unnamed_secrets(context: Context) -> dict[str, str]:
    """The branches' Secrets, whose names are only known when they are made."""
    return dict.fromkeys(context.handovers, "")


def _policies(context: Context, spec: ForkSpec, forks: Sequence[ForkSpec]) -> list[Mapping[str, object]]:
    labels = fork_template(spec, _unnamed_secrets(context))["metadata"]["labels"]
    policies: list[Mapping[str, object]] = [*fork_policies(spec, labels, context.live, forks)]
    if spec.locked:
        # Whatever the baseline's may call; the routes there lead on to the flow's other forks.
        homes = context.topology.homes
        services = [(homes[name], name) for name, item in context.topology.services.items() if item.ports]
        closed = parent_services(context.topology, context.handovers)
        services = [
            (home, name)
            for home, name in services
            if name not in context.fresh_services and (home, name) not in closed
        ]
        services += [(fork.owner.namespace, fork.name) for fork in forks if fork.live_service is not None]
        allowed = [
            item.model_copy(update={"namespace": item.namespace or context.topology.namespace})
            for item in context.egress.destinations
        ]
        policies.append(lock_sidecar(spec, services, sorted(context.handovers), allowed))
    return policies
