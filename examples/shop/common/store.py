"""The orders in PostgreSQL."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import psycopg2
from psycopg2.extensions import connection as Connection  # noqa: N812  (psycopg2 names its class in lower case)
from psycopg2.extras import RealDictCursor

CONNECT_SECONDS = 5
LOCK = 0x73686F70  # "shop": any constant does; keeps two first starts from racing for CREATE TABLE

SCHEMA = """
    CREATE TABLE IF NOT EXISTS orders (
        id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        item text NOT NULL,
        quantity integer NOT NULL,
        price integer NOT NULL,
        priced_by text NOT NULL,
        state text NOT NULL DEFAULT 'new',
        carrier text,
        shipped_by text
    )
"""
SHOWN = 50


class Store:
    """The orders.

    Args:
        url: The database, as `postgresql://...`.
        program: Who connects, as the server's views show it.
    """

    def __init__(self, url: str, program: str) -> None:
        self._url = url
        self._program = program
        self._prepared = False

    def place(self, item: str, quantity: int, price: int, priced_by: str) -> dict[str, Any]:
        """Adds an order.

        Args:
            item: What is ordered.
            quantity: How many.
            price: Of all together, in cents.
            priced_by: Release of the catalog that said so.

        Returns:
            The order.

        Raises:
            psycopg2.Error: The database is out of reach.
        """
        with self._cursor() as cursor:
            cursor.execute(
                "INSERT INTO orders (item, quantity, price, priced_by) VALUES (%s, %s, %s, %s) RETURNING *",
                (item, quantity, price, priced_by),
            )
            return _plain(cursor)[0]

    def cancel(self, order: int) -> None:
        """Removes an order that nobody would ship.

        Raises:
            psycopg2.Error: The database is out of reach.
        """
        with self._cursor() as cursor:
            cursor.execute("DELETE FROM orders WHERE id = %s AND state = 'new'", (order,))

    def find(self, order: int) -> dict[str, Any] | None:
        """Reads an order.

        Raises:
            psycopg2.Error: The database is out of reach.
        """
        with self._cursor() as cursor:
            cursor.execute("SELECT * FROM orders WHERE id = %s", (order,))
            return next(iter(_plain(cursor)), None)

    def latest(self) -> list[dict[str, Any]]:
        """Reads the newest orders, newest first.

        Raises:
            psycopg2.Error: The database is out of reach.
        """
        with self._cursor() as cursor:
            cursor.execute("SELECT * FROM orders ORDER BY id DESC LIMIT %s", (SHOWN,))
            return _plain(cursor)

    def ship(self, order: int, carrier: str, shipped_by: str) -> bool:
        """Marks an order as shipped, once.

        Args:
            order: Its number.
            carrier: Who brings it.
            shipped_by: Release of the worker.

        Returns:
            Whether it was waiting for that.

        Raises:
            psycopg2.Error: The database is out of reach.
        """
        with self._cursor() as cursor:
            cursor.execute(
                "UPDATE orders SET state = 'shipped', carrier = %s, shipped_by = %s"
                " WHERE id = %s AND state = 'new'",
                (carrier, shipped_by, order),
            )
            return bool(cursor.rowcount == 1)

    @contextmanager
    def _cursor(self) -> Iterator[RealDictCursor]:
        """A cursor whose work is committed at the end of the block; the first one makes the table."""
        with closing(self._connect()) as connection:
            if not self._prepared:
                with connection, connection.cursor() as cursor:
                    cursor.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK,))
                    cursor.execute(SCHEMA)
                self._prepared = True
            with connection, connection.cursor(cursor_factory=RealDictCursor) as cursor:
                yield cursor

    def _connect(self) -> Connection:
        try:
            return psycopg2.connect(
                self._url, application_name=self._program, connect_timeout=CONNECT_SECONDS
            )
        except psycopg2.ProgrammingError:
            # libpq quotes a URL that it cannot read, password included.
            raise psycopg2.OperationalError("DATABASE_URL is no PostgreSQL connection URL") from None


def _plain(cursor: RealDictCursor) -> list[dict[str, Any]]:
    return [dict(row) for row in cursor.fetchall()]
