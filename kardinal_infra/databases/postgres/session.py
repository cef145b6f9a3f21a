"""A connection as the administrator, whose errors are ours and show no secret."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, LiteralString

import psycopg
from psycopg import sql

from kardinal_infra.databases.postgres.errors import PostgresError
from kardinal_infra.databases.postgres.settings import PostgresSettings

CONNECT_SECONDS = 10
APPLICATION = "kardinal"

Connection = psycopg.Connection[tuple[Any, ...]]


@contextlib.contextmanager
def session(settings: PostgresSettings, database: str | None = None) -> Iterator[Connection]:
    """Connects in autocommit mode.

    Args:
        settings: The administrator.
        database: Database; default: the one that administration happens in.

    Raises:
        PostgresError: There is no connection, or a statement in the block failed.
    """
    try:
        connection = psycopg.connect(
            settings.uri.get_secret_value(),
            dbname=database or settings.database,
            autocommit=True,
            connect_timeout=CONNECT_SECONDS,
            application_name=APPLICATION,
        )
    except psycopg.Error as error:
        raise PostgresError(settings.redacted(f"no PostgreSQL administrator's session: {error}")) from None
    with contextlib.closing(connection):
        try:
            # Copying takes its time, whatever is set for other users.
            connection.execute("SET statement_timeout = 0")
            yield connection
        except psycopg.Error as error:
            raise translated(settings, error) from None


def translated(settings: PostgresSettings, error: psycopg.Error) -> PostgresError:
    """Turns the driver's error into ours.

    Args:
        settings: The administrator.
        error: Of a statement.
    """
    parts = [error.diag.message_primary or str(error), error.diag.message_detail, error.diag.message_hint]
    text = "; ".join(filter(None, parts))
    code = error.sqlstate or ""
    return PostgresError(settings.redacted(f"PostgreSQL{f' ({code})' if code else ''}: {text}"), code)


def run(connection: Connection, statement: LiteralString, *names: str, **literals: object) -> None:
    """Executes a statement that takes no parameters, such as CREATE ROLE.

    Args:
        connection: The session.
        statement: With `{}` for names and `{name}` for literals.
        names: Identifiers.
        literals: Values.
    """
    given = {name: sql.Literal(value) for name, value in literals.items()}
    connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names), **given))


def one(connection: Connection, query: str, *parameters: object) -> tuple[Any, ...] | None:
    """Returns the first row of a query.

    Args:
        connection: The session.
        query: With `%s`.
        parameters: Its values.
    """
    return connection.execute(query.encode(), parameters or None).fetchone()
