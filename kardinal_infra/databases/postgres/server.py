"""What a server is and has: version, rights of the administrator, databases, roles and our branches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kardinal_infra.databases.postgres.errors import PostgresError
from kardinal_infra.databases.postgres.marks import Marks, read_marks
from kardinal_infra.databases.postgres.session import Connection, one
from kardinal_infra.errors import BranchingError

OLDEST = 13
"""Major version: DROP DATABASE ... WITH (FORCE) is of 13."""


@dataclass(frozen=True)
class Server:
    """A server as its administrator sees it.

    Attributes:
        id: System identifier: the same for ever, and for no other server (but its own standbys).
        major: Major version.
        superuser: The administrator is one.
        locks_roles: The administrator may keep a role out of all databases but one.
    """

    id: str
    major: int
    superuser: bool
    locks_roles: bool


@dataclass(frozen=True)
class Database:
    """A database.

    Attributes:
        name: Its name.
        owner: Role that owns it.
        size: Bytes; None when the administrator may not see it.
        open: It takes connections.
        template: It is marked as one.
        invalid: A DROP of it was interrupted; all that can be done is to drop it again.
        catalog: The row of pg_database.
    """

    name: str
    owner: str
    size: int | None
    open: bool
    template: bool
    invalid: bool
    catalog: dict[str, Any]


@dataclass(frozen=True)
class Found:
    """What there is under a branch's name on the server.

    Attributes:
        role: Whether there is a role.
        marks: Of the role; None when it is not ours.
        database: The database.
    """

    role: bool
    marks: Marks | None
    database: Database | None


def inspect_server(connection: Connection) -> Server:
    """Looks at the server.

    Args:
        connection: The administrator's session.

    Raises:
        BranchingError: It is too old, a standby, or the administrator may not make databases and roles.
    """
    row = one(
        connection,
        "SELECT current_setting('server_version_num')::int / 10000, system_identifier, pg_is_in_recovery(),"
        " rolsuper, rolcreatedb, rolcreaterole, rolname"
        " FROM pg_control_system(), pg_roles WHERE rolname = current_user",
    )
    assert row is not None
    major, system, standby, superuser, databases, roles, name = row
    if major < OLDEST:
        raise BranchingError(f"the server is PostgreSQL {major}, and branches need {OLDEST} or later")
    if standby:
        raise BranchingError("the server is a standby, which takes no writes: name the primary")
    if not superuser and not (databases and roles):
        raise BranchingError(
            f'the administrator "{name}" is neither a superuser nor has both CREATEDB and CREATEROLE:'
            f' ALTER ROLE "{name}" CREATEDB CREATEROLE'
        )
    locks = superuser
    if not locks and major >= 15:
        allowed = one(
            connection,
            "SELECT has_parameter_privilege(current_user, 'session_preload_libraries', 'SET')"
            " AND pg_has_role('pg_read_all_settings', 'USAGE')",
        )
        locks = bool(allowed and allowed[0])
    return Server(str(system), major, superuser, locks)


def find_database(connection: Connection, name: str) -> Database | None:
    """Looks for a database.

    Args:
        connection: The administrator's session.
        name: Its name.
    """
    row = one(
        connection,
        "SELECT r.rolname, to_jsonb(d) - 'datacl', d.datallowconn, d.datistemplate, d.datconnlimit = -2"
        " FROM pg_database d JOIN pg_roles r ON r.oid = d.datdba WHERE d.datname = %s",
        name,
    )
    if row is None:
        return None
    owner, catalog, is_open, template, invalid = row
    return Database(name, owner, _size(connection, name), is_open, template, invalid, catalog)


def _size(connection: Connection, name: str) -> int | None:
    allowed = one(
        connection,
        "SELECT has_database_privilege(%s, 'CONNECT') OR pg_has_role('pg_read_all_stats', 'MEMBER')",
        name,
    )
    if not allowed or not allowed[0]:
        return None
    row = one(connection, "SELECT pg_database_size(%s)", name)
    return int(row[0]) if row and row[0] is not None else None


def has_role(connection: Connection, name: str) -> bool:
    """Says whether a role exists.

    Args:
        connection: The administrator's session.
        name: Its name.
    """
    return one(connection, "SELECT 1 FROM pg_roles WHERE rolname = %s", name) is not None


def find(connection: Connection, name: str) -> Found:
    """Looks for a branch's role and database.

    Args:
        connection: The administrator's session.
        name: Their name.
    """
    row = one(connection, "SELECT shobj_description(oid, 'pg_authid') FROM pg_roles WHERE rolname = %s", name)
    return Found(row is not None, read_marks(row[0]) if row else None, find_database(connection, name))


def all_marks(connection: Connection) -> dict[str, Marks]:
    """Lists the marks of all branches on the server, by the name of role and database.

    Args:
        connection: The administrator's session.
    """
    rows = connection.execute(
        "SELECT r.rolname, c.description FROM pg_shdescription c JOIN pg_roles r ON r.oid = c.objoid"
        " WHERE c.classoid = 'pg_authid'::regclass ORDER BY r.rolname"
    ).fetchall()
    return {name: marks for name, comment in rows if (marks := read_marks(comment))}


def require_server(server: Server, expected: str) -> None:
    """Checks that the administrator's URI leads to the server that a branch was made on.

    Args:
        server: Where it leads.
        expected: Id of the branch's server.

    Raises:
        PostgresError: It leads elsewhere, so nothing can be said about the branch.
    """
    if server.id != expected:
        raise PostgresError(
            f"the administrator's URI leads to the PostgreSQL server {server.id}, and the branch was made on"
            f" {expected}: correct the URI (KARDINAL_POSTGRES_URI wins over the config)"
        )
