"""What Neon's own tools ask before they get to work: user, organizations, regions, shared projects."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kardinal_neon_local.routes import common
from kardinal_neon_local.service import Service

_REGION = {"region_id": "local", "name": "This machine", "default": True, "geo_lat": "", "geo_long": ""}


def routes(service: Service) -> list[Route]:
    """Lists the routes of the account, which is always the same.

    Args:
        service: The service.
    """

    async def me(_request: Request) -> Response:
        return common.answer(
            {
                "id": "local",
                "email": "local@example.com",
                "login": "local",
                "name": "Local",
                "last_name": "",
                "image": "",
                "plan": "local",
                "auth_accounts": [],
                "active_seconds_limit": 0,
                "projects_limit": 0,
                "branches_limit": service.settings.branches_limit,
                "max_autoscaling_limit": 0,
            }
        )

    async def organizations(_request: Request) -> Response:
        return common.answer({"organizations": []})

    async def regions(_request: Request) -> Response:
        return common.answer({"regions": [_REGION]})

    async def shared(_request: Request) -> Response:
        return common.answer({"projects": []})

    return [
        Route("/users/me", me, methods=["GET"]),
        Route("/users/me/organizations", organizations, methods=["GET"]),
        Route("/regions", regions, methods=["GET"]),
        Route("/projects/shared", shared, methods=["GET"]),
    ]
