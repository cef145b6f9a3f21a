"""What the shop's HTTP services share: how they listen, answer with errors, and call each other."""

import os
import sys
from collections.abc import Sequence

import httpx
import uvicorn
from context import context_of
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

ANSWER_SECONDS = 10.0


def serve(name: str, routes: Sequence[BaseRoute]) -> None:
    """Serves on `PORT` (default 8000) until SIGTERM, then lets the requests under way end.

    Args:
        name: The program's name in its log.
        routes: What it answers, besides `GET /healthz`.
    """
    port = int(os.environ.get("PORT", "8000"))
    print(f"{name} listens on port {port}", file=sys.stderr, flush=True)
    uvicorn.run(application(routes), host="0.0.0.0", port=port, log_level="warning")  # noqa: S104  (in a pod)


def application(routes: Sequence[BaseRoute]) -> Starlette:
    """Makes the application of a service.

    Args:
        routes: What it answers, besides `GET /healthz`.
    """
    return Starlette(
        routes=[Route("/healthz", _healthy), *routes],
        exception_handlers={HTTPException: _refuse},
    )


def ask(request: Request, method: str, url: str, body: object = None) -> httpx.Response:
    """Calls another service on behalf of a request.

    Args:
        request: The request; its context goes along.
        method: HTTP method.
        url: Of the other service.
        body: Sent as JSON.

    Returns:
        The answer, whatever its status.

    Raises:
        HTTPException: 502, if there is none.
    """
    try:
        return httpx.request(
            method, url, json=body, headers=context_of(request.headers.items()), timeout=ANSWER_SECONDS
        )
    except httpx.HTTPError as error:
        print(f"{url}: {error}", file=sys.stderr, flush=True)
        raise HTTPException(502, "a part of the shop does not answer") from error


async def _healthy(_: Request) -> Response:
    return JSONResponse({"status": "ok"})


async def _refuse(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, error.status_code)
