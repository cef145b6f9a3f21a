"""Anonymized branches and their masking."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kardinal_neon_local import anonymizing as work
from kardinal_neon_local import views
from kardinal_neon_local.records import Branch, Masking
from kardinal_neon_local.requests import AnonymizedCreate, MaskingRules, parse
from kardinal_neon_local.routes import common
from kardinal_neon_local.routes.branches import created
from kardinal_neon_local.service import Service


def routes(service: Service) -> list[Route]:
    """Lists the routes of anonymized branches.

    Args:
        service: The service.
    """

    def found(request: Request) -> Branch:
        return service.branch(request.path_params["project"], request.path_params["branch"])

    def status(masking: Masking, request: Request) -> Response:
        return common.answer(views.masking_status(masking, request.path_params["project"]))

    async def create(request: Request) -> Response:
        project = service.project(request.path_params["project"])
        wanted = parse(AnonymizedCreate, await request.body())
        return created(service, await work.create_anonymized(service, project.id, wanted))

    async def rules(request: Request) -> Response:
        return common.answer(views.masking_rules(work.masking_of(service, found(request))))

    async def replace_rules(request: Request) -> Response:
        wanted = parse(MaskingRules, await request.body())
        masking = await work.replace_rules(service, found(request), wanted.masking_rules)
        return common.answer(views.masking_rules(masking))

    async def anonymize(request: Request) -> Response:
        return status(work.start_masking(service, found(request)), request)

    async def show(request: Request) -> Response:
        return status(work.masking_of(service, found(request)), request)

    one = "/projects/{project}/branches/{branch}"
    return [
        Route("/projects/{project}/branch_anonymized", create, methods=["POST"]),
        Route(f"{one}/masking_rules", rules, methods=["GET"]),
        Route(f"{one}/masking_rules", replace_rules, methods=["PATCH"]),
        Route(f"{one}/anonymize", anonymize, methods=["POST"]),
        Route(f"{one}/anonymized_status", show, methods=["GET"]),
    ]
