"""What to do when a project is full."""

from __future__ import annotations

from http import HTTPStatus

from kardinal_infra.databases.neon.client import NeonClient
from kardinal_infra.databases.neon.errors import NeonError, NeonLimitExceededError
from kardinal_infra.databases.neon.removal import is_going
from kardinal_infra.model.names import BRANCH_ANNOTATION_STACK

NAMED = 10
"""Branches named in a message."""


def is_limit(error: NeonError) -> bool:
    """Says whether a failure is a limit of the project; Neon's code for it may be empty.

    Args:
        error: The failure.
    """
    text = error.message.lower()
    return isinstance(error, NeonLimitExceededError) or (
        error.status == HTTPStatus.UNPROCESSABLE_ENTITY and "limit" in text and "exceed" in text
    )


def explain_limit(client: NeonClient, project_id: str, error: NeonError) -> NeonError:
    """Adds to the refusal of a further branch which branches could make room.

    Args:
        client: Where to look.
        project_id: The project.
        error: The refusal.

    Returns:
        The same failure with a way out.
    """
    ours = sorted(
        f"{found.branch.name!r} of stack {found.annotations[BRANCH_ANNOTATION_STACK]}"
        for found in client.branches.list(project_id)
        if BRANCH_ANNOTATION_STACK in found.annotations and not is_going(found.branch)
    )
    if ours:
        more = f" and {len(ours) - NAMED} more" if len(ours) > NAMED else ""
        way_out = (
            f"`kardinal reap` deletes those of our branches whose stack is gone or whose time is over, and"
            f" `pulumi destroy` those of a stack; there are {', '.join(ours[:NAMED])}{more}"
        )
    else:
        way_out = "none of its branches was made by a Kardinal stack: delete some, or raise the plan's limit"
    roots = "; schema-only branches count as root branches" if error.code.startswith("ROOT_") else ""
    return NeonLimitExceededError(
        f"{error.message} (project {project_id}{roots}): {way_out}",
        method=error.method,
        path=error.path,
        status=error.status,
        code=error.code,
        request_id=error.request_id,
    )
