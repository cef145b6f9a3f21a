"""Connections to PostgreSQL, and schema changes as numbered SQL files, each applied once, in order."""

from pathlib import Path

import psycopg2
from psycopg2.extensions import connection as Connection  # noqa: N812  (psycopg2 names its class in lower case)

MIGRATIONS = Path(__file__).parent / "migrations"
CONNECT_SECONDS = 5
SILENCE_MILLISECONDS = 10_000  # a connection whose packets nobody acknowledges for so long is broken
LOCK = 0x766F7465  # "vote": any constant does, as long as every program of the app takes the same one


def connect(url: str, program: str) -> Connection:
    """Opens a connection.

    Args:
        url: The database, as `postgresql://...`.
        program: Who connects, as the server's views show it.

    Returns:
        The connection.

    Raises:
        psycopg2.Error: The server is out of reach or refuses, or the URL is none; no password is in it.
    """
    try:
        return psycopg2.connect(
            url,
            application_name=program,
            connect_timeout=CONNECT_SECONDS,
            tcp_user_timeout=SILENCE_MILLISECONDS,
        )
    except psycopg2.ProgrammingError:
        # libpq quotes a URL that it cannot read, password included.
        raise psycopg2.OperationalError("DATABASE_URL is not a valid PostgreSQL connection URL") from None


def migrate(connection: Connection, directory: Path = MIGRATIONS) -> list[str]:
    """Applies the SQL files of a folder that the database has not seen, in the order of their names.

    All in one transaction under one lock: programs that start together wait for each other, and a failing
    file leaves the database as it was.

    Args:
        connection: An open connection with no transaction under way.
        directory: The folder with the files, e.g. `001_votes.sql`.

    Returns:
        The names of the files applied now, without their suffix.

    Raises:
        psycopg2.Error: A file was refused by the database; nothing was applied.
    """
    applied = []
    with connection, connection.cursor() as cursor:
        for path in sorted(directory.glob("*.sql")):
            if once(cursor, path.stem):
                cursor.execute(path.read_text())
                applied.append(path.stem)
    return applied


def once(cursor, name: str) -> bool:  # type: ignore[no-untyped-def]
    """Records a step in the database; the step's work belongs in the same transaction.

    Args:
        cursor: A cursor inside a transaction.
        name: The step's name.

    Returns:
        True for the first caller, False for a step that is recorded already.
    """
    # Held to the end of the transaction. Also keeps two first starts from racing for CREATE TABLE,
    # which IF NOT EXISTS does not prevent.
    cursor.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK,))
    cursor.execute(
        "CREATE TABLE IF NOT EXISTS applied_steps"
        " (name text PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())"
    )
    cursor.execute("INSERT INTO applied_steps (name) VALUES (%s) ON CONFLICT DO NOTHING", (name,))
    return bool(cursor.rowcount == 1)
