"""Finding the branch to branch from, and checking that it can be branched, before anything is created.

Fact: docs/facts/neon.md#limits-of-a-life-time.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from kardinal_infra.databases.neon.client import NeonClient
from kardinal_infra.databases.neon.errors import NeonPreconditionError
from kardinal_infra.databases.neon.models import Branch, Project
from kardinal_infra.databases.neon.removal import is_going
from kardinal_infra.databases.neon.spec import BranchSpec
from kardinal_infra.databases.ttl import timestamp
from kardinal_infra.errors import BranchingError
from kardinal_infra.model.branch_rules import parse_moment


def resolve_parent(
    client: NeonClient, project_id: str, id_or_name: str | None, *, only_schema: bool = False
) -> Branch:
    """Finds the parent.

    Args:
        client: Where to look.
        project_id: The project.
        id_or_name: Branch id or exact name; None stands for the project's default branch, which is looked up
            and from then on meant by its id.
        only_schema: The branch is to hold no data: Neon makes it a root and no child, so an expiring branch
            will do.

    Raises:
        BranchingError: There is no such branch, several have the name, or it expires (Neon refuses children
            of an expiring branch).
    """
    branches = [item.branch for item in client.branches.list(project_id) if not is_going(item.branch)]
    if id_or_name is None:
        matches = [branch for branch in branches if branch.default]
        wanted = "default branch"
    else:
        matches = [branch for branch in branches if id_or_name in (branch.id, branch.name)]
        wanted = f"branch with the id or name {id_or_name!r}"
    if not matches:
        known = ", ".join(sorted(branch.name for branch in branches)[:10]) or "none"
        raise BranchingError(f"parent: project {project_id} has no {wanted}; its branches: {known}")
    if len(matches) > 1:
        ids = ", ".join(sorted(branch.id for branch in matches))
        raise BranchingError(f"parent: project {project_id} has several: {wanted}: name one of the ids {ids}")
    parent = matches[0]
    if parent.expires_at is not None and not only_schema:
        raise BranchingError(
            f"parent: branch {parent.name!r} ({parent.id}) expires at {timestamp(parent.expires_at)}, and"
            " Neon makes no branch from an expiring one: remove its TTL or branch from another"
        )
    return parent


def require_database(client: NeonClient, parent: Branch, spec: BranchSpec) -> None:
    """Checks that the parent has what the branch is expected to inherit, and not what it is to get besides.

    Args:
        client: Where to look.
        parent: The branch to branch from.
        spec: What is wanted.

    Raises:
        BranchingError: Something is missing, with a list of what exists; or a further database or role is
            one that the branch inherits anyway.
    """
    databases = {item.name for item in client.databases.list(parent.project_id, parent.id)}
    roles = {item.name for item in client.roles.list(parent.project_id, parent.id)}
    needed = [("database", spec.database, databases), ("role", spec.role, roles)]
    needed += [("database", name, databases) for name in {rule.database_name for rule in spec.rules}]
    needed += [("owner", name, roles | {*(spec.roles or ())}) for name in (spec.databases or {}).values()]
    problems = {
        f"{kind} {name!r} does not exist there (it has {', '.join(sorted(known)) or 'none'})"
        for kind, name, known in needed
        if name not in known
    }
    problems |= {
        f"the further {kind} {name!r} exists there already, so the branch has it: leave it out"
        for kind, names, known in (
            ("database", spec.databases or (), databases),
            ("role", spec.roles or (), roles),
        )
        for name in names or ()
        if name in known
    }
    if problems:
        raise BranchingError(f"parent branch {parent.name!r} ({parent.id}): {'; '.join(sorted(problems))}")


def require_moment(project: Project, spec: BranchSpec, now: datetime) -> None:
    """Checks that a point in time lies within the history that the project keeps.

    Args:
        project: The project.
        spec: What is wanted.
        now: Time of day, with a zone.

    Raises:
        BranchingError: It does not; says from when on there is history.
    """
    if spec.parent_timestamp is None or project.history_retention_seconds is None:
        return
    kept = timedelta(seconds=project.history_retention_seconds)
    if not kept:
        raise BranchingError(
            f"parent_timestamp: project {project.id} keeps no history to find {spec.parent_timestamp} in:"
            " leave it out, or lengthen the history in the project's settings"
        )
    if parse_moment(spec.parent_timestamp) < now - kept:
        raise BranchingError(
            f"parent_timestamp: {spec.parent_timestamp} is before {timestamp(now - kept)}, from when on"
            f" project {project.id} keeps its history ({kept}): choose a later time, or lengthen the history"
            " in the project's settings"
        )


def require_passwords(project: Project) -> None:
    """Checks, before anything is created, that connection URIs can be read.

    Args:
        project: The project.

    Raises:
        NeonPreconditionError: The project does not store passwords.
    """
    if not project.store_passwords:
        raise NeonPreconditionError(
            f"project {project.name!r} ({project.id}) does not store passwords, so no connection URI can be"
            " read: allow it to (store_passwords) in the project's settings",
            status=412,
        )
