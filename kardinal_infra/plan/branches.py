"""The database branches of a plan."""

from __future__ import annotations

from kardinal_infra.config import FlowConfig
from kardinal_infra.config.branches import together_problems
from kardinal_infra.config.reading import did_you_mean
from kardinal_infra.errors import Problem
from kardinal_infra.model.names import alias_problem, branch_name
from kardinal_infra.model.topology import Handover, Topology
from kardinal_infra.plan.context import Context
from kardinal_infra.plan.model import BranchPlan, MigrationPlan
from kardinal_infra.plan.selection import Selection


def choose_handovers(topology: Topology, config: FlowConfig, selection: Selection) -> dict[str, Handover]:
    """Chooses the hand-over of each branched database: the flow's word, else the baseline's.

    Args:
        topology: The application.
        config: The flow.
        selection: Forks and databases.
    """
    result: dict[str, Handover] = {}
    for name in selection.databases:
        own = config.databases.get(name)
        result[name] = (own and own.handover) or topology.databases[name].handover
    return result


def plan_branches(context: Context, selection: Selection) -> tuple[list[BranchPlan], list[Problem]]:
    """Plans all branches.

    Args:
        context: Everything known.
        selection: Forks and databases.

    Returns:
        The branches and every problem.
    """
    problems: list[Problem] = []
    branches = [_plan_branch(context, selection, name, problems) for name in selection.databases]
    return branches, problems


def _plan_branch(context: Context, selection: Selection, name: str, problems: list[Problem]) -> BranchPlan:
    topology, owner = context.topology, context.owner
    database = topology.databases[name]
    own = context.config.databases.get(name)
    path = f"{context.key}.databases.{name}"
    handover = context.handovers[name]
    if handover == "sidecar" and not database.host:
        message = (
            'the hand-over "sidecar" needs the host name that the application uses (`host` in the baseline)'
        )
        problems.append(Problem(f"{path}.handover", message))
    elif handover == "sidecar" and (problem := alias_problem(database.host or "")):
        problems.append(Problem(f"topology.databases.{name}.host", problem))
    known = context.capabilities.get(name)
    if handover == "sidecar" and known is not None and known.sidecar_port is None:
        message = f'the branching backend {database.backend} has no hand-over "sidecar"; use "env"'
        problems.append(Problem(f"{path}.handover", message))
    options = database.overridden_by(own)
    problems += together_problems(options, database.database, database.role, path)
    return BranchPlan(
        name=name,
        branch_name=branch_name(topology.application, str(owner.flow), name),
        database=database,
        options=options,
        handover=handover,
        users=tuple(sorted(topology.users(name) & selection.forks.keys())),
        migrations=_plan_migrations(context, name, f"{path}.migrations", problems),
        annotations=BranchPlan.marks(owner, name),
    )


def _plan_migrations(context: Context, name: str, path: str, problems: list[Problem]) -> MigrationPlan | None:
    own = context.config.databases.get(name)
    if own and own.skip_migrations:
        return None
    theirs = own.migrations if own else None
    migrations = theirs or context.topology.databases[name].migrations
    if migrations is None:
        return None
    request = context.config.services.get(migrations.service)
    if request is None or request.image is None:
        if theirs is not None:
            # The baseline's are for whoever requests that service; the flow's own are meant to run.
            message = f'service "{migrations.service}" is requested without image, so there is none to run'
            if request is None:
                message = f'service "{migrations.service}" is not requested, so there is no image to run'
                message += did_you_mean(migrations.service, context.config.services)
            problems.append(Problem(f"{path}.service", message))
        return None
    return MigrationPlan(migrations.service, request.image, migrations.command, migrations.environment)
