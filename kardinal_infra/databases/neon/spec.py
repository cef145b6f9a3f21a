"""What is asked of Neon, and what is found there: the two ends of every operation on a branch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import SecretStr

from kardinal_infra.databases.neon.models import Branch, Endpoint, EndpointOptions, MaskingRule
from kardinal_infra.databases.neon.uris import Connection
from kardinal_infra.databases.request import BranchInit


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
        ttl: Life time such as `24h`; None lives until it is deleted, or until `expires_at`.
        protected: Whether Neon shall refuse its deletion.
        rotate_password: Give the role a password of its own. A branch inherits its parent's passwords (unless
            the parent is protected), and a fork must not hold a credential that opens production.
        init: What it holds at first.
        masking_rules: Columns to mask, for `init="masked"`.
        parent_timestamp: Branch from the parent as it was then, RFC 3339.
        parent_lsn: Branch from the parent as it was at this position.
        expires_at: When it ends, RFC 3339; not together with `ttl`.
        compute: Size and idle time of its compute; what is None there follows the project.
        databases: Further databases: owner by name.
        roles: Further roles.
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
    init: BranchInit = "data"
    masking_rules: tuple[MaskingRule, ...] = ()
    parent_timestamp: str | None = None
    parent_lsn: str | None = None
    expires_at: str | None = None
    compute: EndpointOptions = field(default_factory=EndpointOptions)
    databases: Mapping[str, str] = field(default_factory=dict)
    roles: tuple[str, ...] = ()


@dataclass(frozen=True)
class Former:
    """What an update has to undo of the branch that was wanted before.

    Attributes:
        compute: Fields of `EndpointOptions` that were asked for.
        databases: Names of further databases.
        roles: Names of further roles.
    """

    compute: frozenset[str] = frozenset()
    databases: frozenset[str] = frozenset()
    roles: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Extras:
    """What a branch has of the further databases and roles that are wanted.

    Attributes:
        databases: Owner by name.
        passwords: Password by role.
    """

    databases: Mapping[str, str] = field(default_factory=dict)
    passwords: Mapping[str, SecretStr] = field(default_factory=dict)


@dataclass(frozen=True)
class BranchView:
    """A branch as it is.

    Attributes:
        branch: The branch.
        endpoint: Its read-write compute, None when somebody removed it.
        connection: Host, password and URIs; None without a compute, database or role to connect to.
        parent_id: Id of the branch it was made from, for a schema-only one too; None when that is not known.
        extras: What it has of the further databases and roles.
        adopted: The call that made this view found the branch left by an earlier run. None when the call was
            not one that creates.
    """

    branch: Branch
    endpoint: Endpoint | None
    connection: Connection | None
    parent_id: str | None = None
    extras: Extras = field(default_factory=Extras)
    adopted: bool | None = None
