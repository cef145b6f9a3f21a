"""Deleting branches, listing them, and finding those that no state knows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from kardinal_infra.databases.owned import OwnedBranch
from kardinal_infra.databases.postgres.identifiers import identifier
from kardinal_infra.databases.postgres.locking import exclusively
from kardinal_infra.databases.postgres.marks import Marks
from kardinal_infra.databases.postgres.server import (
    all_marks,
    find,
    find_database,
    inspect_server,
    require_server,
)
from kardinal_infra.databases.postgres.session import Connection, run, session
from kardinal_infra.databases.postgres.settings import PostgresSettings
from kardinal_infra.errors import BranchingError, OwnershipError
from kardinal_infra.model.names import BRANCH_ANNOTATION_STACK


def drop(connection: Connection, name: str) -> None:
    """Drops a branch's database, with whoever is connected to it, and its role.

    Args:
        connection: The administrator's session.
        name: Name of both; the caller has seen that they are ours.
    """
    run(connection, "DROP DATABASE IF EXISTS {} WITH (FORCE)", name)
    # Last: its marks are what tells the database's owner.
    run(connection, "DROP ROLE IF EXISTS {}", name)


def remove_branch(
    settings: PostgresSettings,
    server_id: str,
    name: str,
    annotations: Mapping[str, str],
    *,
    children: bool = False,
) -> None:
    """Deletes a branch; one that is gone, or somebody else's by now, is a success.

    Args:
        settings: The administrator.
        server_id: Server that it was made on.
        name: Its database.
        annotations: Our marks.
        children: Delete the branches that the same stack made from it as well.

    Raises:
        BranchingError: It is protected.
        PostgresError: The server refused, or is another one.
    """
    with session(settings) as connection:
        require_server(inspect_server(connection), server_id)
        if children:
            for child, marks in all_marks(connection).items():
                if marks.parent == name and marks.carries(_stack(annotations)):
                    _remove(connection, child, _stack(annotations))
        _remove(connection, name, annotations)


def discard_branch(settings: PostgresSettings, branch: str, annotations: Mapping[str, str]) -> bool:
    """Deletes a branch, finished or not, if there is one of this name with all of these annotations.

    Args:
        settings: The administrator.
        branch: Name of the branch.
        annotations: Our marks; without the one that names the stack nothing is deleted.

    Returns:
        Whether there was one.

    Raises:
        BranchingError: It is protected, or the server refused.
    """
    if BRANCH_ANNOTATION_STACK not in annotations:
        return False
    with session(settings) as connection:
        return _remove(connection, identifier(branch), annotations, branch)


def list_owned(settings: PostgresSettings, project: str) -> list[OwnedBranch]:
    """Lists the branches of all stacks on a server, unfinished ones too.

    Args:
        settings: The administrator.
        project: The server as requests name it.
    """
    with session(settings) as connection:
        marks = all_marks(connection)
        return [
            _owned(connection, project, name, found, marks)
            for name, found in marks.items()
            if BRANCH_ANNOTATION_STACK in found.annotations
        ]


def remove_owned(
    settings: PostgresSettings, listed: OwnedBranch, still: Callable[[OwnedBranch], bool]
) -> bool:
    """Deletes a listed branch after one more look at it.

    Args:
        settings: The administrator.
        listed: As it was listed.
        still: Says whether the branch, as it is now, is to go.

    Returns:
        Whether it was deleted.

    Raises:
        OwnershipError: It has become somebody else's.
        BranchingError: It is protected, or the server refused.
    """
    name = listed.branch_id
    with session(settings) as connection:
        marks = all_marks(connection)
        if name not in marks:
            return False
        now = _owned(connection, listed.project, name, marks[name], marks)
        if dict(now.annotations) != dict(listed.annotations) or now.name != listed.name:
            raise OwnershipError(f"the branch {listed.name!r} has become somebody else's since it was listed")
        _refuse_protected(name, marks[name])
        if not still(now):
            return False
        return _remove(connection, name, listed.annotations, listed.name)


def _remove(
    connection: Connection, name: str, annotations: Mapping[str, str], branch: str | None = None
) -> bool:
    # A run that was killed may still be making it.
    with exclusively(connection, name):
        found = find(connection, name)
        if found.marks is None or not found.marks.carries(annotations):
            return False
        if branch is not None and found.marks.branch != branch:
            return False
        if found.database is not None and found.database.owner != name:
            raise OwnershipError(
                f'database "{name}" belongs to the role "{found.database.owner}" and not to that of the'
                f" branch {found.marks.branch!r}: look at it, and drop it by hand"
            )
        _refuse_protected(name, found.marks)
        drop(connection, name)
        return True


def _refuse_protected(name: str, marks: Marks) -> None:
    # An unfinished one was handed to nobody.
    if marks.protected and marks.ready:
        raise BranchingError(
            f'the branch {marks.branch!r} (database "{name}") is protected: set `protected` to false and'
            " update before it is deleted"
        )


def _owned(
    connection: Connection, project: str, name: str, found: Marks, everything: Mapping[str, Marks]
) -> OwnedBranch:
    database = find_database(connection, name)
    return OwnedBranch(
        branch_id=name,
        name=found.branch,
        project=project,
        annotations=dict(found.annotations),
        created_at=_moment(found.created_at),
        expires_at=_moment(found.expires_at),
        protected=found.protected and found.ready,
        children=tuple(other.branch for other in everything.values() if other.parent == name),
        size_bytes=database.size if database else None,
    )


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _stack(annotations: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in annotations.items() if key == BRANCH_ANNOTATION_STACK}
