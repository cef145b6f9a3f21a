"""Putting a branch back to another branch's present state: Neon's restore, and reset to the parent."""

from __future__ import annotations

from datetime import timedelta

from kardinal_neon_local import sql
from kardinal_neon_local.branches import children, inherited, require_masked, require_name
from kardinal_neon_local.errors import ApiError, LocalNeonError
from kardinal_neon_local.history import Moment, clone_at, require
from kardinal_neon_local.identifiers import new_id, now
from kardinal_neon_local.operations import Step
from kardinal_neon_local.records import Branch, Masking, Operation, Record
from kardinal_neon_local.requests import BranchRestore
from kardinal_neon_local.service import Service
from kardinal_neon_local.steps import match_records


async def restore_branch(
    service: Service, branch: Branch, request: BranchRestore
) -> tuple[Branch, list[Operation]]:
    """Starts the replacement of a branch's data; its endpoint, id and name stay.

    Args:
        service: The service.
        branch: The branch.
        request: The validated request.

    Raises:
        ApiError: 404 for an unknown source; 409 if `preserve_under_name` is taken; 422 for a point in time,
            a protected branch, or one with children and no `preserve_under_name`; 423 while others run.
    """
    source = service.branch(branch.project_id, request.source_branch_id)
    at = Moment.of(request.source_lsn, request.source_timestamp, "source_")
    if source.id == branch.id and at is None:
        raise ApiError(400, "restoring a branch from itself needs source_lsn or source_timestamp")
    if branch.protected:
        raise ApiError(422, f"cannot restore the protected branch {branch.id}")
    if service.store.get(Masking, branch.id) is not None:
        raise ApiError(422, f"cannot restore the anonymized branch {branch.id}")
    require_masked(service, source)
    if source.current_state != "ready" or branch.current_state != "ready":
        raise ApiError(422, "branch not ready yet")
    service.operations.require_free(branch.project_id)
    if source.id == branch.id and request.preserve_under_name is None:
        raise ApiError(422, "restoring a branch to its own past needs preserve_under_name")
    await service.instances.require_space(source)
    if at is not None:
        await require(service, source, at)
    position = await service.instances.execute(source, sql.position)
    if children(service, branch) and request.preserve_under_name is None:
        raise ApiError(422, f"branch {branch.id} has children: preserve_under_name is required")
    if request.preserve_under_name is not None:
        require_name(service, branch.project_id, request.preserve_under_name)
    service.operations.require_free(branch.project_id)
    slot = service.next_slot()
    arguments = {"source": source.id, "directory": f"{branch.id}.{slot}", "slot": str(slot)}
    arguments |= {"old": branch.directory, "lsn": position, "preserve": request.preserve_under_name or ""}
    arguments |= at.save() if at is not None else {}
    branch.current_state, branch.pending_state = "resetting", "ready"
    branch.state_changed_at = branch.updated_at = now()
    steps = [Step("create_branch", "restore_branch", branch.id, None, arguments)]
    if source.protected:
        steps.append(Step("apply_config", "set_passwords", branch.id))
    steps += [
        Step("start_compute", "start_compute", branch.id, endpoint.id)
        for endpoint in service.store.endpoints(branch.id)
    ]
    return branch, service.operations.submit(branch.project_id, steps, save=[branch])


def register(service: Service) -> None:
    """Makes the steps known to the service's operations.

    Args:
        service: The service.
    """

    async def restore(operation: Operation) -> None:
        arguments = operation.arguments
        branch = service.store.get(Branch, operation.branch_id or "")
        source = service.store.get(Branch, arguments["source"])
        if branch is None or source is None:
            raise LocalNeonError("branch or source does not exist any more")
        if branch.directory != arguments["directory"]:
            staged = branch.model_copy(
                update={"directory": arguments["directory"], "slot": int(arguments["slot"])}
            )
            lsn = await clone_at(service, source, staged, Moment.load(arguments))
            for endpoint in service.store.endpoints(branch.id):
                await service.gateway.cut(endpoint.id)
            await service.instances.stop(branch)
            arguments["lsn"] = lsn or arguments["lsn"]
            _switch(service, branch, source, staged, arguments)
        if Moment.load(arguments) is not None:
            await match_records(service, branch)
        if not arguments["preserve"]:
            await service.instances.remove(arguments["old"])

    async def give_up(operation: Operation) -> None:
        branch = service.store.get(Branch, operation.branch_id or "")
        if branch is not None and branch.directory == operation.arguments["old"]:
            branch.current_state, branch.pending_state = "ready", None  # the old data is as it was
            service.store.change(branch)

    service.operations.handle("restore_branch", restore, give_up)


def _switch(
    service: Service, branch: Branch, source: Branch, staged: Branch, arguments: dict[str, str]
) -> None:
    """In one transaction: the branch takes the new data directory, a preserved one takes the old."""
    moment = now()
    save: list[Record] = []
    remove: list[Record] = [*service.store.roles(branch.id), *service.store.databases(branch.id)]
    preserved_id = new_id("br")
    if arguments["preserve"]:
        preserved = branch.model_copy(
            update={
                "id": preserved_id,
                "name": arguments["preserve"],
                "default": False,
                "current_state": "ready",
                "pending_state": None,
                "annotation": {},
                "expires_at": None,
                "ttl_interval_seconds": None,
                "created_at": moment,
                "updated_at": moment,
                "state_changed_at": moment,
            }
        )
        for child in children(service, branch):
            child.parent_id = preserved.id
            save.append(child)
        kept_roles, kept_databases = inherited(service, branch, preserved)
        for kept, role in zip(kept_roles, service.store.roles(branch.id), strict=True):
            kept.password = role.password
        save += [preserved, *kept_roles, *kept_databases]
    roles, databases = inherited(service, source, branch)
    branch.directory, branch.slot = staged.directory, staged.slot
    branch.parent_lsn, branch.parent_timestamp = arguments["lsn"], moment.replace(microsecond=0)
    branch.parent_id = source.id if source.id != branch.id else preserved_id
    branch.logical_size = source.logical_size
    branch.current_state, branch.pending_state = "ready", None
    branch.last_reset_at = branch.state_changed_at = branch.updated_at = moment
    if branch.ttl_interval_seconds is not None:  # a reset restarts the time to live
        branch.expires_at = moment.replace(microsecond=0) + timedelta(seconds=branch.ttl_interval_seconds)
    service.store.change(branch, *roles, *databases, *save, remove=tuple(remove))
