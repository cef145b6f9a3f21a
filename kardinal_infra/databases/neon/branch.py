"""`ensure_branch`: one ready branch of a given name, however often and however far an earlier run came.

Neon has no idempotency keys; a branch's name is unique in its project and its annotations say who made it. So
the rule is: look, create, and on a conflict or an unknown outcome look again. A branch that carries our
annotations is adopted and completed, one that does not is somebody else's, and nothing ever falls back to
the default branch.

Fact: docs/facts/neon.md#a-name-is-the-only-key.
"""

from __future__ import annotations

import contextlib

from kardinal_infra.databases.neon.change import apply_changes, must_rotate, rotate_password, wanted_changes
from kardinal_infra.databases.neon.client import NeonClient
from kardinal_infra.databases.neon.compute import ensure_endpoint, resize
from kardinal_infra.databases.neon.content import (
    SCHEMA_ONLY,
    branch_options,
    content_marks,
    require_content,
)
from kardinal_infra.databases.neon.errors import (
    NeonConflictError,
    NeonError,
    NeonMaskingError,
    NeonUnknownOutcomeError,
)
from kardinal_infra.databases.neon.extras import ensure_extras
from kardinal_infra.databases.neon.limits import explain_limit, is_limit
from kardinal_infra.databases.neon.masking import mask, require_maskable
from kardinal_infra.databases.neon.models import AnnotatedBranch, Branch, BranchCreated, Operation, Project
from kardinal_infra.databases.neon.ownership import require_ours
from kardinal_infra.databases.neon.parent import (
    require_database,
    require_moment,
    require_passwords,
    resolve_parent,
)
from kardinal_infra.databases.neon.removal import is_going, remove_branch
from kardinal_infra.databases.neon.spec import BranchSpec, BranchView
from kardinal_infra.databases.neon.uris import connection
from kardinal_infra.databases.ttl import expiry
from kardinal_infra.errors import BranchingError

TRIES = 5
"""Rounds of look and create; each failed one ended in a conflict or an unknown outcome."""

PAUSE = 1.0
"""Seconds between two rounds: time for a list to catch up, or for a dying branch to free its name."""

UNUSABLE = frozenset({"init", "resetting"})
"""States in which Neon says that a branch cannot be queried."""


def ensure_branch(client: NeonClient, spec: BranchSpec) -> BranchView:
    """Creates a branch, or completes and adopts the one that an earlier run left.

    Args:
        client: The Neon client.
        spec: What is wanted.

    Raises:
        OwnershipError: The name is taken by somebody else's branch.
        BranchingError: Any other failure. A branch that this call created is deleted again as far as
            possible; should even that fail, the next call adopts it.
    """
    project = client.projects.find(spec.project)
    require_passwords(project)
    parent = resolve_parent(client, project.id, spec.parent, only_schema=spec.content == SCHEMA_ONLY)
    require_database(client, parent, spec)
    with client.writing(project.id):
        branch, started, adopted = _create_or_adopt(client, spec, project, parent)
    # Not among what is cleaned up after: a branch that is not ours must not be deleted either.
    _require_own(client, spec, branch, parent)
    try:
        with client.writing(project.id):
            # Somebody else's operations may run as well, and those of an interrupted run are not known.
            client.operations.wait(started)
            client.operations.wait_for_branch(project.id, branch.id)
            ensure_endpoint(client, project.id, branch.id, spec.size)
        if spec.content == "masked":
            # Takes long: the other branches of this process go on meanwhile.
            mask(client, branch, spec.rules, adopted=adopted)
        with client.writing(project.id):
            return _complete(client, spec, branch, parent, adopted=adopted)
    except Exception as error:
        # An adopted branch stays: should it be declared twice by mistake, its data are in use. Not so one
        # that could not be masked, which never let anybody in.
        if not adopted or isinstance(error, NeonMaskingError):
            with contextlib.suppress(BranchingError):
                remove_branch(client, project.id, branch.id)
        raise


def _create_or_adopt(
    client: NeonClient, spec: BranchSpec, project: Project, parent: Branch
) -> tuple[Branch, list[Operation], bool]:
    started_here = False
    last: NeonError | None = None
    for _ in range(TRIES):
        found = client.branches.named(parent.project_id, spec.name)
        if found and not is_going(found[0].branch):
            return _adoptable(found, spec, parent), [], not started_here
        try:
            if not found:
                created = _create(client, spec, project, parent)
                return created.branch, created.operations, False
        except NeonConflictError as error:
            last = error
        except NeonUnknownOutcomeError as error:
            started_here, last = True, error
        client.clock.sleep(PAUSE)
    if isinstance(last, NeonConflictError):
        raise NeonConflictError(
            f"{last.message}; yet the project lists no branch named {spec.name!r}. A deleted branch may still"
            " hold the name: recover or purge it, or choose another name",
            status=409,
            request_id=last.request_id,
        ) from None
    if last:
        raise last
    raise BranchingError(f"the Neon branch {spec.name!r} is being deleted and did not go away in time")


def _adoptable(found: list[AnnotatedBranch], spec: BranchSpec, parent: Branch) -> Branch:
    for candidate in found:
        require_ours(candidate, spec.annotations)
        require_content(candidate, spec, parent)
    return found[0].branch


def _create(client: NeonClient, spec: BranchSpec, project: Project, parent: Branch) -> BranchCreated:
    now = client.clock.utc_now()
    require_moment(project, spec, now)
    options = branch_options(spec, parent, expiry(spec.ttl, now, spec.expires_at))
    marks = {**spec.annotations, **content_marks(spec, parent.id)}
    try:
        if spec.content == "masked":
            require_maskable(client, parent, spec)
            return client.anonymized.create(
                project.id, options, rules=spec.rules, endpoints=[spec.size], annotations=marks
            )
        return client.branches.create(project.id, options, endpoints=[spec.size], annotations=marks)
    except NeonError as error:
        if is_limit(error):
            raise explain_limit(client, project.id, error) from None
        raise


def _require_own(client: NeonClient, spec: BranchSpec, branch: Branch, parent: Branch) -> None:
    """Makes sure that what Neon answered with is the branch that was asked for, before it is touched."""
    if branch.id == parent.id or (branch.parent_id != parent.id and spec.content != SCHEMA_ONLY):
        raise BranchingError(f"Neon answered with {branch.id}, which is no child of {parent.id}: not used")
    if spec.content == SCHEMA_ONLY:
        # A root has no parent to tell by, but nobody else's branch carries our marks.
        present = client.branches.get(branch.project_id, branch.id, just_made=True)
        require_ours(present, spec.annotations)
        require_content(present, spec, parent)


def _complete(
    client: NeonClient, spec: BranchSpec, branch: Branch, parent: Branch, *, adopted: bool
) -> BranchView:
    project_id = branch.project_id
    endpoint = resize(client, ensure_endpoint(client, project_id, branch.id, spec.size), spec.size)
    password = None
    if spec.rotate_password and must_rotate(spec, parent):
        # Adopted ones too: whether the run that died had come this far is not known.
        password = rotate_password(client, project_id, branch.id, spec.role)
    extras = ensure_extras(client, branch, spec)
    reached = connection(client, endpoint, database=spec.database, role=spec.role, password=password)
    present = client.branches.get(project_id, branch.id, just_made=True).branch
    if present.current_state in UNUSABLE:
        raise BranchingError(
            f"branch {spec.name!r} ({branch.id}) is still {present.current_state!r} although nothing runs on"
            " it any more: delete it and try again"
        )
    changes = wanted_changes(present, spec, client.clock.utc_now(), renew=adopted)
    return BranchView(apply_changes(client, present, changes), endpoint, reached, parent.id, extras, adopted)
