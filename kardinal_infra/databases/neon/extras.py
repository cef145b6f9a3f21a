"""Further databases and roles on a branch, beside those that it got from its parent."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection
from functools import partial

from kardinal_infra.databases.neon.client import NeonClient
from kardinal_infra.databases.neon.errors import (
    NeonConflictError,
    NeonError,
    NeonNotFoundError,
    NeonUnknownOutcomeError,
)
from kardinal_infra.databases.neon.models import Branch, DatabaseChange, RoleChange
from kardinal_infra.databases.neon.spec import BranchSpec, Extras

TRIES = 3
"""Looks at what may or may not have been made."""

PAUSE = 1.0
"""Seconds between two looks."""


def ensure_extras(client: NeonClient, branch: Branch, spec: BranchSpec) -> Extras:
    """Makes what is missing of the further roles and databases, and returns them.

    Args:
        client: The Neon client.
        branch: The branch.
        spec: What is wanted.

    Raises:
        NeonError: Neon refuses one of them.
    """
    where = branch.project_id, branch.id
    if not (spec.roles or spec.databases):
        return Extras()
    for name in spec.roles or ():
        exists = partial(_has_role, client, branch, name)
        _make(client, exists, partial(client.roles.create, *where, name))
    for name, owner in (spec.databases or {}).items():
        exists = partial(_has_database, client, branch, name)
        _make(client, exists, partial(client.databases.create, *where, name, owner))
        if _owners(client, branch)[name] != owner:
            client.operations.wait(client.databases.update(*where, name, owner=owner).operations)
    return read_extras(client, branch, spec.databases or {}, spec.roles or ())


def drop_databases(client: NeonClient, branch: Branch, names: Collection[str]) -> None:
    """Removes further databases that are not wanted any more.

    Args:
        client: The Neon client.
        branch: The branch.
        names: Their names; one that is gone already is a success.
    """
    for name in sorted(names):
        with contextlib.suppress(NeonNotFoundError):
            changed = client.databases.delete(branch.project_id, branch.id, name)
            client.operations.wait(changed.operations if changed else ())


def drop_roles(client: NeonClient, branch: Branch, names: Collection[str]) -> None:
    """Removes further roles that are not wanted any more.

    Args:
        client: The Neon client.
        branch: The branch.
        names: Their names; one that is gone already is a success.

    Raises:
        NeonError: Neon refuses, for example because a role still owns something.
    """
    for name in sorted(names):
        with contextlib.suppress(NeonNotFoundError):
            changed = client.roles.delete(branch.project_id, branch.id, name)
            client.operations.wait(changed.operations if changed else ())


def read_extras(
    client: NeonClient, branch: Branch, databases: Collection[str], roles: Collection[str]
) -> Extras:
    """Reads those of the wanted databases and roles that there are.

    Args:
        client: The Neon client.
        branch: The branch.
        databases: Names.
        roles: Names.
    """
    present = _owners(client, branch) if databases else {}
    known = _roles(client, branch) if roles else set()
    return Extras(
        databases={name: present[name] for name in databases if name in present},
        passwords={
            name: client.roles.reveal_password(branch.project_id, branch.id, name)
            for name in roles
            if name in known
        },
    )


def _make(
    client: NeonClient, exists: Callable[[], bool], make: Callable[[], RoleChange | DatabaseChange]
) -> None:
    last: NeonError | None = None
    for _ in range(TRIES):
        if exists():
            return
        try:
            client.operations.wait(make().operations)
        except (NeonConflictError, NeonUnknownOutcomeError) as error:
            # An earlier run or this very call may have made it: look before anything else.
            last = error
            client.clock.sleep(PAUSE)
    if last is not None and not exists():
        raise last


def _has_role(client: NeonClient, branch: Branch, name: str) -> bool:
    return name in _roles(client, branch)


def _has_database(client: NeonClient, branch: Branch, name: str) -> bool:
    return name in _owners(client, branch)


def _roles(client: NeonClient, branch: Branch) -> set[str]:
    return {role.name for role in client.roles.list(branch.project_id, branch.id)}


def _owners(client: NeonClient, branch: Branch) -> dict[str, str]:
    return {item.name: item.owner_name for item in client.databases.list(branch.project_id, branch.id)}
