"""One HTTP call to Neon: authentication, identification, and every failure as a `NeonError`.

The API stands behind a content delivery network, so an error may arrive as HTML, as text or with no body at
all, and `code` is often the empty string even in proper answers.
"""

from __future__ import annotations

import contextlib
import logging
import re
import uuid
from collections.abc import Generator, Mapping
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import httpx
from pydantic import SecretStr

from kardinal_infra.databases.neon.errors import (
    NeonCallTimeoutError,
    NeonError,
    NeonUnexpectedAnswerError,
    NeonUnknownOutcomeError,
    neon_error_class,
)
from kardinal_infra.databases.neon.retry import RetryPolicy
from kardinal_infra.databases.neon.settings import HOW_TO_REPLACE_THE_KEY, NeonSettings

log = logging.getLogger(__name__)

TIMEOUT = httpx.Timeout(30.0, connect=10.0)
"""A create may take some seconds to be accepted; a dead host is noticed earlier."""

LONGEST_MESSAGE = 300
"""Characters kept of a foreign message: enough for Neon's own, too little for a page of HTML."""

_URI_PASSWORD = re.compile(r"(postgres(?:ql)?://[^:@/\s]+):[^@\s]+@")
_TAG = re.compile(r"<[^>]*>")


class _Bearer(httpx.Auth):
    """Adds the key at the last moment, so that it sits in no header object that a repr or log could show."""

    def __init__(self, key: SecretStr) -> None:
        self._key = key

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.headers["Authorization"] = f"Bearer {self._key.get_secret_value()}"
        yield request


class NeonHttp:
    """Sends requests under the retry policy; thread-safe.

    Args:
        settings: Address and key.
        retry: What is repeated and how long.
        transport: Replaces the network in tests.
    """

    def __init__(
        self, settings: NeonSettings, *, retry: RetryPolicy, transport: httpx.BaseTransport | None = None
    ) -> None:
        self._settings = settings
        self._retry = retry
        self._client = httpx.Client(
            auth=_Bearer(settings.api_key),
            headers={"Accept": "application/json", "User-Agent": "kardinal-infra"},
            timeout=TIMEOUT,
            transport=transport,
        )

    def __repr__(self) -> str:
        """Names the host only."""
        return f"NeonHttp({self._settings.base_url!r})"

    @property
    def retry(self) -> RetryPolicy:
        """The policy of all calls."""
        return self._retry

    @property
    def host(self) -> str:
        """Address of the API, ends with `/api/v2`."""
        return self._settings.base_url

    def close(self) -> None:
        """Closes the connections."""
        self._client.close()

    def get(
        self, path: str, params: Mapping[str, Any] | None = None, *, just_made: bool = False
    ) -> dict[str, Any]:
        """Reads; repeated on every failure that may pass."""
        return self._send("GET", path, params=params, repeatable=True, just_made=just_made)

    def post(
        self, path: str, json: Mapping[str, Any] | None = None, *, repeatable: bool = False
    ) -> dict[str, Any]:
        """Creates or commands; not repeated blindly unless a second execution does no harm."""
        return self._send("POST", path, json=json, repeatable=repeatable)

    def patch(self, path: str, json: Mapping[str, Any]) -> dict[str, Any]:
        """Changes; repeated, because the bodies sent here name the wanted state and not a step towards it."""
        return self._send("PATCH", path, json=json, repeatable=True)

    def delete(self, path: str, params: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Deletes; repeated, because a second delete answers 204. Returns `{}` for 204."""
        return self._send("DELETE", path, params=params, repeatable=True)

    def _send(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        json: Mapping[str, Any] | None = None,
        repeatable: bool,
        just_made: bool = False,
    ) -> dict[str, Any]:
        def attempt() -> dict[str, Any]:
            return self._once(method, path, params=params, json=json)

        return self._retry.call(attempt, repeatable=repeatable, just_made=just_made)

    def _once(
        self, method: str, path: str, *, params: Mapping[str, Any] | None, json: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        request_id = str(uuid.uuid4())
        try:
            response = self._client.request(
                method,
                self._settings.base_url + path,
                params={name: value for name, value in (params or {}).items() if value is not None},
                json=json,
                headers={"X-Request-ID": request_id},
            )
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise NeonError(
                f"no connection to {self._settings.base_url}: {self._clean(str(error))}",
                request_id=request_id,
                not_sent=True,
                method=method,
                path=path,
            ) from None
        except httpx.TimeoutException as error:
            raise NeonCallTimeoutError(
                f"no answer in time ({type(error).__name__})", request_id=request_id, method=method, path=path
            ) from None
        except httpx.HTTPError as error:
            raise NeonUnknownOutcomeError(
                f"{type(error).__name__} {self._clean(str(error))}".strip(),
                request_id=request_id,
                method=method,
                path=path,
            ) from None
        answered_id = response.headers.get("x-neon-ret-request-id") or request_id
        log.debug("%s %s -> %s (request %s)", method, path, response.status_code, answered_id)
        if response.status_code == HTTPStatus.NO_CONTENT:
            return {}
        if response.is_success:
            parsed = _parse(response)
            if parsed is None:
                # The write may well have been done: only its answer is unusable.
                raise NeonUnexpectedAnswerError(
                    f"answered HTTP {response.status_code} with a body that is not a JSON object",
                    request_id=answered_id,
                    method=method,
                    path=path,
                )
            return parsed
        raise self._error(response, answered_id, method=method, path=path)

    def _error(self, response: httpx.Response, request_id: str, *, method: str, path: str) -> NeonError:
        status = response.status_code
        parsed = _parse(response) or {}
        message = self._clean(str(parsed.get("message") or "") or _TAG.sub(" ", response.text))
        if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
            reason = message or "access refused"
            source = self._settings.key_source
            message = f"{reason}; the key of {source} does not do: {HOW_TO_REPLACE_THE_KEY}"
        code = str(parsed.get("code") or "")
        return neon_error_class(status, code)(
            message or response.reason_phrase or "no explanation",
            status=status,
            code=code,
            request_id=str(parsed.get("request_id") or request_id),
            retry_after=_retry_after(response, self._retry),
            method=method,
            path=path,
        )

    def _clean(self, text: str) -> str:
        key = self._settings.api_key.get_secret_value()
        text = _URI_PASSWORD.sub(r"\1:***@", text.replace(key, "***"))
        return " ".join(text.split())[:LONGEST_MESSAGE]


def segment(value: str) -> str:
    """Checks that a value can stand in a path as it is, and returns it.

    Args:
        value: An id or a name. Role and database names may hold any character, so they are quoted; ids and
            names with a slash would silently address something else.

    Raises:
        NeonError: It is empty or longer than 256 characters.
    """
    if not value or len(value) > 256:
        raise NeonError(f"{value[:40]!r} cannot be part of a Neon API path")
    return quote(value, safe="")


def _parse(response: httpx.Response) -> dict[str, Any] | None:
    try:
        parsed = response.json()
    except ValueError:
        return None
    return parsed if isinstance(parsed, dict) else None


def _retry_after(response: httpx.Response, retry: RetryPolicy) -> float | None:
    value = response.headers.get("retry-after")
    if not value:
        return None
    with contextlib.suppress(ValueError):
        return max(0.0, float(value))
    try:
        return max(0.0, (parsedate_to_datetime(value) - retry.clock.utc_now()).total_seconds())
    except (TypeError, ValueError):
        return None
