"""Who made a branch: annotations are the only mark that Neon keeps, set at creation and never changed."""

from __future__ import annotations

from collections.abc import Mapping

from kardinal_infra.databases.neon.models import AnnotatedBranch
from kardinal_infra.errors import OwnershipError
from kardinal_infra.model.names import BRANCH_ANNOTATION_STACK


def is_ours(found: AnnotatedBranch, annotations: Mapping[str, str]) -> bool:
    """Says whether a branch carries all of these annotations.

    Args:
        found: A branch.
        annotations: Our marks. Without any nothing is ever ours: a name alone proves nothing.
    """
    marks = found.annotations
    return bool(annotations) and all(marks.get(name) == value for name, value in annotations.items())


def require_ours(found: AnnotatedBranch, annotations: Mapping[str, str]) -> None:
    """Checks that a branch with the wanted name is one that we made.

    Args:
        found: The branch.
        annotations: Our marks.

    Raises:
        OwnershipError: It is the default branch, or was made by somebody else.
    """
    branch = found.branch
    name = f"the Neon branch {branch.name!r} ({branch.id})"
    if branch.default:
        raise OwnershipError(f"{name} is the project's default branch: choose another name")
    if not is_ours(found, annotations):
        raise OwnershipError(
            f"{name} exists and belongs to {owner(found)}, not to {_text(annotations)}:"
            " choose another name, or delete that branch if nobody needs it"
        )


def owner(found: AnnotatedBranch) -> str:
    """Names the owner of a branch as far as its annotations tell."""
    stack = found.annotations.get(BRANCH_ANNOTATION_STACK)
    if stack and len(found.annotations) == 1:
        return f"stack {stack}"
    return _text(found.annotations) if found.annotations else "somebody who left no annotations"


def _text(annotations: Mapping[str, str]) -> str:
    return ", ".join(f"{name}={value}" for name, value in sorted(annotations.items())) or "any stack"
