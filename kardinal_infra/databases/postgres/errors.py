"""What can go wrong with a PostgreSQL server.

* BranchingError
  - PostgresSettingsError     no administrator's URI, or not one
  - PostgresError             a PostgreSQL server refused or failed

No message holds a secret: the raisers remove passwords before they build one.
"""

from __future__ import annotations

from kardinal_infra.errors import BranchingError


class PostgresSettingsError(BranchingError):
    """There is no usable URI of a PostgreSQL administrator, or no driver to use it."""


class PostgresError(BranchingError):
    """A PostgreSQL server, or one of its programs, refused or failed.

    Args:
        message: Explanation without secrets.
        sqlstate: PostgreSQL's error code; empty when there was no connection.
    """

    def __init__(self, message: str, sqlstate: str = "") -> None:
        self.sqlstate = sqlstate
        super().__init__(message)
