"""The safety proof of a plan."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kardinal_infra.config.reading import SUGGESTED, did_you_mean
from kardinal_infra.errors import Problem
from kardinal_infra.plan.context import Context
from kardinal_infra.plan.model import ForkPlan
from kardinal_infra.plan.routes import PlannedRoutes
from kardinal_infra.safety import RULE_NAMES, Case, Finding, ProposedFork, prove, refused


def prove_plan(
    context: Context,
    forks: Sequence[ForkPlan],
    planned: PlannedRoutes,
    entries: Sequence[Mapping[str, Any]],
) -> tuple[list[Problem], list[Finding]]:
    """Applies the safety rules to what is planned.

    Args:
        context: Everything known.
        forks: The forks that can be made.
        planned: The mesh routes.
        entries: Manifests of the routes of the public hosts.

    Returns:
        A problem for every finding that stops the flow, and all other findings: warnings, and what the flow
        acknowledges.
    """
    findings = prove(make_case(context, forks, planned, entries))
    stopping = refused(findings, context.config.acknowledge)
    problems = [Problem(finding.path, str(finding)) for finding in stopping]
    stopped = set(stopping)
    return problems, [finding for finding in findings if finding not in stopped]


def make_case(
    context: Context,
    forks: Sequence[ForkPlan],
    planned: PlannedRoutes,
    entries: Sequence[Mapping[str, Any]],
) -> Case:
    """Shows a plan as the rules want it.

    Args:
        context: Everything known.
        forks: The forks that can be made.
        planned: The mesh routes.
        entries: Manifests of the routes of the public hosts.
    """
    return Case(
        live=context.live,
        topology=context.topology,
        flow=str(context.owner.flow),
        forks=tuple(
            ProposedFork(
                service=fork.service,
                path=context.service_path(fork.service),
                baseline=fork.spec.workload,
                workload=fork.manifest,
                service_manifest=fork.service_manifest,
                databases=fork.spec.databases,
                stores=fork.spec.stores,
                requested_env=frozenset(fork.spec.env).union(
                    *(patch.env for patch in fork.spec.patches.values())
                ),
                policies=fork.policies,
            )
            for fork in forks
        ),
        routes=tuple(planned.manifests),
        entries=tuple(entries),
        key=context.key,
        requested=frozenset(context.config.services),
        locked=frozenset(fork.service for fork in forks if fork.spec.locked),
        refused_ports=frozenset(planned.refused_ports),
    )


def acknowledgement_problems(context: Context) -> Iterator[Problem]:
    """Finds acknowledged rules that do not exist.

    Args:
        context: Everything known.
    """
    unknown = [item for item in enumerate(context.config.acknowledge) if item[1] not in RULE_NAMES]
    for place, (index, name) in enumerate(unknown):
        more = did_you_mean(name, sorted(RULE_NAMES)) if place < SUGGESTED else ""
        yield Problem(f"{context.key}.acknowledge[{index}]", f'unknown rule "{name}"{more}')
