"""Roles and databases of a branch: the calls that both have, and those of one of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kardinal_neon_local import access as work
from kardinal_neon_local import views
from kardinal_neon_local.errors import ApiError
from kardinal_neon_local.records import Branch, Database, Operation, Role
from kardinal_neon_local.requests import DatabaseCreate, DatabaseUpdate, RoleCreate, parse
from kardinal_neon_local.routes import common
from kardinal_neon_local.service import Service

T = TypeVar("T", Role, Database)
_BRANCH = "/projects/{project}/branches/{branch}"


@dataclass(frozen=True)
class _Kind(Generic[T]):
    """What roles and databases do in the same way.

    Attributes:
        name: In bodies, and with an "s" in paths.
        every: All of a branch, by its id.
        find: One of a branch, by its name; ApiError 404 if there is none.
        create: Makes the one that a request's body describes.
        delete: Removes one.
        show: As JSON.
        show_made: As JSON when it has been made or changed.
    """

    service: Service
    name: str
    every: Callable[[str], list[T]]
    find: Callable[[Branch, str], T]
    create: Callable[[Branch, bytes], tuple[T, list[Operation]]]
    delete: Callable[[Service, Branch, T], list[Operation]]
    show: Callable[[T], common.Json]
    show_made: Callable[[T], common.Json]

    @property
    def path(self) -> str:
        """The path of one."""
        return f"{_BRANCH}/{self.name}s/{{name}}"

    def branch(self, request: Request) -> Branch:
        """Returns the branch of a call.

        Args:
            request: The call.
        """
        return self.service.branch(request.path_params["project"], request.path_params["branch"])

    def found(self, request: Request) -> tuple[Branch, T]:
        """Returns the branch of a call, and the one that is meant.

        Args:
            request: The call.
        """
        branch = self.branch(request)
        return branch, self.find(branch, request.path_params["name"])

    def changed(self, made: T, operations: list[Operation], status: int = 200) -> Response:
        """Answers a write.

        Args:
            made: What was made or changed.
            operations: Its operations.
            status: HTTP status.
        """
        listed = [views.operation(operation) for operation in operations]
        return common.answer({self.name: self.show_made(made), "operations": listed}, status)

    def routes(self) -> list[Route]:
        """Lists the routes: list, create, get and delete."""

        async def index(request: Request) -> Response:
            every = self.every(self.branch(request).id)
            return common.answer({f"{self.name}s": [self.show(one) for one in every]})

        async def create(request: Request) -> Response:
            body = await request.body()
            return self.changed(*self.create(self.branch(request), body), status=201)

        async def show(request: Request) -> Response:
            return common.answer({self.name: self.show(self.found(request)[1])})

        async def delete(request: Request) -> Response:
            branch = self.branch(request)
            try:
                one = self.find(branch, request.path_params["name"])
            except ApiError:
                return common.nothing()
            operations = [views.operation(o) for o in self.delete(self.service, branch, one)]
            return common.answer({self.name: self.show(one), "operations": operations})

        return [
            Route(f"{_BRANCH}/{self.name}s", index, methods=["GET"]),
            Route(f"{_BRANCH}/{self.name}s", create, methods=["POST"]),
            Route(self.path, show, methods=["GET"]),
            Route(self.path, delete, methods=["DELETE"]),
        ]


def routes(service: Service) -> list[Route]:
    """Lists the routes of roles and databases.

    Args:
        service: The service.
    """

    def create_role(branch: Branch, body: bytes) -> tuple[Role, list[Operation]]:
        return work.create_role(service, branch, parse(RoleCreate, body).role)

    def create_database(branch: Branch, body: bytes) -> tuple[Database, list[Operation]]:
        return work.create_database(service, branch, parse(DatabaseCreate, body).database)

    roles = _Kind[Role](
        service,
        "role",
        service.store.roles,
        service.role,
        create_role,
        work.delete_role,
        views.role,
        lambda role: views.role(role, with_password=True),
    )
    databases = _Kind[Database](
        service,
        "database",
        service.store.databases,
        service.database,
        create_database,
        work.delete_database,
        views.database,
        views.database,
    )

    async def reveal_password(request: Request) -> Response:
        _, role = roles.found(request)
        if role.password is None:
            raise ApiError(412, f"the password of role {role.name} is not stored")
        return common.answer({"password": role.password})

    async def reset_password(request: Request) -> Response:
        return roles.changed(*work.reset_password(service, *roles.found(request)))

    async def update_database(request: Request) -> Response:
        wanted = parse(DatabaseUpdate, await request.body())
        return databases.changed(*work.update_database(service, *databases.found(request), wanted.database))

    return [
        *roles.routes(),
        Route(f"{roles.path}/reveal_password", reveal_password, methods=["GET"]),
        Route(f"{roles.path}/reset_password", reset_password, methods=["POST"]),
        *databases.routes(),
        Route(databases.path, update_database, methods=["PATCH"]),
    ]
