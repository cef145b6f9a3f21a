"""Messages to the engine: log lines, and the text in the "Info" column of a running resource."""

from __future__ import annotations

import grpc

from lab_plugins.common.protos import engine_grpc, engine_pb2

# A message to a dying engine must not hold up the plugin's own end.
_DEADLINE_SECONDS = 5


class EngineLog:
    """Sends messages to the engine at an address; without an address it is silent.

    Args:
        address: `host:port` of the engine's gRPC server, or None when nobody listens (a test over bare gRPC).
    """

    def __init__(self, address: str | None) -> None:
        self._stub = engine_grpc.EngineStub(grpc.insecure_channel(address)) if address else None

    def status(self, urn: str, message: str) -> None:
        """Show a text beside the resource while it is being worked on; an empty text clears it."""
        self._send(urn, message, engine_pb2.INFO, ephemeral=True)

    def info(self, urn: str, message: str) -> None:
        """Write a line to the update's log."""
        self._send(urn, message, engine_pb2.INFO, ephemeral=False)

    def warning(self, urn: str, message: str) -> None:
        """Write a warning to the update's log."""
        self._send(urn, message, engine_pb2.WARNING, ephemeral=False)

    def _send(
        self, urn: str, message: str, severity: engine_pb2.LogSeverity.ValueType, *, ephemeral: bool
    ) -> None:
        if self._stub is None:
            return
        request = engine_pb2.LogRequest(severity=severity, message=message, urn=urn, ephemeral=ephemeral)
        try:
            self._stub.Log(request, timeout=_DEADLINE_SECONDS)
        except grpc.RpcError:
            # The message is a courtesy; the operation it speaks of is what counts.
            return
