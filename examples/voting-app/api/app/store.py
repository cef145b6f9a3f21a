"""The votes in PostgreSQL, over a handful of connections that survive a restart of the database."""

import queue
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager

import psycopg2
from database import connect, migrate, once
from psycopg2.extensions import connection as Connection  # noqa: N812  (psycopg2 names its class in lower case)

POOL_SIZE = 4


class UnknownOptionError(Exception):
    """A vote for something that is not on the list."""


class Store:
    """The options and their votes.

    Args:
        url: The database, as `postgresql://...`.
        seed: Votes per option that a database without votes of this app starts with; written once in the
            life of the database, so neither a restart nor a branch of it gets them again.
    """

    def __init__(self, url: str, seed: Mapping[str, int]) -> None:
        self._url = url
        self._seed = seed
        self._prepared = False
        # A slot holds an open connection or None; LIFO, so that few connections serve a quiet app.
        self._slots: queue.LifoQueue[Connection | None] = queue.LifoQueue()
        for _ in range(POOL_SIZE):
            self._slots.put(None)

    def counts(self) -> dict[str, int]:
        """Counts the votes.

        Returns:
            Votes per option, in the order in which the options are shown.

        Raises:
            psycopg2.Error: The database is out of reach.
        """
        with self._connection() as connection, connection, connection.cursor() as cursor:
            cursor.execute(
                "SELECT options.name, count(votes.id) FROM options"
                " LEFT JOIN votes ON votes.option = options.name"
                " GROUP BY options.name, options.position ORDER BY options.position, options.name"
            )
            return dict(cursor.fetchall())

    def vote(self, option: str) -> None:
        """Adds one vote.

        Args:
            option: One of the options, spelled as in `counts`.

        Raises:
            UnknownOptionError: There is no such option.
            psycopg2.Error: The database is out of reach.
        """
        with self._connection() as connection, connection, connection.cursor() as cursor:
            cursor.execute("INSERT INTO votes (option) SELECT name FROM options WHERE name = %s", (option,))
            if cursor.rowcount == 0:
                raise UnknownOptionError(option)

    def ping(self) -> None:
        """Checks that the database answers and has its schema.

        Raises:
            psycopg2.Error: It does not.
        """
        with self._connection():
            pass

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        slot = self._slots.get()
        try:
            connection = slot if slot is not None and _alive(slot) else self._connect()
            slot = connection
            yield connection
        finally:
            # A broken connection keeps its slot: the next user finds it dead and replaces it.
            self._slots.put(slot)

    def _connect(self) -> Connection:
        connection = connect(self._url, "votes-api")
        if not self._prepared:
            try:
                migrate(connection)
                self._plant(connection)
            except BaseException:
                connection.close()
                raise
            self._prepared = True
        return connection

    def _plant(self, connection: Connection) -> None:
        if not self._seed:
            return
        with connection, connection.cursor() as cursor:
            if once(cursor, "seed"):
                for option, votes in self._seed.items():
                    cursor.execute(
                        "INSERT INTO votes (option) SELECT %s FROM generate_series(1, %s)", (option, votes)
                    )


def _alive(connection: Connection) -> bool:
    """Asks the server, for a connection looks open long after a restart closed it."""
    if connection.closed:
        return False
    try:
        with connection, closing(connection.cursor()) as cursor:
            cursor.execute("SELECT 1")
    except psycopg2.Error:
        connection.close()
        return False
    return True
