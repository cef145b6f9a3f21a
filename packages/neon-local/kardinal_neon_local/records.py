"""What the service remembers: one pydantic model per kind of object, stored as JSON documents."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from kardinal_neon_local.identifiers import now

Moment = Annotated[datetime, Field(default_factory=now)]


class Record(BaseModel):
    """A stored object. `kind` names its table part, `key` is unique within the kind."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True)
    kind: ClassVar[str]

    @property
    def key(self) -> str:
        """The primary key."""
        raise NotImplementedError


class Project(Record):
    """A Neon project: a name space of branches with one queue of operations."""

    kind: ClassVar[str] = "project"
    id: str
    name: str
    region_id: str
    store_passwords: bool
    history_retention_seconds: int = 0
    created_at: Moment
    updated_at: Moment

    @property
    def key(self) -> str:
        """The project id."""
        return self.id


class Branch(Record):
    """A branch: one PostgreSQL data directory.

    Attributes:
        directory: Name of the data directory under `instances/`; a restore moves to a fresh one.
        slot: Number of the instance's Unix socket, unique in the service.
        annotation: The caller's key-value pairs, set at creation and never after.
        deleted_at: Set while the branch can still be recovered.
    """

    kind: ClassVar[str] = "branch"
    id: str
    project_id: str
    name: str
    directory: str
    slot: int
    parent_id: str | None = None
    parent_lsn: str | None = None
    parent_timestamp: datetime | None = None
    current_state: str = "init"
    pending_state: str | None = "ready"
    state_changed_at: Moment
    default: bool = False
    protected: bool = False
    init_source: str = "parent-data"
    expires_at: datetime | None = None
    ttl_interval_seconds: int | None = None
    last_reset_at: datetime | None = None
    logical_size: int | None = None
    annotation: dict[str, str] = Field(default_factory=dict)
    created_at: Moment
    updated_at: Moment
    deleted_at: datetime | None = None
    recoverable_until: datetime | None = None
    deletion_method: Literal["user", "ttl"] | None = None

    @property
    def key(self) -> str:
        """The branch id."""
        return self.id


class Endpoint(Record):
    """A compute: the address through which a branch is reached, kept for the endpoint's life.

    Attributes:
        address: Its own IP address; None when it has the service's, with a port of its own.
    """

    kind: ClassVar[str] = "endpoint"
    id: str
    project_id: str
    branch_id: str
    port: int
    address: str | None = None
    name: str | None = None
    current_state: Literal["init", "active", "idle"] = "init"
    pending_state: str | None = "active"
    disabled: bool = False
    suspend_timeout_seconds: int = 0
    autoscaling_limit_min_cu: float = 0.25
    autoscaling_limit_max_cu: float = 0.25
    pg_settings: dict[str, str] = Field(default_factory=dict)
    last_active: datetime | None = None
    started_at: datetime | None = None
    suspended_at: datetime | None = None
    created_at: Moment
    updated_at: Moment

    @property
    def key(self) -> str:
        """The endpoint id."""
        return self.id


class Role(Record):
    """A login role of one branch. The password is kept because Neon's API reveals it."""

    kind: ClassVar[str] = "role"
    branch_id: str
    name: str
    password: str | None = Field(default=None, repr=False)
    no_login: bool = False
    created_at: Moment
    updated_at: Moment

    @property
    def key(self) -> str:
        """Branch and name together."""
        return f"{self.branch_id}/{self.name}"


class MaskingRule(BaseModel):
    """What replaces a column's values: a function such as `anon.fake_email()`, or one value."""

    database_name: str
    schema_name: str
    table_name: str
    column_name: str
    masking_function: str | None = None
    masking_value: str | None = None


MaskingState = Literal["created", "initialized", "initialization_error", "anonymizing", "anonymized", "error"]


class Masking(Record):
    """The masking of an anonymized branch. Nobody may connect unless the state is `anonymized`.

    Attributes:
        status_message: Progress, or what went wrong; never a value of a row.
    """

    kind: ClassVar[str] = "masking"
    branch_id: str
    state: MaskingState = "created"
    rules: list[MaskingRule]
    status_message: str | None = None
    failed_at: datetime | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None
    masked_columns: int = 0
    created_at: Moment
    updated_at: Moment

    @property
    def key(self) -> str:
        """The branch id."""
        return self.branch_id


class Base(Record):
    """A copy of a data directory from which later moments of it can be reached.

    Attributes:
        id: Name of the copy under `history/`.
        source: The data directory that was copied.
        start_lsn: The WAL from here on is needed.
        finished_lsn: The earliest position that can be reached.
        finished_at: The earliest moment that can be reached.
    """

    kind: ClassVar[str] = "base"
    id: str
    branch_id: str
    source: str
    start_lsn: str
    finished_lsn: str
    finished_at: datetime

    @property
    def key(self) -> str:
        """Name of the copy."""
        return self.id


class Database(Record):
    """A database of one branch."""

    kind: ClassVar[str] = "database"
    id: int
    branch_id: str
    name: str
    owner_name: str
    created_at: Moment
    updated_at: Moment

    @property
    def key(self) -> str:
        """Branch and name together."""
        return f"{self.branch_id}/{self.name}"


class Operation(Record):
    """One step of a write, as listed by the API, with what is needed to do it again after a crash.

    Attributes:
        task: Name of the handler that does the work.
        arguments: What the handler needs beyond the ids; never a secret.
        group: Steps of one request; when one fails the later ones are cancelled.
    """

    kind: ClassVar[str] = "operation"
    id: str
    project_id: str
    branch_id: str | None = None
    endpoint_id: str | None = None
    action: str
    status: str = "scheduling"
    error: str | None = None
    failures_count: int = 0
    total_duration_ms: int = 0
    task: str
    arguments: dict[str, str] = Field(default_factory=dict)
    group: str
    created_at: Moment
    updated_at: Moment

    @property
    def key(self) -> str:
        """The operation's UUID."""
        return self.id

    @property
    def pending(self) -> bool:
        """Whether the work is still to be done, so that it blocks other writes."""
        return self.status in ("scheduling", "running")
