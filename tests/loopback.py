"""An HTTP server on the loopback around one function: what servers of other systems answer in tests."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread


@dataclass(frozen=True)
class Request:
    """What a client asked.

    Attributes:
        method: HTTP method.
        target: Path with query.
        headers: By name in small letters.
        body: Its content.
    """

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def path(self) -> str:
        """The path without query."""
        return self.target.partition("?")[0]


@dataclass(frozen=True)
class Answer:
    """What it is told.

    Attributes:
        status: HTTP status.
        body: Content; the length is added.
        headers: Header fields.
    """

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


@contextlib.contextmanager
def serving(answer: Callable[[Request], Answer], tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """Serves on a free port of 127.0.0.1 and gives the address, `http://127.0.0.1:port`.

    Args:
        answer: Called once per request, for several at once.
        tls: The server's side of TLS; default: none, and a caller that speaks it is sent away.
    """

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Head and body are two writes; the second would wait 40 ms for an acknowledgement of the first.
        disable_nagle_algorithm = True

        def respond(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = self.rfile.read(int(headers.get("content-length", "0")))
            given = answer(Request(self.command, self.path, headers, body))
            with contextlib.suppress(OSError):  # the caller may have died
                self.send_response(given.status)
                for name, value in given.headers.items():
                    self.send_header(name, value)
                if given.status != HTTPStatus.NO_CONTENT:
                    self.send_header("content-length", str(len(given.body)))
                self.end_headers()
                self.wfile.write(given.body)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = respond  # noqa: N815 - http.server's names

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
