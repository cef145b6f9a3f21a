"""Deleting a branch: only what may go, waited for, and with a reason when it cannot.

Fact: docs/facts/neon.md#deletions.
"""

from __future__ import annotations

from collections.abc import Mapping

from kardinal_infra.databases.neon.client import NeonClient
from kardinal_infra.databases.neon.errors import NeonNotFoundError
from kardinal_infra.databases.neon.models import AnnotatedBranch, Branch
from kardinal_infra.databases.neon.ownership import owner
from kardinal_infra.databases.neon.settings import HOST_VARIABLE, KEY_VARIABLE
from kardinal_infra.errors import BranchingError
from kardinal_infra.model.names import BRANCH_ANNOTATION_STACK

DELETED_STATE = "storage_deleted"
"""State of a branch whose deletion runs; documented in examples only, not in the specification's list."""


def is_going(branch: Branch) -> bool:
    """Says whether a listed branch is already being deleted."""
    return DELETED_STATE in (branch.current_state, branch.pending_state)


def remove_branch(
    client: NeonClient,
    project_id: str,
    branch_id: str,
    *,
    cascade_stack: Mapping[str, str] | None = None,
) -> bool:
    """Deletes a branch and waits until it is gone.

    Args:
        client: The Neon client.
        project_id: The project.
        branch_id: The branch.
        cascade_stack: Our annotations, when branches made from this one shall go with it; only those of the
            same stack do.

    Returns:
        True when there was something to delete; a branch that is gone (by hand or by its TTL) is a success.

    Raises:
        BranchingError: It is the default branch or protected, or other branches were made from it (named in
            the message).
        NeonError: A call failed.
    """
    with client.writing(project_id):
        try:
            found = client.branches.get(project_id, branch_id)
        except NeonNotFoundError:
            require_project(client, project_id)
            return False
        branch = found.branch
        if branch.default:
            raise BranchingError(f"the default branch {_name(branch)} is never deleted")
        if branch.protected:
            raise BranchingError(
                f"branch {_name(branch)} is protected: set protected to false and run `pulumi up` first"
            )
        if not is_going(branch):
            children = client.branches.children(project_id, branch_id)
            _remove_children(client, branch, children, cascade_stack)
        try:
            changed = client.branches.delete(project_id, branch_id)
        except NeonNotFoundError:
            changed = None
        if changed:
            client.operations.wait(changed.operations)
        return True


def require_project(client: NeonClient, project_id: str) -> None:
    """Checks that "no such branch" does not come from looking in the wrong place.

    Args:
        client: The Neon client.
        project_id: The project in which a branch was not found.

    Raises:
        BranchingError: This key does not see the project at this address, so its branches may well exist.
    """
    try:
        client.projects.get(project_id)
    except NeonNotFoundError:
        raise BranchingError(
            f"project {project_id} is not visible at {client.host} with this key: check {KEY_VARIABLE} and"
            f" {HOST_VARIABLE}. If the project was deleted, `pulumi state delete` removes the branch from the"
            " stack"
        ) from None


def _remove_children(
    client: NeonClient,
    branch: Branch,
    children: list[AnnotatedBranch],
    cascade_stack: Mapping[str, str] | None,
) -> None:
    remaining = [child for child in children if not is_going(child.branch)]
    foreign = [child for child in remaining if not _same_stack(child, cascade_stack)]
    if foreign:
        named = ", ".join(f"{_name(child.branch)} of {owner(child)}" for child in foreign)
        raise BranchingError(
            f"branch {_name(branch)} cannot be deleted before the branches made from it: {named}"
        )
    for child in remaining:
        remove_branch(client, branch.project_id, child.branch.id, cascade_stack=cascade_stack)


def _same_stack(child: AnnotatedBranch, annotations: Mapping[str, str] | None) -> bool:
    stack = (annotations or {}).get(BRANCH_ANNOTATION_STACK)
    return stack is not None and child.annotations.get(BRANCH_ANNOTATION_STACK) == stack


def _name(branch: Branch) -> str:
    return f"{branch.name!r} ({branch.id})"
