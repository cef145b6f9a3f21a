"""Branches: what is made, what is inherited, what can be changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import NamedTuple

from kardinal_neon_local import sql
from kardinal_neon_local.errors import ApiError, conflict
from kardinal_neon_local.history import Moment, require
from kardinal_neon_local.identifiers import new_id, new_password, now, rfc3339
from kardinal_neon_local.operations import Step
from kardinal_neon_local.records import (
    Branch,
    Database,
    Endpoint,
    Masking,
    MaskingRule,
    Operation,
    Record,
    Role,
)
from kardinal_neon_local.requests import BranchChange, BranchCreate, EndpointOptions
from kardinal_neon_local.service import Service

_LONGEST_TTL = timedelta(days=30)


def require_name(service: Service, project_id: str, name: str, besides: str = "") -> None:
    """Refuses a name that another live branch of the project has.

    Args:
        service: The service.
        project_id: Id of the project.
        name: The name.
        besides: Id of the branch that may have it.
    """
    if any(b.name == name and b.id != besides for b in service.store.branches(project_id)):
        raise conflict("branch", "branch_name", name)


def children(service: Service, branch: Branch) -> list[Branch]:
    """Lists the live branches made from this one.

    Args:
        service: The service.
        branch: The branch.
    """
    return [b for b in service.store.branches(branch.project_id) if b.parent_id == branch.id]


def _expiry(moment: datetime) -> tuple[datetime, int]:
    """Applies Neon's rules for `expires_at`: in the future, at most 30 days ahead, whole seconds."""
    moment = moment.replace(microsecond=0)
    left = moment - now()
    if left <= timedelta() or left > _LONGEST_TTL:
        raise ApiError(422, f"expires_at must be in the future and at most 30 days ahead: {rfc3339(moment)}")
    return moment, max(1, round(left.total_seconds()))


def new_endpoint(service: Service, branch: Branch, options: EndpointOptions) -> Endpoint:
    """Makes the record of a new endpoint with a port of its own.

    Args:
        service: The service.
        branch: The branch.
        options: What is wanted of it.

    Raises:
        ApiError: 422 for a read-only endpoint, or when no port is left.
    """
    if options.type != "read_write":
        raise ApiError(422, "read_only endpoints are not supported by the local service")
    settings = options.settings.get("pg_settings", {}) or {}
    address, port = service.next_place()
    return Endpoint(
        id=new_id("ep"),
        project_id=branch.project_id,
        branch_id=branch.id,
        port=port,
        address=address,
        name=options.name,
        disabled=options.disabled,
        suspend_timeout_seconds=options.suspend_timeout_seconds,
        autoscaling_limit_min_cu=options.autoscaling_limit_min_cu,
        autoscaling_limit_max_cu=options.autoscaling_limit_max_cu,
        pg_settings={name: str(value) for name, value in settings.items()},
        created_at=now(),
        updated_at=now(),
    )


def _require_limits(service: Service, project_id: str, *, root: bool) -> None:
    branches = service.store.branches(project_id)
    if len(branches) >= service.settings.branches_limit:
        limit = service.settings.branches_limit
        raise ApiError(422, f"branches limit exceeded: {limit} per project", "BRANCHES_LIMIT_EXCEEDED")
    limit = service.settings.root_branches_limit
    if root and sum(b.parent_id is None for b in branches) >= limit:
        raise ApiError(
            422, f"root branches limit exceeded: {limit} per project", "ROOT_BRANCHES_LIMIT_EXCEEDED"
        )


def parent_of(service: Service, project_id: str, request: BranchCreate) -> Branch:
    """Finds the branch that a new one is made from.

    Args:
        service: The service.
        project_id: Id of the project.
        request: The validated request.

    Raises:
        ApiError: 400, 404 or 422 if there is none that can be one.
    """
    wanted = request.branch
    if wanted.init_source not in ("parent-data", "schema-only"):
        raise ApiError(400, f"init_source must be parent-data or schema-only: {wanted.init_source}")
    parent = (
        service.branch(project_id, wanted.parent_id)
        if wanted.parent_id
        else service.default_branch(project_id)
    )
    if parent.expires_at is not None and wanted.init_source != "schema-only":
        raise ApiError(422, f"branch {parent.id} has an expiration date, so it cannot have children")
    return parent


class Created(NamedTuple):
    """A new branch, with what it inherits."""

    branch: Branch
    endpoints: list[Endpoint]
    operations: list[Operation]
    roles: list[Role]
    databases: list[Database]


async def create_branch(
    service: Service,
    project_id: str,
    request: BranchCreate,
    *,
    masking: Sequence[MaskingRule] | None = None,
    later: Sequence[Step] = (),
) -> Created:
    """Makes a branch's records and starts the work.

    Args:
        service: The service.
        project_id: An existing project.
        request: The validated request.
        masking: Rules of an anonymized branch: nobody can connect until it is masked.
        later: Steps that follow and that the answer does not wait for.

    Raises:
        ApiError: 404, 409, 422 or 423 as in Neon.
    """
    wanted = request.branch
    at = Moment.of(wanted.parent_lsn, wanted.parent_timestamp, "parent_")
    parent = parent_of(service, project_id, request)
    service.operations.require_free(project_id)
    if parent.current_state != "ready":
        raise ApiError(422, "branch not ready yet")
    root = wanted.init_source == "schema-only"
    if not root:
        require_masked(service, parent)
    moment = now()
    branch_id = new_id("br")
    branch = Branch(
        id=branch_id,
        project_id=project_id,
        name=wanted.name or branch_id,
        directory=branch_id,
        slot=service.next_slot(),
        parent_id=None if root else parent.id,
        init_source=wanted.init_source,
        protected=wanted.protected,
        annotation=request.annotation_value,
        created_at=moment,
        updated_at=moment,
        state_changed_at=moment,
    )
    if root and at is not None:
        raise ApiError(422, "a schema-only branch starts with its parent's present schema")
    await service.instances.require_space(parent)
    if at is not None:
        await require(service, parent, at)
        branch.parent_lsn, branch.parent_timestamp = at.lsn, at.timestamp
    elif not root:
        branch.parent_lsn = await service.instances.execute(parent, sql.position)
        branch.parent_timestamp = moment.replace(microsecond=0)
    if wanted.expires_at is not None:
        if wanted.protected:
            raise ApiError(422, "a protected branch cannot have an expiration date")
        branch.expires_at, branch.ttl_interval_seconds = _expiry(wanted.expires_at)
    if len(request.endpoints) > 1:
        raise conflict("read-write endpoint", "branch_id", branch.id)
    # From here to submit() nothing awaits, so no other request comes between the checks and the records.
    require_name(service, project_id, branch.name)
    _require_limits(service, project_id, root=root)
    service.operations.require_free(project_id)
    endpoints = [new_endpoint(service, branch, options) for options in request.endpoints]
    roles, databases = inherited(service, parent, branch)
    source = {"source": parent.id, **(at.save() if at else {})}
    steps = [Step("create_branch", "copy_schema" if root else "clone_branch", branch.id, None, source)]
    if parent.protected:
        steps.append(Step("apply_config", "set_passwords", branch.id))
    steps += [Step("start_compute", "start_compute", branch.id, endpoint.id) for endpoint in endpoints]
    records: list[Record] = [branch, *endpoints, *roles, *databases]
    if masking is not None:
        records.append(
            Masking(branch_id=branch.id, rules=list(masking), created_at=moment, updated_at=moment)
        )
    following = [replace(step, branch_id=branch.id) for step in later]
    operations = service.operations.submit(project_id, [*steps, *following], save=records)
    return Created(branch, endpoints, operations[: len(steps)], roles, databases)


def require_masked(service: Service, branch: Branch) -> None:
    """Refuses to pass on the data of an anonymized branch that is not masked.

    Args:
        service: The service.
        branch: The branch.

    Raises:
        ApiError: 422 in every state but `anonymized`.
    """
    masking = service.store.get(Masking, branch.id)
    if masking is not None and masking.state != "anonymized":
        raise ApiError(422, f"branch {branch.id} is not anonymized yet: its state is {masking.state}")


def inherited(service: Service, parent: Branch, branch: Branch) -> tuple[list[Role], list[Database]]:
    """Copies the parent's roles and databases, the roles with new passwords if it is protected.

    Args:
        service: The service.
        parent: The branch that is copied.
        branch: The new branch.
    """
    moment = now()
    roles = [
        role.model_copy(update={"branch_id": branch.id, "created_at": moment, "updated_at": moment})
        for role in service.store.roles(parent.id)
    ]
    if parent.protected:
        for role in roles:
            role.password = None if role.no_login else new_password()
    databases = [
        database.model_copy(
            update={
                "id": service.store.next_number("database", 1000),
                "branch_id": branch.id,
                "created_at": moment,
                "updated_at": moment,
            }
        )
        for database in service.store.databases(parent.id)
    ]
    return roles, databases


def update_branch(service: Service, branch: Branch, change: BranchChange) -> Branch:
    """Renames, protects or sets the end of a branch; nothing else can be changed.

    Args:
        service: The service.
        branch: The branch.
        change: What was sent.
    """
    service.operations.require_free(branch.project_id)
    sent = change.model_fields_set
    updated = branch.model_copy()
    if change.name is not None:
        require_name(service, branch.project_id, change.name, besides=branch.id)
        updated.name = change.name
    if change.protected is not None:
        updated.protected = change.protected
    if "expires_at" in sent:
        updated.expires_at, updated.ttl_interval_seconds = (
            (None, None) if change.expires_at is None else _expiry(change.expires_at)
        )
    if updated.expires_at is not None:
        if branch.default:
            raise ApiError(422, "the default branch cannot have an expiration date")
        if children(service, branch):
            raise ApiError(422, "a branch with children cannot have an expiration date")
    if updated.expires_at is not None and updated.protected:
        raise ApiError(422, "a protected branch cannot have an expiration date")
    updated.updated_at = now()
    service.store.change(updated)
    return updated


def set_as_default(service: Service, branch: Branch) -> Branch:
    """Makes a branch the project's default one.

    Args:
        service: The service.
        branch: The branch.

    Raises:
        ApiError: 422 if it has an expiration date; 423 while others run.
    """
    service.operations.require_free(branch.project_id)
    if branch.expires_at is not None:
        raise ApiError(422, "a branch with an expiration date cannot be the default branch")
    require_masked(service, branch)
    before = service.default_branch(branch.project_id)
    before.default, branch.default = False, True
    before.updated_at = branch.updated_at = now()
    service.store.change(before, branch)
    return branch
