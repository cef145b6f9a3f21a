"""Asks a flow's public host who answers, until the routes are in effect.

A route's `Accepted` condition comes before its effect (istiod debounces its pushes), and the status of an
HTTPRoute stays green for most mistakes. The only proof is an answer: the flow's host must be answered by the
flow, and production's host must still be answered without it. For this purpose a flow's host
and the routes to its forks set response headers (`kardinal_infra.model.names`).

Facts: docs/facts/mesh.md#accepted-comes-before-its-effect, docs/facts/mesh.md#what-a-status-does-not-say.
"""

import socket
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, urlsplit

import httpx

from kardinal_infra.errors import ProbeError
from kardinal_infra.model.certificates import refusal
from kardinal_infra.model.names import address_problem

RETRY_SECONDS = 0.2
"""Pause between two requests of one check."""

REQUEST_TIMEOUT_SECONDS = 5.0
"""Longest wait for one answer."""

HTTPS_PORT = 443

UPSTREAM_TIME = "x-envoy-upstream-service-time"
"""Header that Envoy adds to an application's answers, and not to its own."""


@dataclass(frozen=True)
class ProbeCheck:
    """One question to one public host.

    Attributes:
        url: Full URL as a user would open it.
        address: `host:port` to connect to instead of resolving the URL's host; empty means DNS.
        headers: Response headers that must be there, with exactly these values.
        absent: Response headers that must not be there.
    """

    url: str
    address: str = ""
    headers: Mapping[str, str] | None = None
    absent: Sequence[str] = ()

    def problem(self, response: httpx.Response) -> str | None:
        """Says what is wrong with an answer, or None.

        Args:
            response: The answer to a GET of `url`.

        Returns:
            One line naming the expected and the seen value; None when the answer is right. Statuses of the
            application's own (3xx, 401, 404) are right as long as the marks are: only 5xx is a failure.
        """
        if response.status_code >= 500:
            return f"HTTP {response.status_code}"
        if response.status_code == 404 and not self.headers and UPSTREAM_TIME not in response.headers:
            return "HTTP 404 from the gateway itself: the host's route is not in effect"
        for name, expected in (self.headers or {}).items():
            seen = response.headers.get(name)
            if seen != expected:
                led = f" to {response.headers['location']}" if response.has_redirect_location else ""
                answer = f"HTTP {response.status_code}{led}"
                return f"{answer} with {name}: {seen or '(absent)'}, expected {expected}"
        for name in self.absent:
            if name in response.headers:
                return f"HTTP {response.status_code} with {name}: {response.headers[name]}, expected none"
        return None


def run_probe(
    checks: Sequence[ProbeCheck],
    timeout: float,
    *,
    authority: str = "",
    transport: httpx.BaseTransport | None = None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Repeats every check until it holds.

    Args:
        checks: The questions, asked in order.
        timeout: Seconds for all of them together.
        authority: PEM text of certificate authorities that sign the hosts' certificates, besides those that
            are known everywhere.
        transport: Replaces the network in unit tests.
        clock: Monotonic seconds.
        sleep: Pauses between tries.

    Raises:
        ProbeError: A check did not hold in time; the message names the URL and the last thing seen. Or an
            address is not `host:port`.
    """
    for check in checks:
        if check.address and (problem := address_problem(check.address)):
            raise ProbeError(f"{check.url} cannot be asked: {problem}")
    deadline = clock() + timeout
    with httpx.Client(
        transport=transport, timeout=REQUEST_TIMEOUT_SECONDS, trust_env=False, verify=trusted(authority)
    ) as client:
        for check in checks:
            while True:
                problem = _ask(client, check, authority)
                if problem is None:
                    break
                if clock() >= deadline:
                    reached = f" (connected to {check.address})" if check.address else ""
                    raise ProbeError(
                        f"{check.url}{reached} did not answer as expected within {timeout:g} s: {problem}"
                    )
                sleep(RETRY_SECONDS)


def trusted(authority: str = "") -> ssl.SSLContext:
    """Makes the client's side of TLS.

    Args:
        authority: PEM text of further certificate authorities.

    Returns:
        It trusts the authorities that browsers do (as `httpx`), the system's own, and these.
    """
    context = httpx.create_ssl_context(trust_env=False)
    context.load_default_certs()
    if authority:
        context.load_verify_locations(cadata=authority)
    return context


def _ask(client: httpx.Client, check: ProbeCheck, authority: str) -> str | None:
    parts = urlsplit(check.url)
    target = parts._replace(netloc=check.address) if check.address else parts
    # The certificate is that of the URL's host, wherever it is connected to.
    extensions = {"sni_hostname": parts.hostname or ""} if check.address and parts.scheme == "https" else {}
    try:
        response = client.get(target.geturl(), headers={"host": parts.netloc}, extensions=extensions)
    except httpx.HTTPError as error:
        if parts.scheme == "https" and (cause := _tls_error(error)):
            host = parts.hostname or ""
            return refusal(cause, host, lambda: _certificate_names(target, host, authority))
        return f"{type(error).__name__}: {error}"
    return check.problem(response)


def _tls_error(error: BaseException | None) -> ssl.SSLError | ConnectionResetError | None:
    while error is not None and not isinstance(error, (ssl.SSLError, ConnectionResetError)):
        error = error.__cause__ or error.__context__
    return error


def _certificate_names(target: SplitResult, host: str, authority: str) -> list[str]:
    """Names in a certificate whose only mistake is that the host is not among them; none if unreadable."""
    context = trusted(authority)
    context.check_hostname = False
    address = (target.hostname or "", target.port or HTTPS_PORT)
    try:
        with (
            socket.create_connection(address, REQUEST_TIMEOUT_SECONDS) as plain,
            context.wrap_socket(plain, server_hostname=host) as encrypted,
        ):
            names: Any = (encrypted.getpeercert() or {}).get("subjectAltName", ())
    except OSError:
        return []
    return [str(value) for _, value in names]
