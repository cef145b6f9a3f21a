"""/projects, their operations, and connection URIs."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kardinal_neon_local import projects as work
from kardinal_neon_local import views
from kardinal_neon_local.errors import ApiError, not_found
from kardinal_neon_local.identifiers import rfc3339_micro
from kardinal_neon_local.records import Operation, Project
from kardinal_neon_local.requests import ProjectCreate, parse
from kardinal_neon_local.routes import common
from kardinal_neon_local.service import Service


def routes(service: Service) -> list[Route]:
    """Lists the routes of projects.

    Args:
        service: The service.
    """

    def found(request: Request) -> Project:
        return service.project(request.path_params["project"])

    async def index(request: Request) -> Response:
        search = common.text(request, "search") or ""
        projects = [p for p in service.store.every(Project) if search in p.name or search in p.id]
        chosen, following = common.page(
            projects,
            lambda p: (rfc3339_micro(p.created_at), p.id),
            common.text(request, "cursor"),
            common.limit(request, 10, 400),
            descending=True,
        )
        body: common.Json = {
            "projects": [views.project(p, service.programs, service.settings, listed=True) for p in chosen],
            "applications": {},
            "integrations": {},
        }
        if following is not None:
            body["pagination"] = {"cursor": following}
        return common.answer(body)

    async def create(request: Request) -> Response:
        wanted = parse(ProjectCreate, await request.body())
        made = work.create_project(service, wanted.project)
        return common.answer(
            {
                "project": views.project(made.project, service.programs, service.settings),
                "connection_uris": [
                    views.connection(service.settings, made.endpoint, made.role, made.database.name)
                ],
                "roles": [views.role(made.role, with_password=True)],
                "databases": [views.database(made.database)],
                "operations": [views.operation(o) for o in made.operations],
                "branch": views.branch(made.branch),
                "endpoints": [views.endpoint(made.endpoint, service.settings)],
            },
            201,
        )

    async def show(request: Request) -> Response:
        return common.answer({"project": views.project(found(request), service.programs, service.settings)})

    async def delete(request: Request) -> Response:
        project = found(request)
        await work.delete_project(service, project)
        return common.answer({"project": views.project(project, service.programs, service.settings)})

    async def operations(request: Request) -> Response:
        size = common.limit(request, 100, 1000)
        # Unlike the other cursors this one is a plain moment, as in Neon's answers.
        before = common.text(request, "cursor")
        every = sorted(service.store.operations(found(request).id), key=lambda o: o.created_at, reverse=True)
        chosen = [o for o in every if before is None or rfc3339_micro(o.created_at) < before][:size]
        body: common.Json = {"operations": [views.operation(o) for o in chosen]}
        if chosen:
            body["pagination"] = {"cursor": rfc3339_micro(chosen[-1].created_at)}
        return common.answer(body)

    async def operation(request: Request) -> Response:
        identifier = request.path_params["operation"]
        record = service.store.get(Operation, identifier)
        if record is None or record.project_id != found(request).id:
            raise not_found("operation", identifier)
        return common.answer({"operation": views.operation(record)})

    async def connection_uri(request: Request) -> Response:
        project = found(request)
        database_name = common.required(request, "database_name")
        role_name = common.required(request, "role_name")
        common.flag(request, "pooled")  # there is no pooler: the direct endpoint answers for it
        endpoint_id = common.text(request, "endpoint_id")
        branch_id = common.text(request, "branch_id")
        if branch_id is None and endpoint_id is not None:
            branch_id = service.endpoint(project.id, endpoint_id).branch_id
        branch = service.branch(project.id, branch_id) if branch_id else service.default_branch(project.id)
        endpoints = [e for e in service.store.endpoints(branch.id) if endpoint_id in (None, e.id)]
        if not endpoints:
            raise not_found("endpoint", endpoint_id or f"none on branch {branch.id}")
        role = service.role(branch, role_name)
        database = service.database(branch, database_name)
        if role.password is None:
            raise ApiError(412, f"the password of role {role.name} is not stored")
        uri = views.uri(service.settings, endpoints[0], role.name, role.password, database.name)
        return common.answer({"uri": uri})

    one = "/projects/{project}"
    return [
        Route("/projects", index, methods=["GET"]),
        Route("/projects", create, methods=["POST"]),
        Route(one, show, methods=["GET"]),
        Route(one, delete, methods=["DELETE"]),
        Route(f"{one}/operations", operations, methods=["GET"]),
        Route(f"{one}/operations/{{operation}}", operation, methods=["GET"]),
        Route(f"{one}/connection_uri", connection_uri, methods=["GET"]),
    ]
