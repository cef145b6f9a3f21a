"""Asks over HTTP and gRPC; the tests import it, and pods run its text."""

import http.client
import json
import os
import sys
from collections.abc import Sequence
from typing import Any

METHOD = "/desk.Desk/Say"
"""The gRPC method that the application serves."""


def ask(address: str, port: int, method: str, path: str, headers: Sequence[Sequence[str]]) -> list[Any]:
    """Sends one request, with headers as they are written, repeated ones too.

    Args:
        address: Where to connect, also the host that is asked unless a header says another.
        port: Port there.
        method: HTTP method; `GRPC` calls `METHOD`.
        path: Path, with its query.
        headers: Names and values.

    Returns:
        Status (for a gRPC call 200, or the name of the failure's code; 0 for no answer at all), body, and the
        answer's headers by name in small letters.
    """
    if method == "GRPC":
        return _call(f"{address}:{port}", headers)
    connection = http.client.HTTPConnection(address, port, timeout=10)
    try:
        connection.putrequest(method, path, skip_host=any(name.lower() == "host" for name, _ in headers))
        for name, value in headers:
            connection.putheader(name, value)
        connection.endheaders()
        answer = connection.getresponse()
        found = {name.lower(): value for name, value in answer.getheaders()}
        return [answer.status, answer.read().decode(), found]
    except OSError:
        return [0, "", {}]
    except http.client.HTTPException:
        return [0, "", {}]
    finally:
        connection.close()


def _call(target: str, headers: Sequence[Sequence[str]]) -> list[Any]:
    # gRPC's own resolver waits seconds for what a cluster's DNS does not answer.
    os.environ["GRPC_DNS_RESOLVER"] = "native"
    import grpc

    with grpc.insecure_channel(target) as channel:
        say: Any = channel.unary_unary(METHOD)
        try:
            body, call = say.with_call(b"", metadata=[tuple(item) for item in headers], timeout=10)
        except grpc.RpcError as error:
            return [error.code().name, "", {}]
        return [200, body.decode(), dict(call.initial_metadata())]


if __name__ == "__main__":
    print(json.dumps([ask(*item) for item in json.load(sys.stdin)]))
