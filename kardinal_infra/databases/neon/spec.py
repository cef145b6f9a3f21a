"""What is asked of Neon, and what is found there: the two ends of every operation on a branch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kardinal_infra.databases.neon.models import Branch, Endpoint
from kardinal_infra.databases.neon.uris import Connection


@dataclass(frozen=True)
class BranchSpec:
    """The branch that is wanted.

    Attributes:
        project: Project id or name.
        name: Branch name, unique in the project.
        database: Database whose URI is wanted.
        role: Role whose URI is wanted.
        annotations: Ownership marks; a branch that carries all of them is ours.
        parent: Id or name of the branch to branch from; None is the project's default branch.
        ttl: Life time such as `24h`; None lives until it is deleted.
        protected: Whether Neon shall refuse its deletion.
        rotate_password: Give the role a password of its own. A branch inherits its parent's passwords (unless
            the parent is protected), and a fork must not hold a credential that opens production.
    """

    project: str
    name: str
    database: str
    role: str
    annotations: Mapping[str, str]
    parent: str | None = None
    ttl: str | None = None
    protected: bool = False
    rotate_password: bool = True


@dataclass(frozen=True)
class BranchView:
    """A branch as it is.

    Attributes:
        branch: The branch.
        endpoint: Its read-write compute, None when somebody removed it.
        connection: Host, password and URIs; None without a compute, database or role to connect to.
        adopted: The call that made this view found the branch left by an earlier run. None when the call was
            not one that creates.
    """

    branch: Branch
    endpoint: Endpoint | None
    connection: Connection | None
    adopted: bool | None = None
