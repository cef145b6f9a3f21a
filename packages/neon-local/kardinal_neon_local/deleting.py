"""The end of branches: deleted, recovered for a while, then removed for good."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from kardinal_neon_local.branches import children, require_name
from kardinal_neon_local.errors import ApiError
from kardinal_neon_local.identifiers import now
from kardinal_neon_local.operations import Step
from kardinal_neon_local.records import Branch, Endpoint, Masking, Operation, Record
from kardinal_neon_local.service import Service


def delete_branch(
    service: Service, branch: Branch, *, hard: bool, method: Literal["user", "ttl"] = "user"
) -> tuple[Branch, list[Operation]]:
    """Deletes a branch: at once for callers, its instance and data by operations.

    Args:
        service: The service.
        branch: The branch.
        hard: Whether it cannot be recovered.
        method: Who deletes it.

    Raises:
        ApiError: 422 for the default branch, a protected one, or one with children; 423 while others run.
    """
    if branch.default:
        raise ApiError(422, f"cannot delete the default branch {branch.id}")
    if branch.protected:
        raise ApiError(422, f"cannot delete the protected branch {branch.id}")
    offspring = children(service, branch)
    if offspring:
        names = ", ".join(f"{b.name} ({b.id})" for b in offspring)
        raise ApiError(422, f"cannot delete branch {branch.id}: it has children: {names}")
    service.operations.require_free(branch.project_id)
    moment = now()
    unusable = branch.current_state == "init"  # never finished: nothing that could be recovered
    window = timedelta(seconds=0 if hard or unusable else service.settings.recovery_window)
    branch.deleted_at = branch.updated_at = moment
    branch.deletion_method = method
    branch.recoverable_until = moment + window
    branch.pending_state = "storage_deleted"
    endpoints = service.store.endpoints(branch.id)
    steps = [Step("suspend_compute", "close_endpoint", branch.id, endpoint.id) for endpoint in endpoints]
    steps.append(Step("delete_timeline", "delete_branch", branch.id))
    return branch, service.operations.submit(branch.project_id, steps, save=[branch])


async def recover_branch(service: Service, branch: Branch) -> tuple[Branch, list[Endpoint]]:
    """Brings a deleted branch back, without its expiration date; its URIs stay valid.

    Args:
        service: The service.
        branch: The branch.

    Raises:
        ApiError: 422 if it is not deleted; 409 if its name has been given to another one.
    """
    if branch.deleted_at is None:
        raise ApiError(422, f"branch {branch.id} is not deleted")
    service.operations.require_free(branch.project_id)
    require_name(service, branch.project_id, branch.name, besides=branch.id)
    if branch.parent_id is not None:
        service.branch(branch.project_id, branch.parent_id)
    branch.deleted_at = branch.recoverable_until = branch.deletion_method = None
    branch.expires_at = branch.ttl_interval_seconds = branch.pending_state = None
    branch.updated_at = now()
    endpoints = service.store.endpoints(branch.id)
    service.store.change(branch)
    for endpoint in endpoints:
        service.mark_idle(endpoint)
        await service.open_endpoint(endpoint)
    return branch, endpoints


async def purge(service: Service, branch: Branch) -> None:
    """Removes a deleted branch's data and records for good.

    Args:
        service: The service.
        branch: The branch.
    """
    await service.instances.stop(branch)
    await service.instances.remove(branch.directory)
    belongings: list[Record] = [
        *service.store.endpoints(branch.id),
        *service.store.roles(branch.id),
        *service.store.databases(branch.id),
    ]
    masking = service.store.get(Masking, branch.id)
    if masking is not None:
        belongings.append(masking)
    service.store.change(remove=(branch, *belongings))
