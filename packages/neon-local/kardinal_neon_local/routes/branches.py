"""/projects/{project_id}/branches."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kardinal_neon_local import branches as work
from kardinal_neon_local import deleting, schemas, views
from kardinal_neon_local.errors import ApiError
from kardinal_neon_local.history import Moment, visiting
from kardinal_neon_local.identifiers import rfc3339_micro
from kardinal_neon_local.records import Branch
from kardinal_neon_local.requests import BranchCreate, BranchRestore, BranchUpdate, parse
from kardinal_neon_local.restoring import restore_branch
from kardinal_neon_local.routes import common
from kardinal_neon_local.service import Service

_DEFAULT_PAGE = 100
_LARGEST_PAGE = 10000


def _moment(request: Request, prefix: str = "") -> Moment | None:
    lsn, timestamp = (common.text(request, prefix + name) for name in ("lsn", "timestamp"))
    return Moment.of(lsn, timestamp, prefix)


def created(service: Service, made: work.Created) -> Response:
    """Answers the creation of a branch.

    Args:
        service: The service.
        made: What was made.
    """
    body: common.Json = {
        "branch": views.branch(made.branch),
        "endpoints": [views.endpoint(e, service.settings) for e in made.endpoints],
        "operations": [views.operation(o) for o in made.operations],
        "roles": [views.role(r) for r in made.roles],
        "databases": [views.database(d) for d in made.databases],
    }
    # Neon leaves the URIs out when it would have to choose a role or a database.
    if len(made.roles) == 1 and len(made.databases) == 1 and made.endpoints and made.roles[0].password:
        uri = views.connection(service.settings, made.endpoints[0], made.roles[0], made.databases[0].name)
        body["connection_uris"] = [uri]
    return common.answer(body, 201)


def routes(service: Service) -> list[Route]:
    """Lists the routes of branches.

    Args:
        service: The service.
    """

    def found(request: Request, *, deleted: bool = False) -> Branch:
        return service.branch(request.path_params["project"], request.path_params["branch"], deleted=deleted)

    def matching(request: Request) -> list[Branch]:
        project = service.project(request.path_params["project"])
        search = common.text(request, "search") or ""
        return [
            b
            for b in service.store.branches(project.id, deleted=common.flag(request, "include_deleted"))
            if search in b.name or search in b.id
        ]

    async def index(request: Request) -> Response:
        sort_by = common.choice(request, "sort_by", ("name", "created_at", "updated_at"), "updated_at")
        order = common.choice(request, "sort_order", ("asc", "desc"), "desc")

        def position(branch: Branch) -> tuple[str, str]:
            value = getattr(branch, sort_by)
            return (value if isinstance(value, str) else rfc3339_micro(value), branch.id)

        size = common.limit(request, _DEFAULT_PAGE, _LARGEST_PAGE)
        cursor = common.text(request, "cursor")
        chosen, following = common.page(matching(request), position, cursor, size, descending=order == "desc")
        pagination = {"sort_by": sort_by, "sort_order": order.upper()}
        if following is not None:
            pagination["next"] = following
        return common.answer(
            {
                "branches": [views.branch(b) for b in chosen],
                "annotations": {b.id: views.annotation(b) for b in chosen},
                "pagination": pagination,
            }
        )

    async def count(request: Request) -> Response:
        return common.answer({"count": len(matching(request))})

    async def create(request: Request) -> Response:
        project = service.project(request.path_params["project"])
        wanted = parse(BranchCreate, await request.body())
        return created(service, await work.create_branch(service, project.id, wanted))

    async def show(request: Request) -> Response:
        branch = found(request)
        return common.answer({"branch": views.branch(branch), "annotation": views.annotation(branch)})

    async def update(request: Request) -> Response:
        wanted = parse(BranchUpdate, await request.body())
        branch = work.update_branch(service, found(request), wanted.branch)
        return common.answer({"branch": views.branch(branch), "operations": []})

    async def delete(request: Request) -> Response:
        hard = common.flag(request, "hard_delete")
        service.project(request.path_params["project"])
        try:
            branch = found(request)
        except ApiError:
            return common.nothing()
        branch, operations = deleting.delete_branch(service, branch, hard=hard)
        return common.answer(
            {"branch": views.branch(branch), "operations": [views.operation(o) for o in operations]}
        )

    async def recover(request: Request) -> Response:
        branch, endpoints = await deleting.recover_branch(service, found(request, deleted=True))
        return common.answer(
            {
                "branch": views.branch(branch),
                "endpoints": [views.endpoint(e, service.settings) for e in endpoints],
            }
        )

    async def restore(request: Request) -> Response:
        wanted = parse(BranchRestore, await request.body())
        branch, operations = await restore_branch(service, found(request), wanted)
        return common.answer(
            {"branch": views.branch(branch), "operations": [views.operation(o) for o in operations]}
        )

    async def set_as_default(request: Request) -> Response:
        branch = work.set_as_default(service, found(request))
        return common.answer({"branch": views.branch(branch), "operations": []})

    async def schema(request: Request) -> Response:
        branch = found(request)
        database = service.database(branch, common.required(request, "db_name"))
        form = common.choice(request, "format", ("sql", "json"), "sql")
        read = schemas.schema_json if form == "json" else schemas.schema_sql
        async with visiting(service, branch, _moment(request)) as visited:
            return common.answer({form: await read(service, visited, database.name)})

    async def compare_schema(request: Request) -> Response:
        branch = found(request)
        database = service.database(branch, common.required(request, "db_name"))
        base_id = common.text(request, "base_branch_id") or branch.parent_id
        if base_id is None:
            raise ApiError(400, f"branch {branch.id} has no parent: base_branch_id is required")
        base = service.branch(branch.project_id, base_id)
        service.database(base, database.name)
        async with (
            visiting(service, branch, _moment(request)) as visited,
            visiting(service, base, _moment(request, "base_")) as visited_base,
        ):
            return common.answer(
                {"diff": await schemas.compare(service, visited_base, visited, database.name)}
            )

    one = "/projects/{project}/branches/{branch}"
    return [
        Route("/projects/{project}/branches", index, methods=["GET"]),
        Route("/projects/{project}/branches", create, methods=["POST"]),
        Route("/projects/{project}/branches/count", count, methods=["GET"]),
        Route(one, show, methods=["GET"]),
        Route(one, update, methods=["PATCH"]),
        Route(one, delete, methods=["DELETE"]),
        Route(f"{one}/recover", recover, methods=["POST"]),
        Route(f"{one}/restore", restore, methods=["POST"]),
        Route(f"{one}/set_as_default", set_as_default, methods=["POST"]),
        Route(f"{one}/schema", schema, methods=["GET"]),
        Route(f"{one}/compare_schema", compare_schema, methods=["GET"]),
    ]
