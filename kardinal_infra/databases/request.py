"""What a flow asks of a branching system, as plain values, and its form in a stack's state."""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, Literal, Self

BranchInit = Literal["data", "schema-only", "masked"]
"""What a new branch holds: the parent's data, only its schema, or its data with some columns masked."""


@dataclass(frozen=True)
class MaskingRule:
    """How one column of a masked branch is filled; exactly one of `function` and `value` is given.

    Attributes:
        table: Name of the table.
        column: Name of the column; columns of a foreign key cannot be masked.
        schema: Schema of the table.
        database: Database of the table; None is the branch's own.
        function: Masking function of PostgreSQL Anonymizer, for example `anon.fake_email()`.
        value: One value for all rows.
    """

    table: str
    column: str
    schema: str = "public"
    database: str | None = None
    function: str | None = None
    value: str | None = None


@dataclass(frozen=True)
class Compute:
    """How much machine a branch gets; what is None follows the defaults of its project.

    Attributes:
        min_units: Smallest size in compute units, 0.25 and up.
        max_units: Largest size in compute units.
        suspend_after: Idle time after which it stops, such as `5m`, or `never`.
    """

    min_units: float | None = None
    max_units: float | None = None
    suspend_after: str | None = None


@dataclass(frozen=True)
class BranchRequest:
    """The branch that a flow asks for. Plain values: structure must be known at preview.

    Attributes:
        name: Name of the branch, unique within the project.
        project: Where the database lives, in the backend's words; for Neon a project id or name.
        database: Database to connect to.
        role: Role to connect as.
        parent: Branch to branch from, by id or name; None is the project's default branch.
        ttl: Life time such as `24h`; None lives as long as its stack.
        protected: Refuse its deletion.
        annotations: Marks of ownership besides the stack's own.
        rotate_password: Give the role a password that does not open the parent.
        delete_children: Delete branches that this stack made from it before it.
        api_host: Address of the backend's API; None is its default.
        init: What it holds at first.
        masking_rules: Columns to mask, for `init="masked"`.
        parent_timestamp: Branch from the parent as it was at this time, RFC 3339.
        parent_lsn: Branch from the parent as it was at this log position, such as `0/1DE2850`.
        expires_at: Time of its deletion, RFC 3339; not together with `ttl`.
        compute: Size of its compute; None is the project's default.
        databases: Further databases: owner role by name.
        roles: Further roles.
    """

    name: str
    project: str
    database: str
    role: str
    parent: str | None = None
    ttl: str | None = None
    protected: bool = False
    annotations: Mapping[str, str] = field(default_factory=dict)
    rotate_password: bool = True
    delete_children: bool = False
    api_host: str | None = None
    init: BranchInit = "data"
    masking_rules: tuple[MaskingRule, ...] = ()
    parent_timestamp: str | None = None
    parent_lsn: str | None = None
    expires_at: str | None = None
    compute: Compute | None = None
    databases: Mapping[str, str] = field(default_factory=dict)
    roles: tuple[str, ...] = ()

    def to_plain(self) -> dict[str, Any]:
        """Returns it as JSON data without what has its default, so that new fields change no old state."""
        return _plain(self)

    @classmethod
    def from_plain(cls, data: Mapping[str, Any]) -> Self:
        """Builds a request from what `to_plain` made, now or in an earlier version.

        Args:
            data: JSON data.

        Raises:
            TypeError: A field is unknown or a required one is missing.
        """
        given = dict(data)
        if "masking_rules" in given:
            given["masking_rules"] = tuple(MaskingRule(**rule) for rule in given["masking_rules"])
        if given.get("compute") is not None:
            given["compute"] = Compute(**given["compute"])
        if "roles" in given:
            given["roles"] = tuple(given["roles"])
        return cls(**given)


def _plain(value: BranchRequest | MaskingRule | Compute) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for item in fields(value):
        content = getattr(value, item.name)
        default = item.default_factory() if item.default_factory is not MISSING else item.default
        if content == default:
            continue
        if isinstance(content, Mapping):
            content = dict(content)
        elif isinstance(content, tuple):
            content = [_plain(part) if isinstance(part, MaskingRule) else part for part in content]
        elif isinstance(content, Compute):
            content = _plain(content)
        found[item.name] = content
    return found
