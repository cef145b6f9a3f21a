"""Finding the branch to branch from, and checking that it can be branched, before anything is created."""

from __future__ import annotations

from kardinal_infra.databases.neon.client import NeonClient
from kardinal_infra.databases.neon.models import Branch
from kardinal_infra.databases.neon.ttl import timestamp
from kardinal_infra.errors import BranchingError


def resolve_parent(client: NeonClient, project_id: str, id_or_name: str | None) -> Branch:
    """Finds the parent.

    Args:
        client: Where to look.
        project_id: The project.
        id_or_name: Branch id or exact name; None stands for the project's default branch, which is looked up
            and from then on meant by its id.

    Raises:
        BranchingError: There is no such branch, several have the name, or it expires (Neon refuses children
            of an expiring branch).
    """
    branches = [found.branch for found in client.branches.list(project_id)]
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
    if parent.expires_at is not None:
        raise BranchingError(
            f"parent: branch {parent.name!r} ({parent.id}) expires at {timestamp(parent.expires_at)}, and"
            " Neon makes no branch from an expiring one: remove its TTL or branch from another"
        )
    return parent


def require_database(client: NeonClient, parent: Branch, database: str, role: str) -> None:
    """Checks that the parent has what the branch is expected to inherit.

    Args:
        client: Where to look.
        parent: The branch to branch from.
        database: Database name.
        role: Role name.

    Raises:
        BranchingError: One of them is missing; the message lists those that exist.
    """
    databases = [item.name for item in client.databases.list(parent.project_id, parent.id)]
    roles = [item.name for item in client.roles.list(parent.project_id, parent.id)]
    problems = [
        f"{kind} {name!r} does not exist there (it has {', '.join(sorted(known)) or 'none'})"
        for kind, name, known in (("database", database, databases), ("role", role, roles))
        if name not in known
    ]
    if problems:
        raise BranchingError(f"parent branch {parent.name!r} ({parent.id}): {'; '.join(problems)}")
