"""What the service does inside an instance. Every function may be repeated after a crash."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import psycopg
from psycopg.sql import SQL, Composed, Identifier, Literal

from kardinal_neon_local.postmaster import SUPERUSER_GROUP

Connection = psycopg.Connection[tuple[Any, ...]]


def prepare_cluster(connection: Connection) -> None:
    """Gives a fresh cluster Neon's group role, which may do most things but is no superuser.

    Args:
        connection: An administrator's connection.
    """
    if not _exists(connection, "SELECT 1 FROM pg_roles WHERE rolname = %s", SUPERUSER_GROUP):
        connection.execute(
            SQL("CREATE ROLE {} NOLOGIN CREATEDB CREATEROLE BYPASSRLS").format(Identifier(SUPERUSER_GROUP))
        )
    connection.execute(
        SQL("GRANT pg_read_all_data, pg_write_all_data, pg_monitor TO {} WITH ADMIN OPTION").format(
            Identifier(SUPERUSER_GROUP)
        )
    )


def put_role(connection: Connection, name: str, password: str | None, *, login: bool = True) -> None:
    """Makes a role as Neon makes it, or gives an existing one this password.

    Args:
        connection: An administrator's connection.
        name: Its name.
        password: None: it keeps what it has.
        login: Whether it may log in.
    """
    if not _exists(connection, "SELECT 1 FROM pg_roles WHERE rolname = %s", name):
        connection.execute(
            SQL("CREATE ROLE {} CREATEDB CREATEROLE BYPASSRLS IN ROLE {}").format(
                Identifier(name), Identifier(SUPERUSER_GROUP)
            )
        )
    if not login:
        connection.execute(SQL("ALTER ROLE {} NOLOGIN").format(Identifier(name)))
    elif password is not None:
        connection.execute(_set_password(connection, name, password))


def _set_password(connection: Connection, name: str, password: str) -> Composed:
    """The statement carries the verifier only, so the password reaches neither log nor pg_stat_activity."""
    verifier = connection.pgconn.encrypt_password(password.encode(), name.encode(), b"scram-sha-256").decode()
    return SQL("ALTER ROLE {} LOGIN PASSWORD {}").format(Identifier(name), Literal(verifier))


def verifier(connection: Connection, role: str) -> str | None:
    """Returns what the instance keeps of a role's password; None when it has no SCRAM verifier of it.

    Args:
        connection: An administrator's connection.
        role: Name of the role.
    """
    row = connection.execute(
        "SELECT rolpassword FROM pg_authid WHERE rolname = %s AND rolpassword LIKE 'SCRAM-SHA-256$%%'",
        (role,),
    ).fetchone()
    return None if row is None else str(row[0])


def end_sessions(connection: Connection, role: str) -> None:
    """Cuts the connections of a role.

    Args:
        connection: An administrator's connection.
        role: Name of the role.
    """
    connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s", (role,))


def put_database(connection: Connection, name: str, owner: str) -> None:
    """Makes a database, or gives an existing one this owner.

    Args:
        connection: An administrator's connection.
        name: Its name.
        owner: Name of a role.
    """
    if _exists(connection, "SELECT 1 FROM pg_database WHERE datname = %s", name):
        connection.execute(SQL("ALTER DATABASE {} OWNER TO {}").format(Identifier(name), Identifier(owner)))
        return
    connection.execute(SQL("CREATE DATABASE {} OWNER {}").format(Identifier(name), Identifier(owner)))


def rename_database(connection: Connection, old: str, new: str) -> None:
    """Renames a database; its connections are cut.

    Args:
        connection: An administrator's connection.
        old: Its name.
        new: Its name from now on.
    """
    if not _exists(connection, "SELECT 1 FROM pg_database WHERE datname = %s", old):
        return
    connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (old,))
    connection.execute(SQL("ALTER DATABASE {} RENAME TO {}").format(Identifier(old), Identifier(new)))


def drop_database(connection: Connection, name: str) -> None:
    """Drops a database if it exists; its connections are cut.

    Args:
        connection: An administrator's connection.
        name: Its name.
    """
    connection.execute(SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(Identifier(name)))


def give_up_objects(connection: Connection, role: str) -> None:
    """Hands what a role owns in this database to the database's owner, and takes back its privileges.

    Args:
        connection: An administrator's connection.
        role: Name of the role.
    """
    if not _exists(connection, "SELECT 1 FROM pg_roles WHERE rolname = %s", role):
        return
    owner = connection.execute(
        "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = current_database()"
    ).fetchone()
    assert owner is not None
    connection.execute(SQL("REASSIGN OWNED BY {} TO {}").format(Identifier(role), Identifier(owner[0])))
    connection.execute(SQL("DROP OWNED BY {}").format(Identifier(role)))


def drop_role(connection: Connection, name: str) -> None:
    """Drops a role that owns nothing any more.

    Args:
        connection: An administrator's connection.
        name: Its name.
    """
    end_sessions(connection, name)
    connection.execute(SQL("DROP ROLE IF EXISTS {}").format(Identifier(name)))


def databases(connection: Connection) -> list[str]:
    """Lists the names of all databases that can be connected to.

    Args:
        connection: An administrator's connection.
    """
    rows = connection.execute("SELECT datname FROM pg_database WHERE datallowconn AND NOT datistemplate")
    return [row[0] for row in rows]


def position(connection: Connection) -> str:
    """Returns the current end of the WAL, such as `0/1DE2850`.

    Args:
        connection: An administrator's connection.
    """
    row = connection.execute("SELECT pg_current_wal_insert_lsn()::text").fetchone()
    assert row is not None
    return str(row[0])


_HISTORY = "kardinal_history"


def position_and_time(connection: Connection) -> tuple[str, datetime]:
    """Returns the current end of the WAL and the clock.

    Args:
        connection: An administrator's connection.
    """
    row = connection.execute("SELECT pg_current_wal_insert_lsn()::text, clock_timestamp()").fetchone()
    assert row is not None
    return str(row[0]), row[1]


def close_segment(connection: Connection) -> None:
    """Writes a commit and ends the WAL segment: a recovery up to now needs something after its target.

    Args:
        connection: An administrator's connection.
    """
    connection.execute("SELECT pg_current_xact_id()")
    connection.execute("SELECT pg_switch_wal()")


def reserve_wal(connection: Connection) -> str:
    """Keeps all WAL from the last checkpoint on, if not yet; returns the checkpoint's position.

    Args:
        connection: An administrator's connection.
    """
    row = connection.execute("SELECT redo_lsn::text FROM pg_control_checkpoint()").fetchone()
    assert row is not None
    if not _exists(connection, "SELECT 1 FROM pg_replication_slots WHERE slot_name = %s", _HISTORY):
        connection.execute("SELECT pg_create_physical_replication_slot(%s, true)", (_HISTORY,))
    return str(row[0])


def keep_wal(connection: Connection, start: str) -> None:
    """Lets go of kept WAL before a position.

    Args:
        connection: An administrator's connection.
        start: The position.
    """
    connection.execute("SELECT pg_replication_slot_advance(%s, %s)", (_HISTORY, start))


def release_wal(connection: Connection) -> None:
    """Keeps no WAL any more.

    Args:
        connection: An administrator's connection.
    """
    connection.execute(
        "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = %s",
        (_HISTORY,),
    )


def logical_size(connection: Connection) -> int:
    """Returns the bytes of all databases.

    Args:
        connection: An administrator's connection.
    """
    row = connection.execute("SELECT sum(pg_database_size(oid)) FROM pg_database").fetchone()
    assert row is not None
    return int(row[0])


def _exists(connection: Connection, query: str, name: str) -> bool:
    return connection.execute(query.encode(), (name,)).fetchone() is not None
