"""What is asked of a server, and what is found there: the two ends of every operation on a branch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import SecretStr

from kardinal_infra.databases.postgres.copying import Source
from kardinal_infra.databases.postgres.marks import Marks


@dataclass(frozen=True)
class BranchSpec:
    """The branch that is wanted.

    Attributes:
        name: Branch name, unique on the server.
        database: Database that the application uses on the parent; the parent itself when `parent` is None.
        role: Role that the application uses on the parent.
        annotations: Ownership marks; a branch that carries all of them is ours.
        parent: Database or branch to copy instead of `database`.
        init: `data` or `schema-only`.
        source: How to copy.
        expires_at: RFC 3339; None lives until it is deleted.
        protected: Whether its deletion is refused.
    """

    name: str
    database: str
    role: str
    annotations: Mapping[str, str]
    parent: str | None = None
    init: str = "data"
    source: Source = "auto"
    expires_at: str | None = None
    protected: bool = False


@dataclass(frozen=True)
class BranchView:
    """A branch as it is.

    Attributes:
        server_id: System identifier of its server.
        name: Name of its database and its role.
        marks: What its comments say.
        password: Of its role; None when it was not set just now.
        adopted: The call that made this view found the branch left by an earlier run.
    """

    server_id: str
    name: str
    marks: Marks
    password: SecretStr | None = None
    adopted: bool = False
