"""Running a plugin: the start protocol, the gRPC server, and the end of the process.

Start protocol (Pulumi's own): `argv[1]` is the engine's address; the first line on standard output is the
port that the plugin listens on. Nothing else may ever be written there.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import FrameType

import grpc

from lab_plugins.common.protos import provider_grpc

# Waits block their thread, and Cancel must find a free one while they do.
_THREADS = 128
# Whole objects travel in one message; gRPC's own limit is 4 MiB, the engine's is 400 MB.
_MESSAGE_BYTES = 400 * 1024 * 1024
_PARENT_CHECK_SECONDS = 1.0


def exit_with_parent(on_exit: Callable[[], None]) -> None:
    """End this process soon after its parent has died.

    The engine ends its plugins in a normal run, but nobody does after a SIGKILL of the engine.

    Args:
        on_exit: called just before the end, to stop what the plugin has started.
    """
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_PARENT_CHECK_SECONDS)
        try:
            on_exit()
        finally:
            os._exit(1)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()


def serve(servicer: provider_grpc.ResourceProviderServicer, on_exit: Callable[[], None]) -> None:
    """Serve a provider on a loopback port of the system's choice until the process is ended.

    Args:
        servicer: the provider.
        on_exit: stops what the plugin has started, before the process ends.
    """
    exit_with_parent(on_exit)
    server = grpc.server(
        ThreadPoolExecutor(max_workers=_THREADS),
        options=[
            ("grpc.max_receive_message_length", _MESSAGE_BYTES),
            ("grpc.max_send_message_length", _MESSAGE_BYTES),
        ],
    )
    provider_grpc.add_ResourceProviderServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()

    def end(signal_number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        # The engine has every answer that it waits for; it only wants the process gone, and waits 5 s for
        # that.
        try:
            on_exit()
        finally:
            os._exit(0)

    for wanted in (signal.SIGINT, signal.SIGTERM):
        signal.signal(wanted, end)
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    server.wait_for_termination()
