"""The fake Neon behind a real HTTP port, for a provider that lives in another process."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from threading import Lock

import httpx

from tests.loopback import Answer, Request, serving
from tests.neon.fake import FakeNeon


@contextlib.contextmanager
def served(neon: FakeNeon) -> Iterator[str]:
    """Serves the fake on the loopback and gives its address."""
    lock = Lock()

    def answer(request: Request) -> Answer:
        url = f"http://{request.headers['host']}{request.target}"
        with lock:
            given = neon.handle(
                httpx.Request(request.method, url, headers=dict(request.headers), content=request.body)
            )
        kept = ("content-type", "retry-after")
        headers = {name: given.headers[name] for name in kept if name in given.headers}
        return Answer(given.status_code, given.content, headers)

    with serving(answer) as address:
        yield address
