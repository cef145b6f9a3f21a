"""A relay between the client and a service that sees every request and may cut in."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from threading import Lock

import httpx

from tests.loopback import Answer, Request, serving

HOP_HEADERS = {
    "connection",
    "transfer-encoding",
    "content-length",
    "host",
    "accept-encoding",
    "content-encoding",
}


@dataclass
class Relay:
    """What the relay saw.

    Attributes:
        url: Where to connect to.
        requests: `METHOD path` in order.
        cut_in: Called with the number of the request and "before" or "after" it was forwarded.
    """

    url: str = ""
    requests: list[str] = field(default_factory=list)
    cut_in: Callable[[int, str], None] = lambda number, moment: None


@contextlib.contextmanager
def relay_to(target: str) -> Iterator[Relay]:
    """Relays to the service at `target` (`http://host:port`)."""
    relay, lock = Relay(), Lock()

    with httpx.Client(base_url=target, timeout=60) as client:

        def pass_on(request: Request) -> Answer:
            with lock:
                relay.requests.append(f"{request.method} {request.path}")
                number = len(relay.requests)
            relay.cut_in(number, "before")
            answer = client.request(
                request.method, request.target, headers=_end_to_end(request.headers), content=request.body
            )
            relay.cut_in(number, "after")
            return Answer(answer.status_code, answer.content, _end_to_end(answer.headers))

        with serving(pass_on) as relay.url:
            yield relay


def _end_to_end(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() not in HOP_HEADERS}
