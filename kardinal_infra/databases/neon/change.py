"""Reading a branch and bringing an existing one to what is wanted."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import SecretStr

from kardinal_infra.databases.neon.client import NeonClient
from kardinal_infra.databases.neon.compute import ensure_endpoint, read_write_endpoint
from kardinal_infra.databases.neon.models import Branch
from kardinal_infra.databases.neon.removal import is_going, require_project
from kardinal_infra.databases.neon.spec import BranchSpec, BranchView
from kardinal_infra.databases.neon.ttl import expiry
from kardinal_infra.databases.neon.uris import connection
from kardinal_infra.errors import NeonNotFoundError


def read_branch(
    client: NeonClient, project_id: str, branch_id: str, *, database: str | None, role: str | None
) -> BranchView | None:
    """Reads a branch with its compute and URIs; None when it is gone.

    Args:
        client: The Neon client.
        project_id: The project.
        branch_id: The branch.
        database: Database of the URIs.
        role: Role of the URIs.

    Raises:
        BranchingError: The project is not visible, so nothing can be said about the branch.
        NeonError: A call failed.
    """
    try:
        branch = client.branches.get(project_id, branch_id).branch
    except NeonNotFoundError:
        require_project(client, project_id)
        return None
    if is_going(branch):
        return None
    endpoint = read_write_endpoint(client, project_id, branch_id)
    if endpoint is None or not database or not role:
        return BranchView(branch, endpoint, None)
    try:
        reached = connection(client, endpoint, database=database, role=role)
    except NeonNotFoundError:
        # The database or the role was dropped: shown as missing URIs, which the next update reports.
        return BranchView(branch, endpoint, None)
    return BranchView(branch, endpoint, reached)


def update_branch(
    client: NeonClient, project_id: str, branch_id: str, spec: BranchSpec, *, rotate: bool
) -> BranchView:
    """Brings an existing branch to what is wanted, and starts its TTL anew.

    Args:
        client: The Neon client.
        project_id: The project.
        branch_id: The branch.
        spec: What is wanted; project, parent and annotations cannot change.
        rotate: Give the role a new password, unless the parent is protected (then it has one).

    Raises:
        NeonNotFoundError: The branch is gone.
        NeonConflictError: The new name is taken by another branch.
    """
    with client.writing(project_id):
        branch = client.branches.get(project_id, branch_id).branch
        changes = wanted_changes(branch, spec, client.clock.utc_now(), renew=True)
        branch = apply_changes(client, branch, changes)
        endpoint = ensure_endpoint(client, project_id, branch_id)
        parent_id = branch.parent_id
        password = None
        if rotate and not (parent_id and client.branches.get(project_id, parent_id).branch.protected):
            password = rotate_password(client, project_id, branch_id, spec.role)
    reached = connection(client, endpoint, database=spec.database, role=spec.role, password=password)
    return BranchView(branch, endpoint, reached)


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
