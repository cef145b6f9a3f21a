"""Roles and databases of a branch."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from .. import access as work
from .. import views
from ..errors import ApiError
from ..records import Branch, Database, Operation, Role
from ..requests import DatabaseCreate, DatabaseUpdate, RoleCreate, parse
from ..service import Service
from . import common


def _role(role: Role, operations: list[Operation], *, password: bool = True, status: int = 200) -> Response:
    body = {"role": views.role(role, with_password=password)}
    return common.answer({**body, "operations": [views.operation(o) for o in operations]}, status)


def _database(database: Database, operations: list[Operation], status: int = 200) -> Response:
    body = {"database": views.database(database)}
    return common.answer({**body, "operations": [views.operation(o) for o in operations]}, status)


def routes(service: Service) -> list[Route]:
    """The routes of roles and databases."""

    def branch_of(request: Request) -> Branch:
        return service.branch(request.path_params["project"], request.path_params["branch"])

    def role_of(request: Request) -> tuple[Branch, Role]:
        branch = branch_of(request)
        return branch, service.role(branch, request.path_params["role"])

    def database_of(request: Request) -> tuple[Branch, Database]:
        branch = branch_of(request)
        return branch, service.database(branch, request.path_params["database"])

    async def roles(request: Request) -> Response:
        branch = branch_of(request)
        return common.answer({"roles": [views.role(r) for r in service.store.roles(branch.id)]})

    async def create_role(request: Request) -> Response:
        wanted = parse(RoleCreate, await request.body())
        return _role(*work.create_role(service, branch_of(request), wanted.role), status=201)

    async def show_role(request: Request) -> Response:
        return common.answer({"role": views.role(role_of(request)[1])})

    async def delete_role(request: Request) -> Response:
        branch = branch_of(request)
        try:
            role = service.role(branch, request.path_params["role"])
        except ApiError:
            return common.nothing()
        return _role(role, work.delete_role(service, branch, role), password=False)

    async def reveal_password(request: Request) -> Response:
        _, role = role_of(request)
        if role.password is None:
            raise ApiError(412, f"the password of role {role.name} is not stored")
        return common.answer({"password": role.password})

    async def reset_password(request: Request) -> Response:
        return _role(*work.reset_password(service, *role_of(request)))

    async def databases(request: Request) -> Response:
        branch = branch_of(request)
        return common.answer({"databases": [views.database(d) for d in service.store.databases(branch.id)]})

    async def create_database(request: Request) -> Response:
        wanted = parse(DatabaseCreate, await request.body())
        return _database(*work.create_database(service, branch_of(request), wanted.database), status=201)

    async def show_database(request: Request) -> Response:
        return common.answer({"database": views.database(database_of(request)[1])})

    async def update_database(request: Request) -> Response:
        wanted = parse(DatabaseUpdate, await request.body())
        return _database(*work.update_database(service, *database_of(request), wanted.database))

    async def delete_database(request: Request) -> Response:
        branch = branch_of(request)
        try:
            database = service.database(branch, request.path_params["database"])
        except ApiError:
            return common.nothing()
        return _database(database, work.delete_database(service, branch, database))

    branch = "/projects/{project}/branches/{branch}"
    role, database = f"{branch}/roles/{{role}}", f"{branch}/databases/{{database}}"
    return [
        Route(f"{branch}/roles", roles, methods=["GET"]),
        Route(f"{branch}/roles", create_role, methods=["POST"]),
        Route(role, show_role, methods=["GET"]),
        Route(role, delete_role, methods=["DELETE"]),
        Route(f"{role}/reveal_password", reveal_password, methods=["GET"]),
        Route(f"{role}/reset_password", reset_password, methods=["POST"]),
        Route(f"{branch}/databases", databases, methods=["GET"]),
        Route(f"{branch}/databases", create_database, methods=["POST"]),
        Route(database, show_database, methods=["GET"]),
        Route(database, update_database, methods=["PATCH"]),
        Route(database, delete_database, methods=["DELETE"]),
    ]
