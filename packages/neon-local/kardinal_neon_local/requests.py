"""Bodies of requests. Unknown fields are ignored, as Neon does; what is known must have the right type."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AwareDatetime, BaseModel, Field, StringConstraints, ValidationError

from kardinal_neon_local.errors import ApiError
from kardinal_neon_local.records import MaskingRule

Name = Annotated[str, StringConstraints(min_length=1, max_length=256)]
SqlName = Annotated[str, StringConstraints(min_length=1, max_length=63)]
Model = TypeVar("Model", bound=BaseModel)


class EndpointOptions(BaseModel):
    """An endpoint as part of another request."""

    type: Literal["read_write", "read_only"] = "read_write"
    name: Annotated[str, StringConstraints(min_length=1, max_length=64)] | None = None
    autoscaling_limit_min_cu: float = Field(default=0.25, ge=0.25)
    autoscaling_limit_max_cu: float = Field(default=0.25, ge=0.25)
    suspend_timeout_seconds: int = Field(default=0, ge=-1, le=604800)
    disabled: bool = False
    settings: dict[str, Any] = Field(default_factory=dict)


class NewBranch(BaseModel):
    """The `branch` of a create request."""

    name: Name | None = None
    parent_id: str | None = None
    parent_lsn: str | None = None
    parent_timestamp: AwareDatetime | None = None
    protected: bool = False
    archived: bool = False
    init_source: str = "parent-data"
    expires_at: AwareDatetime | None = None


class BranchCreate(BaseModel):
    """POST /projects/{p}/branches."""

    branch: NewBranch = Field(default_factory=NewBranch)
    endpoints: list[EndpointOptions] = Field(default_factory=list)
    annotation_value: dict[str, str] = Field(default_factory=dict)


class MaskingRules(BaseModel):
    """PATCH .../masking_rules: the whole list."""

    masking_rules: list[MaskingRule]


class AnonymizedCreate(BaseModel):
    """POST /projects/{p}/branch_anonymized."""

    branch_create: BranchCreate = Field(default_factory=BranchCreate)
    masking_rules: list[MaskingRule] = Field(default_factory=list)
    start_anonymization: bool = False
    annotation_value: dict[str, str] = Field(default_factory=dict)


class BranchChange(BaseModel):
    """The `branch` of an update; what was not sent is not in `model_fields_set`."""

    name: Name | None = None
    protected: bool | None = None
    expires_at: AwareDatetime | None = None


class BranchUpdate(BaseModel):
    """PATCH /projects/{p}/branches/{b}."""

    branch: BranchChange


class BranchRestore(BaseModel):
    """POST /projects/{p}/branches/{b}/restore."""

    source_branch_id: str
    source_lsn: str | None = None
    source_timestamp: datetime | None = None
    preserve_under_name: Name | None = None


class NewEndpoint(EndpointOptions):
    """The `endpoint` of a create request."""

    branch_id: str


class EndpointCreate(BaseModel):
    """POST /projects/{p}/endpoints."""

    endpoint: NewEndpoint


class EndpointChange(BaseModel):
    """The `endpoint` of an update."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=64)] | None = None
    autoscaling_limit_min_cu: float | None = Field(default=None, ge=0.25)
    autoscaling_limit_max_cu: float | None = Field(default=None, ge=0.25)
    suspend_timeout_seconds: int | None = Field(default=None, ge=-1, le=604800)
    disabled: bool | None = None
    settings: dict[str, Any] | None = None


class EndpointUpdate(BaseModel):
    """PATCH /projects/{p}/endpoints/{e}."""

    endpoint: EndpointChange


class NewRole(BaseModel):
    """The `role` of a create request."""

    name: SqlName
    no_login: bool = False


class RoleCreate(BaseModel):
    """POST .../roles."""

    role: NewRole


class NewDatabase(BaseModel):
    """The `database` of a create request."""

    name: SqlName
    owner_name: SqlName


class DatabaseCreate(BaseModel):
    """POST .../databases."""

    database: NewDatabase


class DatabaseChange(BaseModel):
    """The `database` of an update."""

    name: SqlName | None = None
    owner_name: SqlName | None = None


class DatabaseUpdate(BaseModel):
    """PATCH .../databases/{d}."""

    database: DatabaseChange


class ProjectBranch(BaseModel):
    """The first branch of a new project."""

    name: Name = "main"
    role_name: SqlName | None = None
    database_name: SqlName = "neondb"


class NewProject(BaseModel):
    """The `project` of a create request."""

    name: Name | None = None
    region_id: str = "local"
    pg_version: int | None = None
    store_passwords: bool = True
    branch: ProjectBranch = Field(default_factory=ProjectBranch)


class ProjectCreate(BaseModel):
    """POST /projects."""

    project: NewProject


def parse(model: type[Model], body: bytes) -> Model:
    """Reads a request's body.

    Args:
        model: What it must be.
        body: JSON, or nothing where every field has a default.

    Raises:
        ApiError: 400 with every problem and its path.
    """
    try:
        return model.model_validate_json(body or b"{}")
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in problem['loc']) or 'body'}: {problem['msg']}"
            for problem in error.errors(include_url=False, include_input=False)
        )
        raise ApiError(400, f"invalid request: {problems}") from None
