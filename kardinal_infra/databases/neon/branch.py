"""`ensure_branch`: one ready branch of a given name, however often and however far an earlier run came.

Neon has no idempotency keys; a branch's name is unique in its project and its annotations say who made it. So
the rule is: look, create, and on a conflict or an unknown outcome look again. A branch that carries our
annotations is adopted and completed, one that does not is somebody else's, and nothing ever falls back to
the default branch.
"""

from __future__ import annotations

import contextlib

from kardinal_infra.databases.neon.change import apply_changes, rotate_password, wanted_changes
from kardinal_infra.databases.neon.client import NeonClient
from kardinal_infra.databases.neon.compute import ensure_endpoint
from kardinal_infra.databases.neon.models import (
    AnnotatedBranch,
    Branch,
    BranchCreated,
    BranchOptions,
    EndpointOptions,
    Operation,
)
from kardinal_infra.databases.neon.ownership import require_ours
from kardinal_infra.databases.neon.parent import require_database, resolve_parent
from kardinal_infra.databases.neon.removal import is_going, remove_branch
from kardinal_infra.databases.neon.spec import BranchSpec, BranchView
from kardinal_infra.databases.neon.ttl import expiry
from kardinal_infra.databases.neon.uris import connection
from kardinal_infra.errors import (
    BranchingError,
    NeonConflictError,
    NeonError,
    NeonUnknownOutcomeError,
)

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
    parent = resolve_parent(client, project.id, spec.parent)
    require_database(client, parent, spec.database, spec.role)
    with client.writing(project.id):
        branch, started, adopted = _create_or_adopt(client, spec, parent)
        try:
            # Somebody else's operations may run as well, and those of an interrupted run are not known.
            client.operations.wait(started)
            client.operations.wait_for_branch(project.id, branch.id)
            return _complete(client, spec, branch, parent, adopted=adopted)
        except Exception:
            # An adopted branch stays: should it be declared twice by mistake, its data are in use.
            if not adopted:
                with contextlib.suppress(BranchingError):
                    remove_branch(client, project.id, branch.id)
            raise


def _create_or_adopt(
    client: NeonClient, spec: BranchSpec, parent: Branch
) -> tuple[Branch, list[Operation], bool]:
    started_here = False
    last: NeonError | None = None
    for _ in range(TRIES):
        found = client.branches.named(parent.project_id, spec.name)
        if found and not is_going(found[0].branch):
            return _adoptable(found, spec, parent), [], not started_here
        try:
            if not found:
                created = _create(client, spec, parent)
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
        require_ours(candidate, spec.annotations, parent.id)
    return found[0].branch


def _create(client: NeonClient, spec: BranchSpec, parent: Branch) -> BranchCreated:
    # `protected` is set last, so that a failure on the way can still be cleaned up.
    options = BranchOptions(
        name=spec.name, parent_id=parent.id, expires_at=expiry(spec.ttl, client.clock.utc_now())
    )
    return client.branches.create(
        parent.project_id, options, endpoints=[EndpointOptions()], annotations=spec.annotations
    )


def _complete(
    client: NeonClient, spec: BranchSpec, branch: Branch, parent: Branch, *, adopted: bool
) -> BranchView:
    project_id = branch.project_id
    if branch.id == parent.id or branch.parent_id != parent.id:
        raise BranchingError(f"Neon answered with {branch.id}, which is no child of {parent.id}: not used")
    endpoint = ensure_endpoint(client, project_id, branch.id)
    password = None
    if spec.rotate_password and not parent.protected:
        # Adopted ones too: whether the run that died had come this far is not known.
        password = rotate_password(client, project_id, branch.id, spec.role)
    reached = connection(client, endpoint, database=spec.database, role=spec.role, password=password)
    present = client.branches.get(project_id, branch.id, just_made=True).branch
    if present.current_state in UNUSABLE:
        raise BranchingError(
            f"branch {spec.name!r} ({branch.id}) is still {present.current_state!r} although nothing runs on"
            " it any more: delete it and try again"
        )
    changes = wanted_changes(present, spec, client.clock.utc_now(), renew=adopted)
    return BranchView(apply_changes(client, present, changes), endpoint, reached, adopted)
