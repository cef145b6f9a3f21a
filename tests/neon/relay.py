"""A relay between the client and a service that sees every request and may cut in."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread

import httpx

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
    client = httpx.Client(base_url=target, timeout=60)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def pass_on(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", "0")))
            with lock:
                relay.requests.append(f"{self.command} {self.path.partition('?')[0]}")
                number = len(relay.requests)
            relay.cut_in(number, "before")
            headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP_HEADERS}
            answer = client.request(self.command, self.path, headers=headers, content=body)
            relay.cut_in(number, "after")
            with contextlib.suppress(OSError):  # the caller may have died
                self.send_response(answer.status_code)
                for name, value in answer.headers.items():
                    if name.lower() not in HOP_HEADERS:
                        self.send_header(name, value)
                if answer.status_code != 204:
                    self.send_header("content-length", str(len(answer.content)))
                self.end_headers()
                self.wfile.write(answer.content)

        do_GET = do_POST = do_PATCH = do_DELETE = pass_on  # noqa: N815 - http.server asks for these names

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    relay.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield relay
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
        client.close()
