"""Reading a branch and bringing an existing one to what is wanted."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from pydantic import SecretStr

from kardinal_infra.databases.neon.client import NeonClient
from kardinal_infra.databases.neon.compute import ensure_endpoint, read_write_endpoint, resize, size_of
from kardinal_infra.databases.neon.content import made_for_masking
from kardinal_infra.databases.neon.errors import NeonError, NeonNotFoundError
from kardinal_infra.databases.neon.extras import drop_databases, drop_roles, ensure_extras, read_extras
from kardinal_infra.databases.neon.masking import is_masked, mask
from kardinal_infra.databases.neon.models import Branch
from kardinal_infra.databases.neon.removal import is_going, require_project
from kardinal_infra.databases.neon.spec import BranchSpec, BranchView, Former
from kardinal_infra.databases.neon.uris import connection
from kardinal_infra.databases.ttl import expiry, timestamp
from kardinal_infra.errors import BranchingError


def read_branch(
    client: NeonClient,
    project_id: str,
    branch_id: str,
    *,
    database: str | None,
    role: str | None,
    databases: Collection[str] = (),
    roles: Collection[str] = (),
) -> BranchView | None:
    """Reads a branch with its compute and URIs; None when it is gone.

    Args:
        client: The Neon client.
        project_id: The project.
        branch_id: The branch.
        database: Database of the URIs.
        role: Role of the URIs.
        databases: Names of the further databases to look for.
        roles: Names of the further roles to look for.

    Raises:
        BranchingError: The project is not visible, so nothing can be said about the branch.
        NeonError: A call failed.
    """
    try:
        found = client.branches.get(project_id, branch_id)
    except NeonNotFoundError:
        require_project(client, project_id)
        return None
    branch = found.branch
    if is_going(branch):
        return None
    endpoint = read_write_endpoint(client, project_id, branch_id)
    extras = read_extras(client, branch, databases, roles)
    reached = None
    ready = not made_for_masking(found) or is_masked(client, branch)
    if endpoint is not None and database and role and ready:
        # The database or the role may have been dropped: missing URIs, which the next update reports.
        with contextlib.suppress(NeonNotFoundError):
            reached = connection(client, endpoint, database=database, role=role)
    return BranchView(branch, endpoint, reached, branch.parent_id, extras)


def update_branch(
    client: NeonClient,
    project_id: str,
    branch_id: str,
    spec: BranchSpec,
    *,
    rotate: bool,
    former: Former | None = None,
) -> BranchView:
    """Brings an existing branch to what is wanted, and starts its TTL anew.

    Args:
        client: The Neon client.
        project_id: The project.
        branch_id: The branch.
        spec: What is wanted; project, parent, content and annotations cannot change.
        rotate: Give the role a new password, unless the parent is protected (then it has one).
        former: What was wanted before; what is not any more is undone.

    Raises:
        BranchingError: A life time is wanted for a branch that others were made from.
        NeonNotFoundError: The branch is gone.
        NeonConflictError: The new name is taken by another branch.
    """
    with client.writing(project_id):
        branch = client.branches.get(project_id, branch_id).branch
        changes = wanted_changes(branch, spec, client.clock.utc_now(), renew=True)
        branch = apply_changes(client, branch, changes)
        former = former or Former()
        endpoint = resize(
            client,
            ensure_endpoint(client, project_id, branch_id, spec.size),
            spec.size,
            released=former.compute - size_of(spec.size).keys(),
        )
        drop_databases(client, branch, former.databases - (spec.databases or {}).keys())
        extras = ensure_extras(client, branch, spec)
        # Last, when nothing is owned by them any more.
        drop_roles(client, branch, former.roles - {*(spec.roles or ())})
        parent_id = branch.parent_id
        parent = client.branches.get(project_id, parent_id).branch if rotate and parent_id else None
        password = None
        if rotate and must_rotate(spec, parent):
            password = rotate_password(client, project_id, branch_id, spec.role)
    if spec.content == "masked":
        # Somebody may have begun it anew, and whoever reads in the meantime gets no URI.
        mask(client, branch, spec.rules, adopted=False)
    reached = connection(client, endpoint, database=spec.database, role=spec.role, password=password)
    return BranchView(branch, endpoint, reached, parent_id, extras)


def must_rotate(spec: BranchSpec, parent: Branch | None) -> bool:
    """Says whether a role's password opens the parent as well.

    Neon generates new ones on children of a protected branch; of roots and masked branches it says nothing.

    Args:
        spec: What is wanted.
        parent: The parent; None for a root.
    """
    return spec.content != "data" or parent is None or not parent.protected


def rotate_password(client: NeonClient, project_id: str, branch_id: str, role: str) -> SecretStr | None:
    """Gives a role a new password on one branch and waits until it is valid.

    Args:
        client: The Neon client.
        project_id: The project.
        branch_id: The branch.
        role: The role.

    Returns:
        The new password, None if the answer does not tell it.
    """
    reset = client.roles.reset_password(project_id, branch_id, role)
    client.operations.wait(reset.operations)
    return reset.role.password


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
    if branch.protected != bool(spec.protected):
        changes["protected"] = bool(spec.protected)
    present = None if branch.expires_at is None else timestamp(branch.expires_at)
    wanted = expiry(spec.ttl, now, spec.expires_at)
    if wanted != present and (spec.ttl is None or renew or present is None):
        changes["expires_at"] = wanted
    return changes


def apply_changes(client: NeonClient, branch: Branch, changes: Mapping[str, Any]) -> Branch:
    """Patches a branch and returns its state afterwards.

    Args:
        client: The Neon client.
        branch: State before.
        changes: What to change; nothing is sent when empty.

    Raises:
        NeonConflictError: The new name is taken by another branch.
        BranchingError: It cannot get a life time because others were made from it; names those.
    """
    if not changes:
        return branch
    with client.writing(branch.project_id):
        # An expiring branch cannot be protected and a protected one cannot expire: the removal goes first.
        for part in _ordered(changes):
            try:
                changed = client.branches.patch(branch.project_id, branch.id, part)
            except NeonError as error:
                if part.get("expires_at") is not None:
                    _explain_children(client, branch, error)
                raise
            client.operations.wait(changed.operations)
    return client.branches.get(branch.project_id, branch.id).branch


def _explain_children(client: NeonClient, branch: Branch, error: NeonError) -> None:
    children = [found.branch for found in client.branches.children(branch.project_id, branch.id)]
    named = ", ".join(f"{child.name!r} ({child.id})" for child in children if not is_going(child))
    if named:
        raise BranchingError(
            f"branch {branch.name!r} ({branch.id}) cannot expire, because others were made from it: {named}."
            f" Leave out ttl and expires_at, or delete those first ({error.message})"
        ) from None


def _ordered(changes: Mapping[str, Any]) -> list[dict[str, Any]]:
    removals = {
        name: value
        for name, value in changes.items()
        if (name, value) in (("expires_at", None), ("protected", False))
    }
    rest = {name: value for name, value in changes.items() if name not in removals}
    return [part for part in (removals, rest) if part]
