"""Branches that stacks of ours made: all of a project's, and the deletion of one after a second look."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from kardinal_infra.databases.neon.client import NeonClient
from kardinal_infra.databases.neon.errors import NeonNotFoundError
from kardinal_infra.databases.neon.models import AnnotatedBranch
from kardinal_infra.databases.neon.removal import is_going, remove_branch, require_project
from kardinal_infra.databases.neon.settings import NeonSettings
from kardinal_infra.databases.owned import OwnedBranch
from kardinal_infra.errors import OwnershipError
from kardinal_infra.model.names import BRANCH_ANNOTATION_STACK


def list_owned(settings: NeonSettings, project: str) -> list[OwnedBranch]:
    """Lists the branches of a project that name a stack as their maker, in Neon's order.

    Args:
        settings: Address and key.
        project: Project id or name.

    Raises:
        NeonError: There is no such project, or a call failed.
    """
    with NeonClient(settings) as client:
        present = [
            found
            for found in client.branches.list(client.projects.find(project).id)
            if not is_going(found.branch)
        ]
    return [_owned(found, present) for found in present if found.annotations.get(BRANCH_ANNOTATION_STACK)]


def remove_owned(settings: NeonSettings, branch: OwnedBranch, still: Callable[[OwnedBranch], bool]) -> bool:
    """Deletes a listed branch, read again by its id right before.

    Args:
        settings: Address and key.
        branch: As it was listed.
        still: Says of the branch as it is now whether it is to go.

    Returns:
        Whether it was deleted.

    Raises:
        OwnershipError: Its annotations are no longer the listed ones.
        BranchingError: It is protected, the default branch, or others were made from it.
        NeonError: A call failed.
    """
    with NeonClient(settings) as client, client.writing(branch.project):
        try:
            found = client.branches.get(branch.project, branch.branch_id)
        except NeonNotFoundError:
            require_project(client, branch.project)
            return False
        if is_going(found.branch):
            return False
        if found.annotations != dict(branch.annotations):
            raise OwnershipError(f"branch {branch.name!r} ({branch.branch_id}) has become somebody else's")
        children = client.branches.children(branch.project, branch.branch_id)
        if not still(_owned(found, [child for child in children if not is_going(child.branch)])):
            return False
        # Looks once more at what speaks against a deletion, and waits for its end.
        return remove_branch(client, branch.project, branch.branch_id)


def _owned(found: AnnotatedBranch, present: Sequence[AnnotatedBranch]) -> OwnedBranch:
    branch = found.branch
    return OwnedBranch(
        branch_id=branch.id,
        name=branch.name,
        project=branch.project_id,
        annotations=dict(found.annotations),
        created_at=branch.created_at,
        expires_at=branch.expires_at,
        protected=branch.protected,
        default=branch.default,
        children=tuple(other.branch.name for other in present if other.branch.parent_id == branch.id),
        size_bytes=branch.logical_size,
    )
