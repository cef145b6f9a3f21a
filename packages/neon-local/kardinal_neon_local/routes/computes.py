"""/projects/{project_id}/endpoints and a branch's endpoints."""

from __future__ import annotations

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kardinal_neon_local import computes as work
from kardinal_neon_local import views
from kardinal_neon_local.errors import ApiError
from kardinal_neon_local.records import Endpoint
from kardinal_neon_local.requests import EndpointCreate, EndpointUpdate, parse
from kardinal_neon_local.routes import common
from kardinal_neon_local.service import Service


def routes(service: Service) -> list[Route]:
    """Lists the routes of endpoints.

    Args:
        service: The service.
    """

    def found(request: Request) -> Endpoint:
        return service.endpoint(request.path_params["project"], request.path_params["endpoint"])

    def changed(result: work.Changed, status: int = 200) -> Response:
        endpoint, operations = result
        return common.answer(
            {
                "endpoint": views.endpoint(endpoint, service.settings),
                "operations": [views.operation(o) for o in operations],
            },
            status,
        )

    def listed(endpoints: list[Endpoint]) -> Response:
        return common.answer({"endpoints": [views.endpoint(e, service.settings) for e in endpoints]})

    async def index(request: Request) -> Response:
        project = service.project(request.path_params["project"])
        branches = service.store.branches(project.id)
        return listed([e for branch in branches for e in service.store.endpoints(branch.id)])

    async def of_branch(request: Request) -> Response:
        branch = service.branch(request.path_params["project"], request.path_params["branch"])
        return listed(service.store.endpoints(branch.id))

    async def create(request: Request) -> Response:
        wanted = parse(EndpointCreate, await request.body())
        return changed(work.create_endpoint(service, request.path_params["project"], wanted.endpoint), 201)

    async def show(request: Request) -> Response:
        return common.answer({"endpoint": views.endpoint(found(request), service.settings)})

    async def update(request: Request) -> Response:
        wanted = parse(EndpointUpdate, await request.body())
        return changed(work.update_endpoint(service, found(request), wanted.endpoint))

    async def delete(request: Request) -> Response:
        service.project(request.path_params["project"])
        try:
            endpoint = found(request)
        except ApiError:
            return common.nothing()
        return changed(work.delete_endpoint(service, endpoint))

    def power(change: Callable[[Service, Endpoint], work.Changed]) -> Callable[[Request], object]:
        async def call(request: Request) -> Response:
            return changed(change(service, found(request)))

        return call

    every = "/projects/{project}/endpoints"
    one = every + "/{endpoint}"
    return [
        Route(every, index, methods=["GET"]),
        Route(every, create, methods=["POST"]),
        Route("/projects/{project}/branches/{branch}/endpoints", of_branch, methods=["GET"]),
        Route(one, show, methods=["GET"]),
        Route(one, update, methods=["PATCH"]),
        Route(one, delete, methods=["DELETE"]),
        Route(f"{one}/start", power(work.start_endpoint), methods=["POST"]),
        Route(f"{one}/suspend", power(work.suspend_endpoint), methods=["POST"]),
        Route(f"{one}/restart", power(work.restart_endpoint), methods=["POST"]),
    ]
