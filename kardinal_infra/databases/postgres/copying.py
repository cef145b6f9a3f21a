"""How a branch gets its data: by the server's own copy of a template, or by a dump of the live database.

`CREATE DATABASE ... TEMPLATE` copies files, but PostgreSQL refuses it while anybody is connected to the
template and makes new connections to it wait until the copy is done. So a live database is copied that way
only when nobody is connected and it is small; a golden copy, one that is marked as a template or closed to
connections, always. Everything else is dumped and restored, which needs no silence. Nobody's session is ever
ended.

Facts: docs/facts/postgres.md#a-template-must-be-idle,
docs/facts/postgres.md#sharing-blocks-depends-on-the-file-system.
"""

from __future__ import annotations

from typing import Any, Literal

from psycopg import errors, sql

from kardinal_infra.databases.postgres.dump import dump_and_restore
from kardinal_infra.databases.postgres.server import Database, Server
from kardinal_infra.databases.postgres.session import Connection, one
from kardinal_infra.databases.postgres.settings import PostgresSettings
from kardinal_infra.errors import BranchingError

Source = Literal["auto", "template", "dump"]

SMALL = 100_000_000
"""Bytes. Up to here copying through the log is the fastest and takes about a second; above, copying files
wins in spite of the two checkpoints that it needs (1 GB: 2.8 s, on XFS 0.13 s)."""

BUSY_SECONDS = 30.0
"""How long a template may be in use. The server waits 5 s by itself."""


def choose(connection: Connection, parent: Database, source: Source, init: str) -> Source:
    """Decides between template and dump.

    Args:
        connection: The administrator's session.
        parent: The database to copy.
        source: What was asked for.
        init: `schema-only` is always a dump.

    Raises:
        BranchingError: The parent takes no connections, so it cannot be dumped.
    """
    wanted = source
    if init == "schema-only":
        wanted = "dump"
    elif source == "auto":
        golden = parent.template or not parent.open
        quiet = parent.size is not None and parent.size <= SMALL and not _in_use(connection, parent.name)
        wanted = "template" if golden or quiet else "dump"
    if wanted == "dump" and not parent.open:
        raise BranchingError(
            f'database "{parent.name}" takes no connections, so it cannot be dumped: use it as a template'
            " (init: data), or ALTER DATABASE ... ALLOW_CONNECTIONS true"
        )
    return wanted


def copy(
    connection: Connection, server: Server, parent: Database, name: str, source: Source, init: str
) -> str:
    """Makes the branch's database, closed to connections; for a dump it is empty and for `restore` to fill.

    Args:
        connection: The administrator's session.
        server: The server.
        parent: The database to copy.
        name: Name of the branch's database and of its owner, who exists.
        source: What was asked for.
        init: `data` or `schema-only`.

    Returns:
        How it was done: `wal_log`, `file_copy`, `clone` or `dump`.

    Raises:
        BranchingError: The template is in use and stays so, or the dump failed.
    """
    chosen = choose(connection, parent, source, init)
    if chosen == "template":
        try:
            return _from_template(connection, server, parent, name, patient=source == "template")
        except errors.ObjectInUse:
            # Somebody connected in between.
            if source == "template" or not parent.open:
                raise _busy(connection, parent) from None
    _create(connection, name, "template0", locale_options(parent.catalog))
    return "dump"


def restore(settings: PostgresSettings, server: Server, parent: Database, name: str, init: str) -> None:
    """Fills a database that `copy` made for a dump.

    Args:
        settings: The administrator.
        server: The server.
        parent: The database to dump.
        name: The branch's database, open to the administrator.
        init: `data` or `schema-only`.

    Raises:
        BranchingError: The programs are missing, or failed.
    """
    dump_and_restore(settings, server.major, parent.name, name, schema_only=init == "schema-only")


def _from_template(
    connection: Connection, server: Server, parent: Database, name: str, *, patient: bool
) -> str:
    small = parent.size is not None and parent.size <= SMALL
    if server.major < 15:
        way, options = "file_copy", {}
    elif small:
        way, options = "wal_log", {"STRATEGY": "wal_log"}
    else:
        way, options = "file_copy", {"STRATEGY": "file_copy"}
    if way == "file_copy" and _can_clone(connection):
        connection.execute("SET file_copy_method = clone")
        try:
            _create_patiently(connection, name, parent.name, options, patient=patient)
        except (errors.FeatureNotSupported, errors.IoError, errors.SystemError):
            pass  # a file system that knows no copy_file_range()
        else:
            return "clone"
        finally:
            connection.execute("RESET file_copy_method")
    _create_patiently(connection, name, parent.name, options, patient=patient)
    return way


def _create_patiently(
    connection: Connection, name: str, template: str, options: dict[str, Any], *, patient: bool
) -> None:
    tries = max(1, int(BUSY_SECONDS // 5)) if patient else 1
    for attempt in range(1, tries + 1):
        try:
            return _create(connection, name, template, options)
        except errors.ObjectInUse:
            if attempt == tries:
                raise
    return None


def _create(connection: Connection, name: str, template: str, options: dict[str, Any]) -> None:
    more = [
        sql.SQL(" {} {}").format(sql.SQL(key), sql.Literal(value))  # pyright: ignore[reportArgumentType]
        for key, value in options.items()
    ]
    connection.execute(
        sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE {} ALLOW_CONNECTIONS false").format(
            sql.Identifier(name), sql.Identifier(name), sql.Identifier(template)
        )
        + sql.Composed(more)
    )


def _can_clone(connection: Connection) -> bool:
    # Of PostgreSQL 18, where the system has copy_file_range(). Whether blocks are then shared is up to the
    # file system, and cannot be seen from here: without sharing it is a plain copy inside of the kernel.
    row = one(connection, "SELECT 'clone' = ANY (enumvals) FROM pg_settings WHERE name = 'file_copy_method'")
    return bool(row and row[0])


def _in_use(connection: Connection, name: str) -> bool:
    row = one(
        connection,
        "SELECT EXISTS (SELECT FROM pg_stat_activity"
        " WHERE datname = %s AND backend_type <> 'autovacuum worker')"
        " OR EXISTS (SELECT FROM pg_prepared_xacts WHERE database = %s)",
        name,
        name,
    )
    return bool(row and row[0])


def _busy(connection: Connection, parent: Database) -> BranchingError:
    rows = connection.execute(
        "SELECT DISTINCT coalesce(nullif(application_name, ''), usename, backend_type) FROM pg_stat_activity"
        " WHERE datname = %s ORDER BY 1 LIMIT 5",
        (parent.name,),
    ).fetchall()
    users = ", ".join(str(row[0]) for row in rows) or "somebody"
    return BranchingError(
        f'database "{parent.name}" cannot be a template while it is in use (by {users}): name a golden copy'
        ' that nobody connects to as `parent`, or let `source` be "dump" to copy the live one'
    )


def locale_options(catalog: dict[str, Any]) -> dict[str, Any]:
    """Returns what makes an empty database sort and encode as another one does.

    Args:
        catalog: The row of pg_database of the other one; its columns depend on the server's version.
    """
    options = {
        "ENCODING": catalog["encoding"],
        "LC_COLLATE": catalog["datcollate"],
        "LC_CTYPE": catalog["datctype"],
    }
    provider = {"i": "icu", "b": "builtin"}.get(catalog.get("datlocprovider", "c"))
    locale = catalog.get("datlocale") or catalog.get("daticulocale")
    if provider and locale:
        options |= {"LOCALE_PROVIDER": provider, f"{provider.upper()}_LOCALE": locale}
        if catalog.get("daticurules"):
            options["ICU_RULES"] = catalog["daticurules"]
    return options
