"""The asynchronous steps of branches and computes.

Each finds its objects by the operation and may be repeated.
"""

from __future__ import annotations

from functools import partial

from kardinal_neon_local import schemas, sql
from kardinal_neon_local.deleting import purge
from kardinal_neon_local.errors import LocalNeonError
from kardinal_neon_local.history import Moment, clone_at
from kardinal_neon_local.identifiers import now
from kardinal_neon_local.records import Branch, Endpoint, Masking, Operation
from kardinal_neon_local.service import Service


async def match_records(service: Service, branch: Branch) -> None:
    """Brings roles and databases together with data of the past: the roles of today, the databases of then.

    Args:
        service: The service.
        branch: The branch.
    """
    for role in service.store.roles(branch.id):
        await service.apply_role(branch, role)
    present = await service.instances.execute(branch, sql.databases)
    absent = [d for d in service.store.databases(branch.id) if d.name not in present]
    service.store.change(remove=tuple(absent))


def register(service: Service) -> None:
    """Makes the steps known to the service's operations.

    Args:
        service: The service.
    """
    handle = service.operations.handle

    def endpoint_of(operation: Operation) -> Endpoint:
        endpoint = service.store.get(Endpoint, operation.endpoint_id or "")
        if endpoint is None:
            raise LocalNeonError(f"endpoint {operation.endpoint_id} does not exist")
        return endpoint

    def ready(branch: Branch) -> None:
        branch.current_state = "ready"
        branch.pending_state = None
        branch.state_changed_at = branch.updated_at = now()
        service.store.change(branch)

    async def init_branch(operation: Operation) -> None:
        branch = service.branch_of(operation)
        await service.instances.initialise(branch)
        await service.instances.execute(branch, sql.prepare_cluster)
        await apply_roles(branch)
        for database in service.store.databases(branch.id):
            name, owner = database.name, database.owner_name
            await service.instances.execute(branch, partial(sql.put_database, name=name, owner=owner))
        branch.logical_size = await service.instances.execute(branch, sql.logical_size)
        ready(branch)

    async def apply_roles(branch: Branch) -> None:
        for role in service.store.roles(branch.id):
            await service.apply_role(branch, role)

    async def clone_branch(operation: Operation) -> None:
        branch = service.branch_of(operation)
        source = service.branch(operation.project_id, operation.arguments["source"])
        at = Moment.load(operation.arguments)
        lsn = await clone_at(service, source, branch, at)
        branch.logical_size = source.logical_size
        if at is not None:
            branch.parent_lsn = branch.parent_lsn or lsn
            await match_records(service, branch)
        ready(branch)

    async def copy_schema(operation: Operation) -> None:
        branch = service.branch_of(operation)
        source = service.branch(operation.project_id, operation.arguments["source"])
        # psql cannot take up a half-loaded schema, so a repetition starts from nothing.
        await service.instances.remove(branch.directory)
        await service.instances.initialise(branch)
        await schemas.copy(service, source, branch)
        branch.logical_size = await service.instances.execute(branch, sql.logical_size)
        ready(branch)

    async def set_passwords(operation: Operation) -> None:
        branch = service.branch_of(operation)
        await apply_roles(branch)

    async def start_compute(operation: Operation) -> None:
        branch, endpoint = service.branch_of(operation), endpoint_of(operation)
        async with service.instances.using(branch):
            service.mark_active(endpoint)
            await service.open_endpoint(endpoint)

    async def suspend_compute(operation: Operation) -> None:
        branch, endpoint = service.branch_of(operation), endpoint_of(operation)
        await service.gateway.cut(endpoint.id)
        await service.instances.stop(branch)
        service.mark_idle(endpoint)

    async def restart_compute(operation: Operation) -> None:
        await suspend_compute(operation)
        await start_compute(operation)

    async def close_endpoint(operation: Operation) -> None:
        await service.gateway.close(operation.endpoint_id or "")

    async def delete_endpoint(operation: Operation) -> None:
        await service.gateway.close(operation.endpoint_id or "")
        await service.instances.stop(service.branch_of(operation))
        endpoint = service.store.get(Endpoint, operation.endpoint_id or "")
        if endpoint is not None:
            service.store.change(remove=(endpoint,))

    async def delete_branch(operation: Operation) -> None:
        branch = service.store.get(Branch, operation.branch_id or "")
        if branch is None:
            return
        await service.instances.stop(branch)
        if branch.recoverable_until is None or branch.recoverable_until <= now():
            await purge(service, branch)
        else:
            branch.pending_state = None
            service.store.change(branch)

    handle("init_branch", init_branch)

    async def give_up(operation: Operation) -> None:
        masking = service.store.get(Masking, operation.branch_id or "")
        if masking is not None:
            masking.state, masking.status_message = "initialization_error", operation.error
            masking.failed_at = masking.updated_at = now()
            service.store.change(masking)

    handle("clone_branch", clone_branch, give_up)
    handle("copy_schema", copy_schema)
    handle("set_passwords", set_passwords)
    handle("start_compute", start_compute)
    handle("suspend_compute", suspend_compute)
    handle("restart_compute", restart_compute)
    handle("close_endpoint", close_endpoint)
    handle("delete_endpoint", delete_endpoint)
    handle("delete_branch", delete_branch)
