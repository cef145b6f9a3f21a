"""The application behind the isolation tests' Services: says which pod it is, and what it was sent."""

import json
import os
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import grpc

PORT, OTHER_PORT = 8000, 8001
GRPC_PORT = 9000


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self) -> None:
        sent = [[name.lower(), value] for name, value in self.headers.items()]
        body = json.dumps({"pod": os.environ["HOSTNAME"], "headers": sent}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        self.answer()

    def do_POST(self) -> None:
        self.answer()

    def log_message(self, *arguments: object) -> None:
        """Says nothing."""


def say(request: bytes, context: grpc.ServicerContext) -> bytes:
    sent = [list(item) for item in context.invocation_metadata()]
    return json.dumps({"pod": os.environ["HOSTNAME"], "headers": sent}).encode()


if __name__ == "__main__":
    server = grpc.server(ThreadPoolExecutor(4))
    handler: Any = grpc.unary_unary_rpc_method_handler(say)
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("desk.Desk", {"Say": handler})])
    server.add_insecure_port(f"0.0.0.0:{GRPC_PORT}")
    server.start()
    Thread(target=ThreadingHTTPServer(("", OTHER_PORT), Handler).serve_forever).start()
    # In the main thread: when that ends, Python's thread pools take no more work.
    ThreadingHTTPServer(("", PORT), Handler).serve_forever()
