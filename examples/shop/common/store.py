"""The orders in PostgreSQL."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.rows import dict_row

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
            psycopg.Error: The database is out of reach.
        """
        with self._connection() as connection:
            return _one(
                connection.execute(
                    "INSERT INTO orders (item, quantity, price, priced_by) VALUES (%s, %s, %s, %s)"
                    " RETURNING *",
                    (item, quantity, price, priced_by),
                )
            )

    def cancel(self, order: int) -> None:
        """Removes an order that nobody would ship.

        Raises:
            psycopg.Error: The database is out of reach.
        """
        with self._connection() as connection:
            connection.execute("DELETE FROM orders WHERE id = %s AND state = 'new'", (order,))

    def find(self, order: int) -> dict[str, Any] | None:
        """Reads an order.

        Raises:
            psycopg.Error: The database is out of reach.
        """
        with self._connection() as connection:
            return connection.execute("SELECT * FROM orders WHERE id = %s", (order,)).fetchone()

    def latest(self) -> list[dict[str, Any]]:
        """Reads the newest orders, newest first.

        Raises:
            psycopg.Error: The database is out of reach.
        """
        with self._connection() as connection:
            return connection.execute("SELECT * FROM orders ORDER BY id DESC LIMIT %s", (SHOWN,)).fetchall()

    def ship(self, order: int, carrier: str, shipped_by: str) -> bool:
        """Marks an order as shipped, once.

        Args:
            order: Its number.
            carrier: Who brings it.
            shipped_by: Release of the worker.

        Returns:
            Whether it was waiting for that.

        Raises:
            psycopg.Error: The database is out of reach.
        """
        with self._connection() as connection:
            done = connection.execute(
                "UPDATE orders SET state = 'shipped', carrier = %s, shipped_by = %s"
                " WHERE id = %s AND state = 'new'",
                (carrier, shipped_by, order),
            )
            return done.rowcount == 1

    @contextmanager
    def _connection(self) -> Iterator[psycopg.Connection[dict[str, Any]]]:
        """A connection whose work is committed at the end of the block; the first one makes the table."""
        with psycopg.connect(
            self._url, application_name=self._program, connect_timeout=CONNECT_SECONDS, row_factory=dict_row
        ) as connection:
            if not self._prepared:
                connection.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK,))
                connection.execute(SCHEMA)
                connection.commit()
                self._prepared = True
            yield connection


def _one(cursor: psycopg.Cursor[dict[str, Any]]) -> dict[str, Any]:
    row = cursor.fetchone()
    assert row is not None
    return row
