"""The API server's REST interface: one method per verb, one exception per kind of failure."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import httpx

from lab_plugins.common.failures import OperationError
from lab_plugins.kubernetes.kubeconfig import Connection

Object = dict[str, Any]

_APPLY = "application/apply-patch+yaml"  # JSON is YAML
_JSON_PATCH = "application/json-patch+json"
_BUSY = (429, 503)
_BUSY_TRIES = 8


class ApiError(OperationError):
    """The API server refused a request.

    Attributes:
        code: the HTTP status.
        reason: the API's machine word, e.g. `NotFound`, `AlreadyExists`, `Conflict`, `Invalid`.
        status: the whole `Status` object.
    """

    def __init__(self, code: int, status: Object) -> None:
        super().__init__(status.get("message") or f"HTTP {code}")
        self.code = code
        self.reason = status.get("reason") or ""
        self.status = status

    @property
    def subject_kind(self) -> str:
        """The plural name of what the refusal is about (`namespaces` when the namespace is missing)."""
        return (self.status.get("details") or {}).get("kind") or ""


class UnreachableError(OperationError):
    """The API server did not answer."""


class Api:
    """Requests to one API server.

    Args:
        connection: where and as whom.
    """

    def __init__(self, connection: Connection) -> None:
        self._client = connection.client

    def get(self, path: str) -> Object:
        """Read an object or any other document."""
        return self._request("GET", path)

    def list(self, path: str, parameters: dict[str, str]) -> Object:
        """Read a collection."""
        return self._request("GET", path, parameters)

    def create(self, path: str, body: Object, manager: str, *, dry_run: bool) -> Object:
        """POST a new object."""
        return self._request("POST", path, _parameters(manager, dry_run), body)

    def replace(self, path: str, body: Object, manager: str, *, dry_run: bool) -> Object:
        """PUT an object in place of the one whose resourceVersion it carries."""
        return self._request("PUT", path, _parameters(manager, dry_run), body)

    def apply(self, path: str, body: Object, manager: str, *, force: bool, dry_run: bool) -> Object:
        """Apply an object on the server's side."""
        parameters = {**_parameters(manager, dry_run), "force": str(force).lower()}
        return self._request("PATCH", path, parameters, body, content_type=_APPLY)

    def json_patch(self, path: str, operations: Sequence[Object]) -> Object:
        """Apply RFC 6902 operations."""
        return self._request("PATCH", path, {}, operations, content_type=_JSON_PATCH)

    def delete(self, path: str, propagation: str) -> Object:
        """Ask for an object's deletion."""
        options = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": propagation}
        return self._request("DELETE", path, {}, options)

    @contextmanager
    def watch(
        self, path: str, parameters: dict[str, str]
    ) -> Iterator[tuple[Iterator[Object], Callable[[], None]]]:
        """Follow a collection's changes.

        Yields:
            The events (`{"type", "object"}`), which end when the server ends the watch; and a function that
            ends them at once from any other thread.
        """
        query = {**parameters, "watch": "true", "allowWatchBookmarks": "true"}
        # The read timeout outlasts the server's own timeoutSeconds, so only a dead connection runs into it.
        timeout = httpx.Timeout(60, connect=10, read=int(parameters.get("timeoutSeconds", "300")) + 30)
        try:
            with self._client.stream("GET", path, params=query, timeout=timeout) as response:
                if response.status_code != 200:
                    response.read()
                    raise _error(response)
                yield _events(response), lambda: _hang_up(response)
        except httpx.HTTPError as error:
            raise UnreachableError(
                f'Get "{self._client.base_url}{path.lstrip("/")}": {error or type(error).__name__}'
            ) from error

    def _request(
        self,
        method: str,
        path: str,
        parameters: dict[str, str] | None = None,
        body: Any = None,
        content_type: str = "application/json",
    ) -> Object:
        content = None if body is None else json.dumps(body).encode()
        headers = {"Accept": "application/json"} | ({"Content-Type": content_type} if content else {})
        attempt = 0
        while True:
            attempt += 1
            try:
                response = self._client.request(
                    method, path, params=parameters or {}, content=content, headers=headers
                )
            except httpx.HTTPError as error:
                url = f"{self._client.base_url}{path.lstrip('/')}"
                raise UnreachableError(
                    f'{method.title()} "{url}": {error or type(error).__name__}'
                ) from error
            # As client-go does: a busy server that says when to come back is asked again.
            pause = response.headers.get("Retry-After", "")
            if response.status_code in _BUSY and pause.isdigit() and attempt < _BUSY_TRIES:
                time.sleep(min(int(pause), 10))
                continue
            if response.is_success:
                return dict(response.json())
            raise _error(response)


def _parameters(manager: str, dry_run: bool) -> dict[str, str]:
    return {"fieldManager": manager} | ({"dryRun": "All"} if dry_run else {})


def _error(response: httpx.Response) -> ApiError:
    try:
        status = response.json()
    except ValueError:
        status = {"message": response.text.strip()}
    if not isinstance(status, dict):
        status = {"message": str(status)}
    return ApiError(response.status_code, status)


def _events(response: httpx.Response) -> Iterator[Object]:
    # Not iter_lines: it also breaks at characters that JSON leaves unescaped inside strings, such as U+0085.
    rest = b""
    for chunk in response.iter_bytes():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            if line:
                yield json.loads(line)


def _hang_up(response: httpx.Response) -> None:
    """Wake the thread that is reading this response: its read ends as if the server had closed."""
    import socket

    stream = response.extensions.get("network_stream")
    raw = stream.get_extra_info("socket") if stream else None
    if raw is not None:
        try:
            # Past the TLS layer, whose own shutdown is not safe from another thread.
            socket.socket.shutdown(raw, socket.SHUT_RDWR)
        except OSError:
            return  # closed already
