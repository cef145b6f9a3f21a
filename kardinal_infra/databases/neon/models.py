"""Typed answers of the Neon API v2, the parts this package uses.

Every enum is open (a plain `str`): Neon's documentation shows states that its specification lacks. Unknown
fields are dropped and deprecated ones (`primary`, `pooler_enabled`, `proxy_host`) are not modelled, so that
neither their arrival nor their removal breaks a deployment. Secrets are `SecretStr`: no repr shows them.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

READ_WRITE = "read_write"


class NeonModel(BaseModel):
    """Base of all answers: immutable, tolerant of fields that Neon adds later."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class EndpointDefaults(NeonModel):
    """What a project gives to computes whose creator says nothing."""

    autoscaling_limit_min_cu: float | None = None
    autoscaling_limit_max_cu: float | None = None
    suspend_timeout_seconds: int | None = None


class Project(NeonModel):
    """A Neon project.

    `store_passwords` false means that no call reveals a role's password (HTTP 412).
    """

    id: str
    name: str
    pg_version: int | None = None
    region_id: str | None = None
    store_passwords: bool = True
    history_retention_seconds: int | None = None
    default_endpoint_settings: EndpointDefaults = Field(default_factory=EndpointDefaults)


class Branch(NeonModel):
    """A branch of a project.

    `parent_id` is absent on root branches, `parent_lsn` (for example `0/1DE2850`) as well. Times are UTC.
    `logical_size` is in bytes and absent at first.
    """

    id: str
    project_id: str
    name: str
    parent_id: str | None = None
    parent_lsn: str | None = None
    parent_timestamp: datetime | None = None
    current_state: str = "ready"
    pending_state: str | None = None
    default: bool = False
    protected: bool = False
    init_source: str | None = None
    expires_at: datetime | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    logical_size: int | None = None


class AnnotationObject(NeonModel):
    """What an annotation is attached to; `type` is `console/branch` for branches."""

    type: str = "console/branch"
    id: str = ""


class Annotation(NeonModel):
    """Ownership marks of a branch: flat text to text, settable only when the branch is created."""

    object: AnnotationObject = Field(default_factory=AnnotationObject)
    value: dict[str, str] = Field(default_factory=dict)


class AnnotatedBranch(NeonModel):
    """A branch together with its annotations (empty when it has none)."""

    branch: Branch
    annotations: dict[str, str] = Field(default_factory=dict)


class Endpoint(NeonModel):
    """A compute of a branch, the host that clients connect to.

    On Neon every compute has a host of its own and port 5432. `port` is added by services whose computes
    share one host.
    """

    id: str
    project_id: str
    branch_id: str
    host: str
    port: int | None = None
    type: str = READ_WRITE
    current_state: str = "idle"
    pending_state: str | None = None
    disabled: bool = False
    autoscaling_limit_min_cu: float | None = None
    autoscaling_limit_max_cu: float | None = None
    suspend_timeout_seconds: int | None = None


class Operation(NeonModel):
    """One asynchronous step of a write.

    `failures_count` and `updated_at` move while the control plane retries a failed step.
    """

    id: str
    project_id: str
    action: str
    status: str
    branch_id: str | None = None
    endpoint_id: str | None = None
    failures_count: int = 0
    error: str | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None


class Role(NeonModel):
    """A PostgreSQL role of one branch; `password` only in answers to its creation or to a reset."""

    branch_id: str
    name: str
    password: SecretStr | None = None
    protected: bool = False


class Database(NeonModel):
    """A database of one branch."""

    id: int
    branch_id: str
    name: str
    owner_name: str


class Column(NeonModel):
    """A column of a table."""

    name: str


class Constraint(NeonModel):
    """A constraint of a table; `type` is primary_key, unique or foreign_key (open list)."""

    type: str
    columns: list[str] = Field(default_factory=list)


class Table(NeonModel):
    """A table as Neon's schema call describes it."""

    # pydantic's own `schema` is in the way of a field of this name.
    schema_name: str = Field(alias="schema")
    name: str
    columns: list[Column] = Field(default_factory=list)
    constraints: list[Constraint] = Field(default_factory=list)


class BranchChange(NeonModel):
    """Answer to a write on a branch: its new state and the operations that bring it about."""

    branch: Branch
    operations: list[Operation] = Field(default_factory=list)


class BranchCreated(BranchChange):
    """Answer to the creation of a branch.

    `connection_uris` is not modelled on purpose: Neon leaves it out as soon as the parent has more than one
    role or database, so it can never be relied on.
    """

    endpoints: list[Endpoint] = Field(default_factory=list)
    roles: list[Role] = Field(default_factory=list)
    databases: list[Database] = Field(default_factory=list)


class EndpointChange(NeonModel):
    """Answer to a write on an endpoint."""

    endpoint: Endpoint
    operations: list[Operation] = Field(default_factory=list)


class RoleChange(NeonModel):
    """Answer to a write on a role; carries the password of a new or reset one."""

    role: Role
    operations: list[Operation] = Field(default_factory=list)


class DatabaseChange(NeonModel):
    """Answer to a write on a database."""

    database: Database
    operations: list[Operation] = Field(default_factory=list)


class MaskingRule(NeonModel):
    """How one column is masked: by a function (`anon.fake_email()`) or by a fixed value."""

    database_name: str
    schema_name: str
    table_name: str
    column_name: str
    masking_function: str | None = None
    masking_value: str | None = None


class AnonymizedStatus(NeonModel):
    """Progress of an anonymized branch.

    `state` is one of created, initialized, initialization_error, anonymizing, anonymized, error (open list).
    """

    state: str
    status_message: str | None = None
    failed_at: datetime | None = None


class EndpointOptions(NeonModel):
    """A compute to create with a branch; what is left out follows the project's defaults.

    Sizes are in compute units (0.25 and up); `suspend_timeout_seconds` is 0 for the default, -1 for never,
    else 60 to 604800.
    """

    type: Literal["read_write", "read_only"] = "read_write"
    autoscaling_limit_min_cu: float | None = None
    autoscaling_limit_max_cu: float | None = None
    suspend_timeout_seconds: int | None = None


class BranchOptions(NeonModel):
    """A branch to create. `parent_lsn` and `parent_timestamp` exclude each other."""

    name: str
    parent_id: str
    parent_lsn: str | None = None
    parent_timestamp: str | None = None
    protected: bool | None = None
    init_source: Literal["parent-data", "schema-only"] | None = None
    expires_at: str | None = None


def body(model: NeonModel) -> dict[str, Any]:
    """Turns options into a request body, leaving out what is not set.

    Args:
        model: Options of a request.
    """
    return model.model_dump(mode="json", exclude_none=True)
