"""`ensure_branch`: one ready branch of a given name, however often and however far an earlier run came.

Neon has no idempotency keys; a branch's name is unique in its project and its annotations say who made it. So
the rule is: look, create, and on a conflict or an unknown outcome look again. A branch that carries our
annotations is adopted and completed, one that does not is somebody else's, and nothing ever falls back to
the default branch.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kardinal_infra.databases.neon.client import NeonClient
from kardinal_infra.databases.neon.models import (
    READ_WRITE,
    AnnotatedBranch,
    Branch,
    BranchOptions,
    Endpoint,
    EndpointOptions,
)
from kardinal_infra.databases.neon.ownership import require_ours
from kardinal_infra.databases.neon.parent import require_database, resolve_parent
from kardinal_infra.databases.neon.removal import is_going, remove_branch
from kardinal_infra.databases.neon.ttl import expiry, timestamp
from kardinal_infra.databases.neon.uris import Connection, connection, require_not_parent
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


@dataclass(frozen=True)
class BranchSpec:
    """The branch that is wanted.

    Attributes:
        project: Project id or name.
        name: Branch name, unique in the project.
        database: Database whose URI is wanted.
        role: Role whose URI is wanted.
        annotations: Ownership marks; a branch that carries all of them is ours.
        parent: Id or name of the branch to branch from; None is the project's default branch.
        ttl: Life time such as `24h`; None lives until it is deleted.
        protected: Whether Neon shall refuse its deletion.
        rotate_password: Give the role a password of its own. A branch inherits its parent's passwords (unless
            the parent is protected), and a fork must not hold a credential that opens production.
    """

    project: str
    name: str
    database: str
    role: str
    annotations: Mapping[str, str]
    parent: str | None = None
    ttl: str | None = None
    protected: bool = False
    rotate_password: bool = True


@dataclass(frozen=True)
class ReadyBranch:
    """A branch that can be connected to.

    Attributes:
        branch: Its present state.
        endpoint: Its read-write compute.
        connection: Host, password and URIs.
        adopted: It was there already, from an earlier run that did not come to its end.
    """

    branch: Branch
    endpoint: Endpoint
    connection: Connection
    adopted: bool


def ensure_branch(client: NeonClient, spec: BranchSpec) -> ReadyBranch:
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
        branch, adopted = _create_or_adopt(client, spec, parent)
        try:
            return _complete(client, spec, branch, parent, adopted=adopted)
        except Exception:
            # An adopted branch stays: should it be declared twice by mistake, its data are in use.
            if not adopted:
                with contextlib.suppress(BranchingError):
                    remove_branch(client, project.id, branch.id)
            raise


def _create_or_adopt(client: NeonClient, spec: BranchSpec, parent: Branch) -> tuple[Branch, bool]:
    started_here = False
    last: NeonError | None = None
    for _ in range(TRIES):
        found = client.branches.named(parent.project_id, spec.name)
        if found and not is_going(found[0].branch):
            return _adoptable(found, spec, parent), not started_here
        try:
            if not found:
                return _create(client, spec, parent), False
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


def _create(client: NeonClient, spec: BranchSpec, parent: Branch) -> Branch:
    # `protected` is set last, so that a failure on the way can still be cleaned up.
    options = BranchOptions(
        name=spec.name, parent_id=parent.id, expires_at=expiry(spec.ttl, client.clock.utc_now())
    )
    created = client.branches.create(
        parent.project_id, options, endpoints=[EndpointOptions()], annotations=spec.annotations
    )
    return created.branch


def _complete(
    client: NeonClient, spec: BranchSpec, branch: Branch, parent: Branch, *, adopted: bool
) -> ReadyBranch:
    project_id = branch.project_id
    if branch.id == parent.id or branch.parent_id != parent.id:
        raise BranchingError(f"Neon answered with {branch.id}, which is no child of {parent.id}: not used")
    client.operations.wait_for_branch(project_id, branch.id)
    endpoint = _ensure_endpoint(client, project_id, branch.id)
    password = None
    if spec.rotate_password and not parent.protected:
        # Adopted ones too: whether the run that died had come this far is not known.
        reset = client.roles.reset_password(project_id, branch.id, spec.role)
        client.operations.wait(reset.operations)
        password = reset.role.password
    reached = connection(client, endpoint, database=spec.database, role=spec.role, password=password)
    require_not_parent(client, parent, endpoint, reached, database=spec.database, role=spec.role)
    present = client.branches.get(project_id, branch.id, just_made=True).branch
    if present.current_state in UNUSABLE:
        raise BranchingError(
            f"branch {spec.name!r} ({branch.id}) is still {present.current_state!r} although nothing runs on it"
            " any more: delete it and try again"
        )
    changes = wanted_changes(present, spec, client.clock.utc_now(), renew=adopted)
    return ReadyBranch(
        branch=apply_changes(client, present, changes),
        endpoint=endpoint,
        connection=reached,
        adopted=adopted,
    )


def _ensure_endpoint(client: NeonClient, project_id: str, branch_id: str) -> Endpoint:
    endpoint = read_write_endpoint(client, project_id, branch_id)
    if endpoint is None:
        with contextlib.suppress(NeonConflictError, NeonUnknownOutcomeError):
            client.endpoints.create(project_id, branch_id, EndpointOptions())
        client.operations.wait_for_branch(project_id, branch_id)
        endpoint = read_write_endpoint(client, project_id, branch_id)
    if endpoint is None:
        raise BranchingError(f"branch {branch_id} has no read-write compute, so nobody can connect to it")
    return endpoint


def read_write_endpoint(client: NeonClient, project_id: str, branch_id: str) -> Endpoint | None:
    """Returns the compute of a branch that takes writes, or None. A branch has at most one.

    Args:
        client: Where to look.
        project_id: The project.
        branch_id: The branch.
    """
    for endpoint in client.endpoints.list(project_id, branch_id):
        if endpoint.type == READ_WRITE and endpoint.branch_id == branch_id:
            return endpoint
    return None


def wanted_changes(branch: Branch, spec: BranchSpec, now: datetime, *, renew: bool) -> dict[str, Any]:
    """Compares a branch with what is wanted and returns the PATCH that is missing.

    Args:
        branch: Present state.
        spec: What is wanted.
        now: Time of day.
        renew: Start the TTL anew although the branch has one.
    """
    changes: dict[str, Any] = {}
    if branch.name != spec.name:
        changes["name"] = spec.name
    if branch.protected != spec.protected:
        changes["protected"] = spec.protected
    if spec.ttl is None:
        if branch.expires_at is not None:
            changes["expires_at"] = None
    elif renew or branch.expires_at is None:
        changes["expires_at"] = expiry(spec.ttl, now)
    return changes


def apply_changes(client: NeonClient, branch: Branch, changes: Mapping[str, Any]) -> Branch:
    """Patches a branch and returns its state afterwards.

    Args:
        client: The Neon client.
        branch: State before.
        changes: What to change; nothing is sent when empty.

    Raises:
        NeonConflictError: The new name is taken by another branch.
    """
    if not changes:
        return branch
    with client.writing(branch.project_id):
        # An expiring branch cannot be protected and a protected one cannot expire: the removal goes first.
        for part in _ordered(changes):
            changed = client.branches.patch(branch.project_id, branch.id, part)
            client.operations.wait(changed.operations)
    return client.branches.get(branch.project_id, branch.id).branch


def _ordered(changes: Mapping[str, Any]) -> list[dict[str, Any]]:
    removals = {
        name: value
        for name, value in changes.items()
        if (name, value) in (("expires_at", None), ("protected", False))
    }
    rest = {name: value for name, value in changes.items() if name not in removals}
    return [part for part in (removals, rest) if part]


def expires_at(branch: Branch) -> str | None:
    """Returns a branch's expiry as text, or None."""
    return timestamp(branch.expires_at) if branch.expires_at else None
