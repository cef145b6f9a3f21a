"""One run at a time for each branch."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from psycopg import errors

from kardinal_infra.databases.postgres.session import Connection
from kardinal_infra.errors import BranchingError

LOCK_SECONDS = 600
"""How long a run waits for another one that works on the same branch."""


@contextlib.contextmanager
def exclusively(connection: Connection, name: str) -> Iterator[None]:
    """Keeps other runs away from a branch.

    Args:
        connection: The administrator's session.
        name: The branch's database.

    Raises:
        BranchingError: Another run has not ended in time.
    """
    try:
        connection.execute("SELECT set_config('lock_timeout', %s, false)", (f"{LOCK_SECONDS}s",))
        connection.execute("SELECT pg_advisory_lock(hashtextextended(%s, 0))", (f"kardinal/{name}",))
    except errors.LockNotAvailable:
        raise BranchingError(
            f'another run has been working on the branch "{name}" for {LOCK_SECONDS} s: wait for it, or end'
            " its session on the server"
        ) from None
    try:
        yield
    finally:
        with contextlib.suppress(errors.Error):
            connection.execute("SELECT pg_advisory_unlock(hashtextextended(%s, 0))", (f"kardinal/{name}",))
