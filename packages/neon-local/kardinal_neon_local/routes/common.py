"""What all routes share: JSON answers, query parameters, both shapes of pagination."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from kardinal_neon_local.errors import ApiError

T = TypeVar("T")
Json = dict[str, Any]


def answer(body: Json, status: int = 200) -> JSONResponse:
    """Makes a JSON answer.

    Args:
        body: The object.
        status: HTTP status.
    """
    return JSONResponse(body, status)


def nothing() -> Response:
    """Makes a 204: what was to be deleted is not there."""
    return Response(status_code=204)


def text(request: Request, name: str) -> str | None:
    """Reads a query parameter; an empty one counts as absent.

    Args:
        request: The call.
        name: Its name.
    """
    return request.query_params.get(name) or None


def required(request: Request, name: str) -> str:
    """Reads a query parameter that must be given.

    Args:
        request: The call.
        name: Its name.

    Raises:
        ApiError: 400 if it is not.
    """
    value = text(request, name)
    if value is None:
        raise ApiError(400, f"query parameter {name} is required")
    return value


def flag(request: Request, name: str) -> bool:
    """Reads a boolean query parameter, false when absent.

    Args:
        request: The call.
        name: Its name.

    Raises:
        ApiError: 400 if it is neither.
    """
    value = request.query_params.get(name, "false").lower()
    if value not in ("true", "false"):
        raise ApiError(400, f"query parameter {name} must be true or false: {value}")
    return value == "true"


def limit(request: Request, default: int, largest: int) -> int:
    """Reads the query parameter `limit`.

    Args:
        request: The call.
        default: When it is absent.
        largest: What is taken at most.

    Raises:
        ApiError: 400 if it is out of bounds.
    """
    value = text(request, "limit")
    if value is None:
        return default
    if not value.isdecimal() or not 1 <= int(value) <= largest:
        raise ApiError(400, f"query parameter limit must be between 1 and {largest}: {value}")
    return int(value)


def choice(request: Request, name: str, allowed: Sequence[str], default: str) -> str:
    """Reads a query parameter with few values; upper case is taken too.

    Args:
        request: The call.
        name: Its name.
        allowed: Its values.
        default: When it is absent.

    Raises:
        ApiError: 400 if it is another one.
    """
    value = (text(request, name) or default).lower()
    if value not in allowed:
        raise ApiError(400, f"query parameter {name} must be one of {', '.join(allowed)}: {value}")
    return value


def encode_cursor(**position: str) -> str:
    """Makes an opaque cursor.

    Args:
        position: Where the page before ends.
    """
    return base64.urlsafe_b64encode(json.dumps(position).encode()).decode()


def decode_cursor(value: str) -> dict[str, str]:
    """Reads what `encode_cursor` made.

    Args:
        value: The cursor.

    Raises:
        ApiError: 400 if it is none.
    """
    try:
        decoded = json.loads(base64.urlsafe_b64decode(value.encode()))
    except (binascii.Error, ValueError):
        decoded = None
    if not isinstance(decoded, dict) or "key" not in decoded or "id" not in decoded:
        raise ApiError(400, f"invalid cursor: {value}")
    return {str(name): str(content) for name, content in decoded.items()}


def page(
    items: Sequence[T],
    position: Callable[[T], tuple[str, str]],
    after: str | None,
    size: int,
    *,
    descending: bool,
) -> tuple[list[T], str | None]:
    """Returns one page of a list.

    Args:
        items: All of them, in any order.
        position: Sort key and id of an item; together they are unique.
        after: Cursor of the page before, or None for the first one.
        size: Items per page.
        descending: Direction.

    Returns:
        The items, and the cursor of the last one; None when the page is empty. Neon gives a cursor on a
        last page too.
    """
    ordered = sorted(items, key=position, reverse=descending)
    if after is not None:
        cursor = decode_cursor(after)
        mark = (cursor["key"], cursor["id"])
        ordered = [
            item for item in ordered if (position(item) < mark if descending else position(item) > mark)
        ]
    chosen = ordered[:size]
    if not chosen:
        return [], None
    key, identifier = position(chosen[-1])
    return chosen, encode_cursor(key=key, id=identifier)
