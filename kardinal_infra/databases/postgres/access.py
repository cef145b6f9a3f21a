"""The branch's own role: the only one that can log in to the branch, and it can log in nowhere else.

By default every role may connect to every database of a PostgreSQL server, because PUBLIC may. What keeps
the role out of the others changes nothing on them: its own setting `session_preload_libraries` names a
library that does not exist, which PostgreSQL documents to fail every connection, and a setting for the branch
alone takes that back there. Only superusers, and who was granted it, can change this parameter, so neither
the role nor the options of a connection can. Where the administrator may not set it, the parent must not
grant CONNECT to PUBLIC.

Fact: docs/facts/postgres.md#a-role-that-can-log-in-nowhere-else.
"""

from __future__ import annotations

import secrets
from typing import Final

from pydantic import SecretStr

from kardinal_infra.databases.postgres.marks import Marks
from kardinal_infra.databases.postgres.server import Database, Server
from kardinal_infra.databases.postgres.session import Connection, one, run
from kardinal_infra.errors import BranchingError

LOCK = "kardinal: this role may connect to its own branch only"
"""Shown to whoever tries the role elsewhere: `could not access file "<this>"`."""

LOCK_PARAMETER: Final = "session_preload_libraries"
PASSWORD_BYTES = 24


def require_separation(connection: Connection, server: Server, parent: Database) -> None:
    """Checks, before anything is made, that the role can be kept out of the parent.

    Args:
        connection: The administrator's session.
        server: The server.
        parent: The database to copy.

    Raises:
        BranchingError: It cannot; names both ways out.
    """
    if server.locks_roles:
        return
    row = one(connection, "SELECT has_database_privilege('public', %s, 'CONNECT')", parent.name)
    if row and row[0]:
        raise BranchingError(
            f'the role of the branch could connect to "{parent.name}" as well, because that grants CONNECT to'
            " PUBLIC. Either let the administrator lock the role in: a superuser can, and from PostgreSQL 15"
            f" on others after GRANT SET ON PARAMETER {LOCK_PARAMETER} and pg_read_all_settings to them."
            f' Or GRANT CONNECT ON DATABASE "{parent.name}" to those who use it, and then REVOKE CONNECT ON'
            f' DATABASE "{parent.name}" FROM PUBLIC'
        )


def create_role(connection: Connection, server: Server, name: str, marks: Marks) -> None:
    """Makes the role with its marks, at once or not at all; it has no password yet.

    Args:
        connection: The administrator's session.
        server: The server.
        name: Name of the role.
        marks: What its comment says.
    """
    with connection.transaction():
        run(connection, "CREATE ROLE {} LOGIN", name)
        run(connection, "COMMENT ON ROLE {} IS {text}", name, text=marks.text())
        if server.locks_roles:
            run(connection, f"ALTER ROLE {{}} SET {LOCK_PARAMETER} = {{lock}}", name, lock=LOCK)
        if not server.superuser:
            # To make databases that it owns and to end its sessions.
            run(connection, "GRANT {} TO CURRENT_USER", name)


def open_database(connection: Connection, server: Server, name: str) -> None:
    """Opens a branch's database to its own role and to nobody else.

    Args:
        connection: The administrator's session.
        server: The server.
        name: Name of database and role.
    """
    run(connection, "REVOKE ALL ON DATABASE {} FROM PUBLIC", name)
    if server.locks_roles:
        run(connection, f"ALTER ROLE {{}} IN DATABASE {{}} SET {LOCK_PARAMETER} FROM CURRENT", name, name)
    run(connection, "ALTER DATABASE {} ALLOW_CONNECTIONS true", name)


def finish(connection: Connection, name: str, marks: Marks, *, rotate: bool) -> SecretStr | None:
    """Writes what is true from now on: marks, end of the password's validity and, if asked for, a new one.

    Args:
        connection: The administrator's session.
        name: Name of database and role.
        marks: What their comments say.
        rotate: Give the role a new password.

    Returns:
        The new password.
    """
    password = secrets.token_urlsafe(PASSWORD_BYTES) if rotate else None
    with connection.transaction():
        if password is not None:
            # Hashed here: the server's log may show statements.
            hashed = connection.pgconn.encrypt_password(password.encode(), name.encode(), b"scram-sha-256")
            run(connection, "ALTER ROLE {} PASSWORD {hashed}", name, hashed=hashed.decode())
        # The server itself does not let anybody in when the time is over, whenever somebody cleans up.
        run(connection, "ALTER ROLE {} VALID UNTIL {end}", name, end=marks.expires_at or "infinity")
        for kind in ("ROLE", "DATABASE"):
            run(connection, f"COMMENT ON {kind} {{}} IS {{text}}", name, text=marks.text())
    return None if password is None else SecretStr(password)
