"""Roles and databases of a branch, and the asynchronous steps behind them."""

from __future__ import annotations

from kardinal_neon_local import sql
from kardinal_neon_local.errors import ApiError, conflict
from kardinal_neon_local.identifiers import new_password, now
from kardinal_neon_local.operations import Step
from kardinal_neon_local.postmaster import ADMIN, SUPERUSER_GROUP
from kardinal_neon_local.records import Branch, Database, Operation, Role
from kardinal_neon_local.requests import DatabaseChange, NewDatabase, NewRole
from kardinal_neon_local.service import Service

_RESERVED_DATABASES = ("postgres", "template0", "template1")


def create_role(service: Service, branch: Branch, request: NewRole) -> tuple[Role, list[Operation]]:
    """Makes a role with a fresh password.

    Args:
        service: The service.
        branch: The branch.
        request: The validated request.

    Raises:
        ApiError: 409 if the name is taken; 422 if it is reserved; 423 while others run.
    """
    service.operations.require_free(branch.project_id)
    if request.name in (ADMIN, SUPERUSER_GROUP) or request.name.startswith("pg_"):
        raise ApiError(422, f"role name {request.name} is reserved")
    if any(role.name == request.name for role in service.store.roles(branch.id)):
        raise conflict("role", "role_name", request.name)
    password = None if request.no_login else new_password()
    role = Role(
        branch_id=branch.id,
        name=request.name,
        password=password,
        no_login=request.no_login,
        created_at=now(),
        updated_at=now(),
    )
    step = Step("apply_config", "put_role", branch.id, None, {"role": role.name})
    return role.model_copy(), service.operations.submit(branch.project_id, [step], save=[role])


def reset_password(service: Service, branch: Branch, role: Role) -> tuple[Role, list[Operation]]:
    """Gives a role a new password; it is valid, and old connections are cut, when the operation has finished.

    Args:
        service: The service.
        branch: The branch.
        role: The role.

    Raises:
        ApiError: 422 for a role that cannot log in; 423 while others run.
    """
    service.operations.require_free(branch.project_id)
    if role.no_login:
        raise ApiError(422, f"role {role.name} cannot log in")
    role.password = new_password()
    role.updated_at = now()
    step = Step("apply_config", "put_role", branch.id, None, {"role": role.name, "cut": "yes"})
    return role.model_copy(), service.operations.submit(branch.project_id, [step], save=[role])


def delete_role(service: Service, branch: Branch, role: Role) -> list[Operation]:
    """Drops a role; what it owns inside databases goes to the databases' owners.

    Args:
        service: The service.
        branch: The branch.
        role: The role.

    Raises:
        ApiError: 422 if it owns a database; 423 while others run.
    """
    service.operations.require_free(branch.project_id)
    owned = [d.name for d in service.store.databases(branch.id) if d.owner_name == role.name]
    if owned:
        raise ApiError(422, f"role {role.name} owns databases: {', '.join(owned)}")
    step = Step("apply_config", "drop_role", branch.id, None, {"role": role.name})
    return service.operations.submit(branch.project_id, [step], remove=[role])


def create_database(
    service: Service, branch: Branch, request: NewDatabase
) -> tuple[Database, list[Operation]]:
    """Makes a database.

    Args:
        service: The service.
        branch: The branch.
        request: The validated request.

    Raises:
        ApiError: 404 if the owner is unknown; 409 if the name is taken; 423 while others run.
    """
    service.operations.require_free(branch.project_id)
    _require_database_name(service, branch, request.name)
    service.role(branch, request.owner_name)
    database = Database(
        id=service.store.next_number("database", 1000),
        branch_id=branch.id,
        name=request.name,
        owner_name=request.owner_name,
        created_at=now(),
        updated_at=now(),
    )
    step = Step("apply_config", "put_database", branch.id, None, {"database": database.name})
    return database, service.operations.submit(branch.project_id, [step], save=[database])


def _require_database_name(service: Service, branch: Branch, name: str) -> None:
    if name in _RESERVED_DATABASES:
        raise ApiError(422, f"database name {name} is reserved")
    if any(database.name == name for database in service.store.databases(branch.id)):
        raise conflict("database", "database_name", name)


def update_database(
    service: Service, branch: Branch, database: Database, change: DatabaseChange
) -> tuple[Database, list[Operation]]:
    """Renames a database or gives it another owner.

    Args:
        service: The service.
        branch: The branch.
        database: The database.
        change: What is wanted of it.
    """
    service.operations.require_free(branch.project_id)
    updated = database.model_copy(update={"updated_at": now()})
    arguments = {"database": database.name}
    if change.name is not None and change.name != database.name:
        _require_database_name(service, branch, change.name)
        arguments = {"database": change.name, "old": database.name}
        updated.name = change.name
    if change.owner_name is not None:
        service.role(branch, change.owner_name)
        updated.owner_name = change.owner_name
    step = Step("apply_config", "put_database", branch.id, None, arguments)
    remove = [database] if updated.name != database.name else []
    return updated, service.operations.submit(branch.project_id, [step], save=[updated], remove=remove)


def delete_database(service: Service, branch: Branch, database: Database) -> list[Operation]:
    """Drops a database; its connections are cut.

    Args:
        service: The service.
        branch: The branch.
        database: The database.
    """
    service.operations.require_free(branch.project_id)
    step = Step("apply_config", "drop_database", branch.id, None, {"database": database.name})
    return service.operations.submit(branch.project_id, [step], remove=[database])


def register(service: Service) -> None:
    """Makes the steps known to the service's operations.

    Args:
        service: The service.
    """
    execute = service.instances.execute

    async def put_role(operation: Operation) -> None:
        branch = service.branch_of(operation)
        role = service.role(branch, operation.arguments["role"])
        await service.apply_role(branch, role)
        if "cut" in operation.arguments:
            await execute(branch, lambda connection: sql.end_sessions(connection, role.name))

    async def undo_role(operation: Operation) -> None:
        role = service.store.get(Role, f"{operation.branch_id}/{operation.arguments['role']}")
        if role is not None and "cut" not in operation.arguments:
            service.store.change(remove=(role,))

    async def drop_role(operation: Operation) -> None:
        branch, name = service.branch_of(operation), operation.arguments["role"]
        for database in [*await execute(branch, sql.databases)]:
            await execute(branch, lambda connection: sql.give_up_objects(connection, name), database)
        await execute(branch, lambda connection: sql.drop_role(connection, name))

    async def put_database(operation: Operation) -> None:
        branch, arguments = service.branch_of(operation), operation.arguments
        database = service.database(branch, arguments["database"])
        if "old" in arguments:
            await execute(branch, lambda c: sql.rename_database(c, arguments["old"], database.name))
        await execute(branch, lambda c: sql.put_database(c, database.name, database.owner_name))

    async def undo_database(operation: Operation) -> None:
        database = service.store.get(Database, f"{operation.branch_id}/{operation.arguments['database']}")
        if database is not None and "old" not in operation.arguments:
            service.store.change(remove=(database,))

    async def drop_database(operation: Operation) -> None:
        name = operation.arguments["database"]
        await execute(service.branch_of(operation), lambda connection: sql.drop_database(connection, name))

    handle = service.operations.handle
    handle("put_role", put_role, undo_role)
    handle("drop_role", drop_role)
    handle("put_database", put_database, undo_database)
    handle("drop_database", drop_database)
