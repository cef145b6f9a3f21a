"""`ensure_branch`: one ready branch of a given name, however often and however far an earlier run came.

The order of the steps makes every rest of an interrupted run ours to see: the role comes first, together
with its marks; the database belongs to that role from its first moment and takes no connections until nobody
else may connect; the marks say `ready` and the role gets its password at the very end. What is not ready was
never handed out and is made anew. Runs for the same branch wait for each other by a lock of the server, which
a killed run keeps for as long as the server still works for it.
"""

from __future__ import annotations

import contextlib
from datetime import datetime

from kardinal_infra.databases.postgres.access import create_role, finish, open_database, require_separation
from kardinal_infra.databases.postgres.copying import copy, restore
from kardinal_infra.databases.postgres.identifiers import identifier
from kardinal_infra.databases.postgres.locking import exclusively
from kardinal_infra.databases.postgres.marks import Marks
from kardinal_infra.databases.postgres.removal import drop
from kardinal_infra.databases.postgres.server import (
    Database,
    Server,
    find,
    find_database,
    has_role,
    inspect_server,
    require_server,
)
from kardinal_infra.databases.postgres.session import Connection, session
from kardinal_infra.databases.postgres.settings import PostgresSettings
from kardinal_infra.databases.postgres.spec import BranchSpec, BranchView
from kardinal_infra.databases.postgres.transfer import copy_settings, transfer_ownership
from kardinal_infra.databases.ttl import timestamp
from kardinal_infra.errors import BranchingError, OwnershipError


def ensure_branch(settings: PostgresSettings, spec: BranchSpec, now: datetime) -> BranchView:
    """Creates a branch, or adopts the one that an earlier run left.

    Args:
        settings: The administrator.
        spec: What is wanted.
        now: Time of day, with a zone.

    Raises:
        OwnershipError: The name is taken by something that is not ours.
        BranchingError: Any other failure. What this call made is removed again as far as possible; should
            even that fail, the next call finds it.
    """
    name = identifier(spec.name)
    with session(settings) as connection:
        server = inspect_server(connection)
        with exclusively(connection, name):
            parent = _parent(connection, settings, spec)
            require_separation(connection, server, parent)
            marks = Marks(
                branch=spec.name,
                parent=parent.name,
                annotations=spec.annotations,
                init=spec.init,
                expires_at=spec.expires_at,
                protected=spec.protected,
                created_at=timestamp(now),
            )
            present = _usable(connection, name, marks, now)
            if present is not None:
                renewed = marks.with_(ready=True, created_at=present.created_at, copied_by=present.copied_by)
                password = finish(connection, name, renewed, rotate=True)
                return BranchView(server.id, name, renewed, password, adopted=True)
            try:
                return _make(connection, settings, server, spec, parent, name, marks)
            except Exception:
                with contextlib.suppress(Exception):
                    drop(connection, name)
                raise


def update_branch(
    settings: PostgresSettings,
    server_id: str,
    name: str,
    spec: BranchSpec,
    *,
    before: BranchSpec,
    rotate: bool,
) -> BranchView:
    """Brings marks and end of an existing branch to what is wanted.

    Args:
        settings: The administrator.
        server_id: Server that it was made on.
        name: Its database.
        spec: What is wanted.
        before: What the state says.
        rotate: Give its role a new password.

    Raises:
        BranchingError: It is gone, or not ours any more.
    """
    with session(settings) as connection:
        require_server(inspect_server(connection), server_id)
        with exclusively(connection, name):
            found = find(connection, name)
            if found.marks is None or found.database is None or not found.marks.carries(before.annotations):
                raise BranchingError(
                    f'the branch {before.name!r} (database "{name}") is gone; if it was deleted by hand,'
                    " `pulumi refresh` forgets it and the next `pulumi up` makes a new one"
                )
            marks = found.marks.with_(
                annotations=spec.annotations, expires_at=spec.expires_at, protected=spec.protected
            )
            return BranchView(server_id, name, marks, finish(connection, name, marks, rotate=rotate))


def read_branch(settings: PostgresSettings, server_id: str, name: str, spec: BranchSpec) -> BranchView | None:
    """Reads a branch; None when it is gone, or somebody else's by now.

    Args:
        settings: The administrator.
        server_id: Server that it was made on.
        name: Its database.
        spec: What the state says of it.

    Raises:
        PostgresError: The server cannot be asked, or is another one.
    """
    with session(settings) as connection:
        require_server(inspect_server(connection), server_id)
        found = find(connection, name)
    if found.marks is None or found.database is None or found.database.invalid:
        return None
    if not found.marks.ready or not found.marks.carries(spec.annotations):
        return None
    return BranchView(server_id, name, found.marks)


def _parent(connection: Connection, settings: PostgresSettings, spec: BranchSpec) -> Database:
    """The database to copy: `parent` is a database, or the name of a branch."""
    wanted = spec.parent or spec.database
    parent = find_database(connection, wanted)
    if parent is None and spec.parent is not None:
        found = find(connection, identifier(spec.parent))
        if found.marks is not None and found.marks.branch == spec.parent and found.marks.ready:
            parent = found.database
    if parent is None:
        what = "parent" if spec.parent else "database"
        raise BranchingError(
            f'{what} "{wanted}" is neither a database nor a branch of the server that the administrator\'s'
            " URI leads to"
        )
    if parent.name == settings.database:
        raise BranchingError(
            f'the administrator\'s URI connects to "{parent.name}", which is to be copied: let it name'
            " another database, such as postgres"
        )
    if parent.name == identifier(spec.name):
        raise OwnershipError(
            f'the branch {spec.name!r} has the name of its parent "{parent.name}": choose another'
        )
    if not has_role(connection, spec.role):
        raise BranchingError(f'role "{spec.role}" does not exist on the server: name the role of the parent')
    return parent


def _usable(connection: Connection, name: str, wanted: Marks, now: datetime) -> Marks | None:
    """The marks of a finished branch of ours; removes what is of ours but not to be used."""
    found = find(connection, name)
    if not found.role and found.database is None:
        return None
    what = f'the database or role "{name}" of branch {wanted.branch!r}'
    if found.marks is None or (found.database is not None and found.database.owner != name):
        raise OwnershipError(f"{what} exists and was not made as a branch: choose another name")
    marks = found.marks
    if marks.branch != wanted.branch:
        raise OwnershipError(f"{what} belongs to the branch {marks.branch!r}: choose another name")
    if not marks.carries(wanted.annotations):
        owner = ", ".join(f"{key}={value}" for key, value in sorted(marks.annotations.items())) or "nobody"
        raise OwnershipError(
            f"{what} exists and belongs to {owner}: choose another name, or delete that branch if"
            " nobody needs it"
        )
    if found.database is None or found.database.invalid or not marks.ready or marks.expired(now):
        drop(connection, name)
        return None
    if (marks.parent, marks.init) != (wanted.parent, wanted.init):
        raise OwnershipError(
            f"{what} is ours but was made from {marks.parent} ({marks.init}) instead of {wanted.parent}"
            f" ({wanted.init}): delete it, or ask for that"
        )
    return marks


def _make(
    connection: Connection,
    settings: PostgresSettings,
    server: Server,
    spec: BranchSpec,
    parent: Database,
    name: str,
    marks: Marks,
) -> BranchView:
    create_role(connection, server, name, marks)
    way = copy(connection, server, parent, name, spec.source, spec.init)
    open_database(connection, server, name)
    if way == "dump":
        restore(settings, server, parent, name, spec.init)
    with session(settings, name) as inside:
        transfer_ownership(inside, name)
        # A branch is used with its own role, which is named like its database.
        model = parent.name if parent.owner == parent.name and find(inside, parent.name).marks else spec.role
        copy_settings(inside, parent.name, model, name)
    done = marks.with_(ready=True, copied_by=way)
    return BranchView(server.id, name, done, finish(connection, name, done, rotate=True))
