"""What is the same in every plugin: errors as gRPC statuses, and the calls that nobody serves."""

from __future__ import annotations

import functools
import traceback
from collections.abc import Callable
from typing import Any

import grpc
from google.rpc import status_pb2

from lab.plugins.common import wire
from lab.plugins.common.engine_log import EngineLog
from lab.plugins.common.failures import OperationError, PartialFailureError
from lab.plugins.common.protos import plugin_pb2, provider_grpc, provider_pb2

_NOT_SERVED = (
    "Attach",
    "Handshake",
    "Parameterize",
    "GetSchema",
    "Call",
    "Construct",
    "GetMapping",
    "GetMappings",
    "List",
)


def answered(method: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap an RPC so that every failure reaches the user as one clear message."""

    @functools.wraps(method)
    def call(self: Any, request: Any, context: grpc.ServicerContext) -> Any:
        try:
            return method(self, request)
        except PartialFailureError as failure:
            _abort_partial(context, failure)
        except OperationError as error:
            context.abort(grpc.StatusCode.UNKNOWN, str(error))
        except Exception as error:  # noqa: BLE001 - the boundary of the process: nothing may escape unexplained
            traceback.print_exc()
            context.abort(grpc.StatusCode.INTERNAL, f"{method.__name__}: {type(error).__name__}: {error}")

    return call


def _abort_partial(context: grpc.ServicerContext, failure: PartialFailureError) -> None:
    detail = provider_pb2.ErrorResourceInitFailed(
        id=failure.id,
        properties=wire.encode(failure.properties),
        reasons=[failure.message, *failure.reasons],
    )
    if failure.inputs is not None:
        detail.inputs.CopyFrom(wire.encode(failure.inputs))
    status = status_pb2.Status(code=grpc.StatusCode.UNKNOWN.value[0], message=failure.message)
    status.details.add().Pack(detail)
    context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    context.abort(grpc.StatusCode.UNKNOWN, failure.message)


class PluginServicer(provider_grpc.ResourceProviderServicer):  # type: ignore[name-defined,misc]
    """A provider that answers who it is and declines, in words, what it does not serve.

    Args:
        name: the package, for messages.
        version: the version to report.
        log: where messages for the user go.
    """

    def __init__(self, name: str, version: str, log: EngineLog) -> None:
        self.name = name
        self.version = version
        self.log = log

    def GetPluginInfo(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: ARG002, N802
        """Report the version."""
        return plugin_pb2.PluginInfo(version=self.version)


def _declining(rpc: str) -> Callable[..., Any]:
    def decline(self: PluginServicer, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: ARG001
        context.abort(grpc.StatusCode.UNIMPLEMENTED, f"the stand-in {self.name} plugin does not serve {rpc}")

    decline.__name__ = rpc
    decline.__doc__ = f"Decline {rpc}."
    return decline


for _rpc in _NOT_SERVED:
    setattr(PluginServicer, _rpc, _declining(_rpc))
