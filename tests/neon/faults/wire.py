"""A TCP proxy that spoils answers on the wire: what the injector only says, for real."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

LONGEST_SILENCE = 5.0
"""Seconds; the client under test gives up earlier."""


@dataclass
class Wire:
    """The proxy.

    Attributes:
        url: Where to connect to.
        spoil: Says what happens to a request, by its first line: "" (nothing), "reset before", "reset after",
            "cut" (half an answer), "silence" (no answer) or "page" (HTML instead).
        spoiled: First lines of the requests that were hit.
    """

    url: str = ""
    spoil: Callable[[str], str] = lambda line: ""
    spoiled: list[str] = field(default_factory=list)


@contextlib.contextmanager
def wire_to(port: int) -> Iterator[Wire]:
    """Proxies to a port of the loopback, one request a connection.

    Args:
        port: Where the service listens.
    """
    wire, closing = Wire(), threading.Event()

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            request = _message(self.request)
            line = request.partition(b"\r\n")[0].decode()
            how = wire.spoil(line) if line else "reset before"
            if how:
                wire.spoiled.append(line)
            answer = b"" if how == "reset before" else _forwarded(port, request)
            match how:
                case "reset before" | "reset after":
                    # Closed with unsent data thrown away: the peer gets a reset.
                    self.request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                case "cut":
                    self.request.sendall(answer[: len(answer) // 2])
                case "silence":
                    closing.wait(LONGEST_SILENCE)
                case "page":
                    page = b"<html>bad gateway</html>"
                    self.request.sendall(b"HTTP/1.1 502 Bad Gateway\r\nConnection: close\r\n\r\n" + page)
                case _:
                    self.request.sendall(answer)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as server:
        wire.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield wire
        finally:
            closing.set()
            server.shutdown()
            thread.join()


def _message(source: socket.socket) -> bytes:
    """Reads one request: its head, and the body that the head announces."""
    data = b""
    while b"\r\n\r\n" not in data:
        part = source.recv(65536)
        if not part:
            return b""
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
    missing = int(fields.get(b"content-length", b"0")) - len(body)
    while missing > 0:
        part = source.recv(missing)
        data, missing = data + part, missing - len(part)
    return data


def _forwarded(port: int, request: bytes) -> bytes:
    answer = b""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as service:
        # The end of the connection marks the end of the answer.
        service.sendall(request.replace(b"Connection: keep-alive", b"Connection: close", 1))
        while part := service.recv(65536):
            answer += part
    return answer
