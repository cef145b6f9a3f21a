"""catalog: what the shop sells, over gRPC (`catalog.proto`).

Settings, from the environment: `PORT` (8000). The items come with the image, in `catalog.json`.
"""

import json
import os
import signal
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
from catalog import SERVICE
from context import context_of
from google.protobuf.empty_pb2 import Empty
from google.protobuf.json_format import ParseDict
from google.protobuf.struct_pb2 import Struct
from google.protobuf.wrappers_pb2 import StringValue

RELEASE = Path(__file__).parent / "catalog.json"
THREADS = 8
FINISH_SECONDS = 5.0
SERVING = b"\x08\x01"  # a HealthCheckResponse of grpc.health.v1 whose status is SERVING


class Shelf:
    """The items of one release.

    Args:
        release: `{"release": ..., "items": [{"item": ..., "price": ..., "parcel": ...}, ...]}`.
    """

    def __init__(self, release: Mapping[str, Any]) -> None:
        self._release = release
        self._items = {item["item"]: item for item in release["items"]}

    def list(self, _: Empty, context: grpc.ServicerContext) -> Struct:
        """Answers `List`."""
        _log("List", context)
        return ParseDict(self._release, Struct())

    def find(self, request: StringValue, context: grpc.ServicerContext) -> Struct:
        """Answers `Find`."""
        _log(f"Find {request.value!r}", context)
        item = self._items.get(request.value)
        if item is None:
            context.abort(grpc.StatusCode.NOT_FOUND, f"{request.value!r} is not sold")
        return ParseDict({"release": self._release["release"], **item}, Struct())


def make_server(shelf: Shelf) -> grpc.Server:
    """Makes the server, not yet listening.

    Args:
        shelf: What it answers with.
    """
    methods = {
        "List": grpc.unary_unary_rpc_method_handler(
            shelf.list, request_deserializer=Empty.FromString, response_serializer=Struct.SerializeToString
        ),
        "Find": grpc.unary_unary_rpc_method_handler(
            shelf.find,
            request_deserializer=StringValue.FromString,
            response_serializer=Struct.SerializeToString,
        ),
    }
    # What Kubernetes' gRPC probes ask; without serializers a handler takes and gives bytes.
    health = {"Check": grpc.unary_unary_rpc_method_handler(lambda _request, _context: SERVING)}
    server = grpc.server(ThreadPoolExecutor(THREADS))
    server.add_generic_rpc_handlers(
        (
            grpc.method_handlers_generic_handler(SERVICE, methods),
            grpc.method_handlers_generic_handler("grpc.health.v1.Health", health),
        )
    )
    return server


def _log(call: str, context: grpc.ServicerContext) -> None:
    flow = context_of(context.invocation_metadata()).get("x-kardinal-flow", "")
    print(f"catalog: {call} flow={flow!r}", file=sys.stderr, flush=True)


def main() -> None:
    """Runs the service."""
    server = make_server(Shelf(json.loads(RELEASE.read_text())))
    port = server.add_insecure_port(f"0.0.0.0:{os.environ.get('PORT', '8000')}")
    signal.signal(signal.SIGTERM, lambda *_: server.stop(FINISH_SECONDS))
    server.start()
    print(f"catalog listens on port {port}", file=sys.stderr, flush=True)
    server.wait_for_termination()


if __name__ == "__main__":
    main()
