"""What a branch was filled with, so that a run that was killed is completed and never mixed up.

A branch is adopted by its name. A name does not say whether the branch left there holds the parent's data of
now, of yesterday, masked or not at all, so whatever is not simply "the parent's data of now" is written into
an annotation in the same call that creates the branch.
"""

from __future__ import annotations

import hashlib
import json
from typing import Literal

from kardinal_infra.databases.neon.models import AnnotatedBranch, Branch, BranchOptions, body
from kardinal_infra.databases.neon.spec import BranchSpec
from kardinal_infra.databases.ttl import utc_text
from kardinal_infra.errors import OwnershipError

CONTENT_ANNOTATION = "kardinal-content"
"""Annotation of branches that hold anything but their parent's data of the moment."""

SCHEMA_ONLY = "schema-only"


def content_marks(spec: BranchSpec, parent_id: str) -> dict[str, str]:
    """Returns the annotation that a branch of this content carries; none for the parent's present data.

    Args:
        spec: What is wanted.
        parent_id: The branch it is made from.
    """
    parts = [] if spec.content == "data" else [f"init={spec.content}"]
    if spec.parent_timestamp is not None:
        parts.append(f"at={utc_text(spec.parent_timestamp)}")
    if spec.parent_lsn is not None:
        parts.append(f"at={spec.parent_lsn.upper()}")
    if spec.content == "masked":
        rules = sorted(json.dumps(body(rule), sort_keys=True) for rule in spec.rules)
        parts.append(f"rules={hashlib.sha256(json.dumps(rules).encode()).hexdigest()[:16]}")
    return {CONTENT_ANNOTATION: " ".join([*parts, f"parent={parent_id}"])} if parts else {}


def made_for_masking(found: AnnotatedBranch) -> bool:
    """Says whether a branch is one of ours that is to be masked before anybody connects.

    Args:
        found: The branch.
    """
    return "init=masked" in found.annotations.get(CONTENT_ANNOTATION, "").split()


def require_content(found: AnnotatedBranch, spec: BranchSpec, parent: Branch) -> None:
    """Checks that a branch of ours was made from this parent and holds what is wanted.

    Args:
        found: The branch.
        spec: What is wanted.
        parent: The parent that was asked for.

    Raises:
        OwnershipError: It is the parent itself, or was made from another, or with another content.
    """
    branch = found.branch
    name = f"the Neon branch {branch.name!r} ({branch.id})"
    if branch.id == parent.id:
        raise OwnershipError(f"{name} is the parent itself: choose another name")
    # Neon's schema-only branches are roots: that this one came from the parent is known by its mark alone,
    # which only the call that created it can have set.
    rooted = spec.content == SCHEMA_ONLY and branch.parent_id is None
    if branch.parent_id != parent.id and not rooted:
        raise OwnershipError(
            f"{name} is ours but was made from {branch.parent_id or 'no parent'} instead of {parent.id}:"
            " delete it, or ask for that parent"
        )
    wanted = content_marks(spec, parent.id).get(CONTENT_ANNOTATION)
    held = found.annotations.get(CONTENT_ANNOTATION)
    if held != wanted:
        present = "the data of its parent"
        raise OwnershipError(
            f"{name} is ours but was made with {held or present} instead of {wanted or present}: delete it,"
            " or ask for what it holds"
        )


def branch_options(spec: BranchSpec, parent: Branch, expires_at: str | None) -> BranchOptions:
    """Returns the body of the request that creates a branch.

    `protected` is left out: it is set last, so that a failure on the way can still be cleaned up.

    Args:
        spec: What is wanted.
        parent: The branch to make it from.
        expires_at: When it ends.
    """
    moment = spec.parent_timestamp
    source: Literal["schema-only"] | None = "schema-only" if spec.content == SCHEMA_ONLY else None
    return BranchOptions(
        name=spec.name,
        parent_id=parent.id,
        parent_lsn=spec.parent_lsn,
        parent_timestamp=None if moment is None else utc_text(moment),
        init_source=source,
        expires_at=expires_at,
    )
