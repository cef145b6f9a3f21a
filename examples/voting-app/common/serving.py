"""What both programs of the voting app share: an HTTP server that stops cleanly, and headers passed on."""

import json
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from email.message import Message
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# A request's context: whoever calls another service hands these on, or the mesh cannot tell
# a flow's request from any other after the first hop.
CONTEXT_HEADERS = ("x-kardinal-flow", "baggage", "traceparent", "tracestate", "x-request-id")
MAX_BODY = 64 * 1024  # bytes
FINISH_SECONDS = 5.0  # how long requests under way may take after the signal to stop


class RequestError(Exception):
    """A request that gets no result: the status of its answer, and what to say."""

    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.status = status


def context_of(headers: Message) -> dict[str, str]:
    """Picks the headers of a request that its handler must hand to whatever it calls.

    Args:
        headers: The request's headers; their names' case does not matter.

    Returns:
        Those of `CONTEXT_HEADERS` that are there; one given more than once becomes one list
        (RFC 9110, section 5.3).
    """
    return {name: ", ".join(values) for name in CONTEXT_HEADERS if (values := headers.get_all(name))}


class Handler(BaseHTTPRequestHandler):
    """One request. Subclasses fill `routes`: (method, path) -> the name of a method of theirs."""

    protocol_version = "HTTP/1.1"  # a mesh's proxies keep connections open
    routes: Mapping[tuple[str, str], str] = {}
    server: "Server"

    def do_GET(self) -> None:
        """Answers GET."""
        self._dispatch("GET")

    def do_HEAD(self) -> None:
        """Answers HEAD: as GET, without the body."""
        self._dispatch("GET")

    def do_POST(self) -> None:
        """Answers POST."""
        self._dispatch("POST")

    def _dispatch(self, method: str) -> None:
        with self.server.busy():
            path = self.path.partition("?")[0]
            try:
                self._body = self._read_body()
                name = self.routes.get((method, path))
                if name is None:
                    known = any(route == path for _, route in self.routes)
                    status = HTTPStatus.METHOD_NOT_ALLOWED if known else HTTPStatus.NOT_FOUND
                    raise RequestError(status, f"{self.command} {path}: {status.phrase.lower()}")
                getattr(self, name)()
            except RequestError as error:
                self.refuse(error)
            except ConnectionError:  # the client hung up
                raise
            except Exception:  # noqa: BLE001  (the last line of defence: the caller gets an answer, the log the story)
                traceback.print_exc()
                self.close_connection = True
                self.refuse(RequestError(HTTPStatus.INTERNAL_SERVER_ERROR, "internal error"))

    def refuse(self, error: "RequestError") -> None:
        """Answers with an error; as JSON unless a subclass has something nicer."""
        self.send_json({"error": str(error)}, error.status)

    def _read_body(self) -> bytes:
        length = self.headers.get("Content-Length", "0")
        if not length.isdigit() or int(length) > MAX_BODY or self.headers.get("Transfer-Encoding"):
            # The rest of the connection cannot be told from the body any more.
            self.close_connection = True
            raise RequestError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a body has at most {MAX_BODY} bytes")
        return self.rfile.read(int(length))

    @property
    def body(self) -> bytes:
        """The request's body."""
        return self._body

    def send_json(self, value: object, status: HTTPStatus = HTTPStatus.OK) -> None:
        """Answers with JSON."""
        self.send(json.dumps(value).encode(), "application/json", status)

    def send(
        self,
        body: bytes,
        content_type: str,
        status: HTTPStatus = HTTPStatus.OK,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Answers the request.

        Args:
            body: The whole body.
            content_type: Its type.
            status: The answer's status.
            headers: Further headers.
        """
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if self.server.stopping or self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def version_string(self) -> str:
        """Names the program in the `Server` header, not the versions of what it is made of."""
        return "voting-app"

    def log_message(self, format: str, *args: object) -> None:
        """Logs a request with its flow; probes are left out."""
        if self.path not in {"/healthz", "/readyz"}:
            flow = self.headers.get("x-kardinal-flow") or "-"
            print(f"{self.address_string()} flow={flow!r} {format % args}", file=sys.stderr, flush=True)


class Server(ThreadingHTTPServer):
    """A threading server that knows how many requests are under way."""

    daemon_threads = True  # idle connections must not keep the process alive
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], handler: type[Handler]) -> None:
        super().__init__(address, handler)
        self.stopping = False
        self._idle = threading.Condition()
        self._under_way = 0

    @contextmanager
    def busy(self) -> Iterator[None]:
        """Counts one request for the time of the block."""
        with self._idle:
            self._under_way += 1
        try:
            yield
        finally:
            with self._idle:
                self._under_way -= 1
                self._idle.notify_all()

    def handle_error(self, request: object, client_address: object) -> None:
        """Says nothing of clients that hung up; everything else is logged as usual."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]

    def wait_until_idle(self, seconds: float) -> bool:
        """Waits for the requests under way.

        Args:
            seconds: How long at most.

        Returns:
            Whether all of them ended.
        """
        with self._idle:
            return self._idle.wait_for(lambda: self._under_way == 0, timeout=seconds)


def serve(handler: type[Handler], name: str) -> None:
    """Serves on `PORT` (default 8000) until SIGTERM or SIGINT, then lets the requests under way end.

    For `DRAIN_SECONDS` (default 1) after the signal new requests are still answered: the rest of the cluster
    hears only then that this pod is going.

    Args:
        handler: The handler of the requests.
        name: The program's name in its log.
    """
    server = Server(("", int(os.environ.get("PORT", "8000"))), handler)
    drain = float(os.environ.get("DRAIN_SECONDS", "1"))

    def drain_and_stop() -> None:
        time.sleep(drain)
        server.shutdown()

    def stop(*_: object) -> None:
        if not server.stopping:
            server.stopping = True
            # shutdown() waits for serve_forever, which runs in the thread that the signal interrupts.
            threading.Thread(target=drain_and_stop, daemon=True).start()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    print(f"{name} listens on port {server.server_port}", file=sys.stderr, flush=True)
    server.serve_forever(poll_interval=0.1)
    server.socket.close()
    finished = server.wait_until_idle(FINISH_SECONDS)
    print(f"{name} stopped" + ("" if finished else " with requests under way"), file=sys.stderr, flush=True)
