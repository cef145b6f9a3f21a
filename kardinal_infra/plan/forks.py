"""The forks of a plan, each with what stands in its way."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from kardinal_infra.errors import Problem
from kardinal_infra.forking import (
    DatabaseEnv,
    ForkSpec,
    fork_deployment,
    fork_problems,
    fork_service,
    fork_warnings,
)
from kardinal_infra.forking.containers import pick_container
from kardinal_infra.live import LiveObjects, Object, name_of, pod_template
from kardinal_infra.names import fork_name
from kardinal_infra.plan.context import Context
from kardinal_infra.plan.mesh import adoption_problems, fork_route_problems, injection_problem
from kardinal_infra.plan.model import ForkPlan, Reason
from kardinal_infra.topology import Service


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
    selected = selected_keys(context.live)
    for name, reason in forks.items():
        found: list[str] = []
        fork = _plan_fork(context, name, reason, selected, found)
        problems += [Problem(context.service_path(name), message) for message in found]
        if fork is not None:
            planned.append(fork)
            warnings += fork_warnings(fork.spec)
    problems += _caller_problems(context, forks)
    return planned, problems, warnings


def selected_keys(live: LiveObjects) -> frozenset[str]:
    """Label keys by which anything in the namespace selects pods."""
    keys: set[str] = set()
    for _, selector in live.selectors():
        keys |= (selector.get("matchLabels") or {}).keys()
        keys |= {expression["key"] for expression in selector.get("matchExpressions") or ()}
    return frozenset(keys)


def find_workload(live: LiveObjects, name: str, service: Service) -> Object:
    """Finds the workload of a service: the declared one, or the one that its Service selects.

    Args:
        live: The snapshot.
        name: Name of the service.
        service: The topology's words about it.

    Returns:
        The live Deployment or StatefulSet, with its `kind`.

    Raises:
        ValueError: There is none, or several; the message says what to do.
    """
    if service.workload is not None:
        declared = live.workload(service.workload.kind, service.workload.name)
        if declared is None:
            raise ValueError(
                f'there is no {service.workload.kind} "{service.workload.name}" in namespace {live.namespace}'
            )
        return declared
    item = live.service(name)
    if item is not None:
        behind = live.workloads_behind(item)
    else:
        behind = [workload for workload in live.workloads() if name_of(workload) == name]
    if not behind:
        place = f'Service "{name}"' if item is not None else f'service "{name}"'
        raise ValueError(f"no Deployment or StatefulSet is behind {place} in namespace {live.namespace}")
    if len(behind) > 1:
        listed = ", ".join(map(_title, behind))
        raise ValueError(
            f'several workloads are behind service "{name}" ({listed}): set `workload` in the baseline'
        )
    return behind[0]


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
    service, live = context.topology.services[name], context.live
    request = context.config.services.get(name)
    found.extend(adoption_problems(live.namespace, name, service, live))
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
        for use in service.uses
        if use.database in context.handovers
    )
    spec = ForkSpec(
        owner=context.owner,
        service=name,
        name=fork_name(name, str(context.owner.flow)),
        workload=workload,
        live_service=live.service(name) if service.ports else None,
        container=container,
        image=request.image if request else None,
        env=request.env if request else {},
        command=request.command if request else None,
        replicas=_replicas(service, request.replicas if request else None),
        databases=databases,
        selected_keys=selected,
    )
    found.extend(fork_problems(spec, live))
    # The fork's own pods: a label that asks for a sidecar may be among those that cannot be kept.
    template = fork_deployment(spec, dict.fromkeys(context.handovers, ""))["spec"]["template"]
    if problem := injection_problem(live, f"the fork of {_title(workload)}", template, "passes requests on"):
        found.append(problem)
    for use in databases:
        found.extend(
            f'env.{variable} is set by the branch of database "{use.database}"; remove it here'
            for variable in sorted(use.environment.keys() & spec.env.keys())
            if use.handover == "env"
        )
    image = spec.image or image_of(workload, container, name)
    return ForkPlan(name, reason, image, spec, fork_service(spec) if spec.live_service else None)


def _title(workload: Object) -> str:
    return f"{workload['kind']} {name_of(workload)}"


def _replicas(service: Service, wanted: int | None) -> int:
    # A second worker would take production's work from its queue.
    return wanted if wanted is not None else int(bool(service.ports))


def _caller_problems(context: Context, forks: Iterable[str]) -> list[Problem]:
    """Finds services that call a fork but whose pods have no sidecar to route by."""
    topology, names = context.topology, set(forks)
    callers = {caller for name in names for caller in topology.callers(name)} - names
    problems = []
    for caller in sorted(callers):
        try:
            workload = find_workload(context.live, caller, topology.services[caller])
        except ValueError:
            continue  # not forked: whether it runs at all is not this flow's business
        called = ", ".join(sorted(name for name in topology.services[caller].depends_on if name in names))
        why = f"routes its requests to the forks of {called}"
        if problem := injection_problem(context.live, _title(workload), pod_template(workload), why):
            problems.append(Problem(context.service_path(caller), problem))
    return problems
