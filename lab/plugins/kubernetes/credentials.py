"""The user and cluster entries of a kubeconfig, as an HTTP client needs them.

Not lightkube's: its import takes longer than the rest of the plugin's start.
"""

from __future__ import annotations

import base64
import json
import os
import ssl
import subprocess
import tempfile
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

_EXEC_SECONDS = 60


class CredentialsError(Exception):
    """A cluster or user entry cannot be used; the text says why and holds no credentials."""


def tls_context(cluster: dict[str, Any], user: dict[str, Any]) -> ssl.SSLContext:
    """Build the TLS settings: whom to trust, and the user's certificate if there is one.

    Args:
        cluster: the kubeconfig's `cluster`.
        user: the kubeconfig's `user`.

    Raises:
        CredentialsError: a certificate or key is missing or is none.
    """
    try:
        authority = cluster.get("certificate-authority-data")
        context = ssl.create_default_context(
            cafile=cluster.get("certificate-authority") if not authority else None,
            cadata=base64.b64decode(authority).decode() if authority else None,
        )
        if cluster.get("insecure-skip-tls-verify"):
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if any(user.get(f"client-certificate{form}") for form in ("", "-data")):
            with _file_of(user, "client-certificate") as certificate, _file_of(user, "client-key") as key:
                context.load_cert_chain(certificate, key)
    except (OSError, ValueError) as error:
        raise CredentialsError(str(error)) from None
    return context


def authentication(user: dict[str, Any]) -> httpx.Auth | None:
    """Return how requests are signed; None where the certificate is everything.

    Args:
        user: the kubeconfig's `user`.

    Raises:
        CredentialsError: it uses an authentication that nothing supports any more.
    """
    if user.get("auth-provider"):
        raise CredentialsError("auth-provider is not supported; use a credential plugin (exec)")
    if user.get("exec"):
        return _ExecAuth(user["exec"])
    if user.get("tokenFile"):
        return _TokenAuth(lambda: Path(user["tokenFile"]).read_text(encoding="utf-8").strip())
    if user.get("token"):
        return _TokenAuth(lambda: str(user["token"]))
    if user.get("username"):
        return httpx.BasicAuth(user["username"], user.get("password") or "")
    return None


class _TokenAuth(httpx.Auth):
    """A bearer token; read anew for every request, since the kubelet renews the file of a pod's own token."""

    def __init__(self, read: Callable[[], str]) -> None:
        self._read = read

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.headers["Authorization"] = f"Bearer {self._read()}"
        yield request


class _ExecAuth(httpx.Auth):
    """A token that a program prints, asked for again when the API server refuses it."""

    def __init__(self, plugin: dict[str, Any]) -> None:
        self._plugin = plugin
        self._token = ""
        self._lock = threading.Lock()

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        used = self._current(refused="")
        request.headers["Authorization"] = f"Bearer {used}"
        response = yield request
        if response.status_code == 401:
            request.headers["Authorization"] = f"Bearer {self._current(refused=used)}"
            yield request

    def _current(self, refused: str) -> str:
        with self._lock:
            if not self._token or self._token == refused:
                self._token = self._run()
            return self._token

    def _run(self) -> str:
        plugin = self._plugin
        command = [plugin["command"], *(plugin.get("args") or [])]
        environment = {**os.environ, **{entry["name"]: entry["value"] for entry in plugin.get("env") or []}}
        request = {
            "kind": "ExecCredential",
            "apiVersion": plugin["apiVersion"],
            "spec": {"interactive": False},
        }
        environment["KUBERNETES_EXEC_INFO"] = json.dumps(request)
        try:
            answer = subprocess.run(
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=True,
                timeout=_EXEC_SECONDS,
            )
            return str(json.loads(answer.stdout)["status"]["token"])
        except subprocess.CalledProcessError as error:
            detail = error.stderr.decode(errors="replace").strip()
            raise httpx.RequestError(f"the credential plugin {command[0]} failed: {detail}") from None
        except (OSError, ValueError, KeyError, subprocess.TimeoutExpired) as error:
            raise httpx.RequestError(
                f"the credential plugin {command[0]} failed: {type(error).__name__}"
            ) from None


@contextmanager
def _file_of(user: dict[str, Any], field: str) -> Iterator[str]:
    """Yield the path of a certificate or key; data gets a file that nobody else can read."""
    data = user.get(f"{field}-data")
    if not data:
        yield user.get(field) or ""
        return
    with tempfile.NamedTemporaryFile() as file:
        file.write(base64.b64decode(data))
        file.flush()
        yield file.name
