"""What both backends are measured on: a database of some size, and one question to a branch of it."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import psycopg

ROWS_A_BATCH = 20_000
"""About 20 MB."""

FILL = """
INSERT INTO filler SELECT id, repeat(md5(random()::text), 30)
FROM generate_series(%(first)s::bigint, %(last)s::bigint) AS id
"""


@dataclass
class Measured:
    """One branch.

    Attributes:
        seconds: From the request to the answer of the first query.
        disk: Bytes that it takes at that time.
        memory: Bytes of memory of its processes, shared pages in proportion, after the client has left; None
            when it has no processes of its own.
        removal: Seconds until it is gone.
    """

    seconds: float
    disk: int
    memory: int | None
    removal: float


class Branching(Protocol):
    """A running system that branches databases."""

    def filled(self, size: int) -> str:
        """Makes a database of about `size` bytes; returns what `measure` calls it."""
        ...

    def measure(self, source: str, name: str, used: Callable[[], int]) -> Measured:
        """Makes a branch, asks it one question, and deletes it.

        Args:
            source: What `filled` returned.
            name: Name of the branch.
            used: Tells the bytes in use.
        """
        ...


def fill(uri: str, size: int) -> None:
    """Fills a database with rows that do not compress.

    Args:
        uri: Of its owner.
        size: Bytes that it has afterwards, about.
    """
    with psycopg.connect(uri, autocommit=True) as connection:
        connection.execute("SET synchronous_commit = off")
        connection.execute("CREATE TABLE filler (id bigint PRIMARY KEY, content text)")
        last = 0
        while (missing := size - _size(connection)) > 0:
            # Small databases exactly, large ones in batches.
            rows = min(ROWS_A_BATCH, missing // 1050 + 1)
            connection.execute(FILL, {"first": last + 1, "last": last + rows})
            last += rows
        # As a database that was filled long ago: vacuum has come by.
        connection.execute("VACUUM ANALYZE filler")


def ask(connection: psycopg.Connection[Any]) -> None:
    """Asks a branch the first question.

    Raises:
        RuntimeError: It does not hold its parent's data.
    """
    row = connection.execute("SELECT count(*) FROM filler WHERE id BETWEEN 1 AND 100").fetchone()
    if row != (100,):
        raise RuntimeError(f"the branch does not hold its parent's data: {row}")


def free_port() -> int:
    """A TCP port of the loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _size(connection: psycopg.Connection[Any]) -> int:
    row = connection.execute("SELECT pg_database_size(current_database())").fetchone()
    assert row is not None
    return int(row[0])
