"""The HTTP application: who may call, how errors look, which routes there are."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import logging
import sqlite3
import time
import uuid
from collections.abc import AsyncIterator
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kardinal_neon_local import access, anonymizing, restoring, steps
from kardinal_neon_local.background import watch, watch_history
from kardinal_neon_local.errors import ApiError, LocalNeonError
from kardinal_neon_local.projects import finish_deletions, seed
from kardinal_neon_local.records import Branch, Project
from kardinal_neon_local.routes import access as access_routes
from kardinal_neon_local.routes import account, anonymized, branches, computes, projects
from kardinal_neon_local.service import Service

log = logging.getLogger("kardinal_neon_local")

_LONGEST_REQUEST_ID = 200


def _path(request: Request) -> str:
    """The path that was asked for, quoted: it goes into log lines and messages.

    Not `request.url.path`: a URL begins with the Host header, and behind `Host: a?` Starlette before 1.0.1
    takes the path for a query.
    """
    return quote(request.scope["path"])


def _error(request_id: str, status: int, message: str, code: str = "") -> JSONResponse:
    return JSONResponse({"request_id": request_id, "code": code, "message": message}, status)


class Frame:
    """Around every call: the key is checked, the request id comes back, one line is logged.

    The line has the path only: queries and bodies may name what does not belong into a log.

    Args:
        app: The application inside.
        service: Knows the key.
    """

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app = app
        self._key = service.settings.api_key.get_secret_value().encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one call.

        Args:
            scope: Of the call, as ASGI has it.
            receive: Gives the call's body.
            send: Takes the answer.
        """
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        path = _path(request)
        request_id = request.headers.get("x-request-id", "")[:_LONGEST_REQUEST_ID] or str(uuid.uuid4())
        scope.setdefault("state", {})["request_id"] = request_id
        started = time.monotonic()
        status = 0

        async def reply(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [
                    *message["headers"],
                    (b"x-neon-ret-request-id", request_id.encode("latin-1")),
                ]
            await send(message)

        try:
            if path.startswith("/api/") and not self._may(request):
                refusal = _error(
                    request_id, 401, "authentication failed: no valid API key in the Authorization header"
                )
                await refusal(scope, receive, reply)
            else:
                await self._app(scope, receive, reply)
        finally:
            if path != "/healthz":
                duration = (time.monotonic() - started) * 1000
                log.info("%s %s %d %.0f ms %s", request.method, path, status, duration, request_id)

    def _may(self, request: Request) -> bool:
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        return scheme.lower() == "bearer" and hmac.compare_digest(key.strip().encode(), self._key)


async def _on_api_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return _error(request.state.request_id, error.status, error.message, error.code)


async def _on_http_error(request: Request, error: Exception) -> Response:
    """Paths and methods that are part of Neon's API, or of none, but not of this service."""
    assert isinstance(error, HTTPException)
    message = f"{request.method} {_path(request)} is not supported by the local service"
    return _error(request.state.request_id, error.status_code, message, "NOT_SUPPORTED")


async def _on_local_error(request: Request, error: Exception) -> Response:
    log.error("request %s failed: %s", request.state.request_id, error)
    return _error(request.state.request_id, 500, str(error))


async def _on_storage_error(request: Request, error: Exception) -> Response:
    log.error("request %s failed: the state cannot be written: %s", request.state.request_id, error)
    return _error(request.state.request_id, 500, f"the service cannot write its state: {error}")


async def _on_unexpected(request: Request, _failure: Exception) -> Response:
    """Starlette logs it with its traceback; the caller gets the id to find it by."""
    return _error(request.state.request_id, 500, "internal error")


def make_app(service: Service) -> Starlette:
    """Makes the application of a service; its life begins and ends with the application's.

    Args:
        service: The service.
    """
    for part in (steps, access, restoring, anonymizing):
        part.register(service)

    async def healthz(_request: Request) -> Response:
        live = [b for b in service.store.every(Branch) if b.deleted_at is None]
        return JSONResponse(
            {
                "status": "ok",
                "postgres": {
                    "version": service.programs.version,
                    "source": service.programs.source,
                    "directory": str(service.programs.directory),
                    "tls": service.tls is not None,
                    "run_as": service.account.name,
                },
                "cow": service.method.value,
                "projects": sum(1 for _ in service.store.every(Project)),
                "branches": len(live),
                "running": sum(service.instances.running(b) for b in live),
            }
        )

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        await finish_deletions(service)
        await service.start()
        background: list[asyncio.Task[None]] = []
        try:
            await seed(service)
            background = [asyncio.create_task(work(service)) for work in (watch, watch_history)]
            yield
        finally:
            for task in background:
                task.cancel()
            await asyncio.gather(*background, return_exceptions=True)
            await service.stop()

    api = [
        route
        for part in (account, projects, branches, anonymized, computes, access_routes)
        for route in part.routes(service)
    ]
    app = Starlette(
        routes=[Route("/healthz", healthz), Mount("/api/v2", routes=api)],
        lifespan=lifespan,
        exception_handlers={
            ApiError: _on_api_error,
            HTTPException: _on_http_error,
            LocalNeonError: _on_local_error,
            sqlite3.Error: _on_storage_error,
            Exception: _on_unexpected,
        },
    )
    app.add_middleware(Frame, service=service)
    return app
