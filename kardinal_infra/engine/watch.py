"""Ends the dynamic-provider process when its engine has died.

The engine ends its plugins when it ends. When it is killed it cannot, and the SDK's dynamic-provider process
then lives for ever (docs/facts/pulumi.md#a-provider-outlives-a-killed-engine), going on with whatever it was
doing. That is not only a leak: a create that goes on behind the back of the next `pulumi up` would reset the
password that the latter has just recorded.
"""

import os
import socket
import sys
import threading
import time
from collections.abc import Callable

INTERVAL = 1.0
"""Seconds between two looks."""

FAILURES = 2
"""Refused connections in a row that count as death."""

_started = threading.Event()


def exit_with_engine() -> None:
    """Starts the watch, once per process; does nothing in a process that no engine started.

    The engine's address is the only argument of the provider process.
    """
    host, _, port = (sys.argv[1] if len(sys.argv) == 2 else "").rpartition(":")
    if not host or not port.isdigit() or _started.is_set():
        return
    _started.set()
    threading.Thread(
        target=watch, args=(lambda: reachable(host, int(port)), lambda: os._exit(1)), daemon=True
    ).start()


def watch(
    alive: Callable[[], bool], die: Callable[[], object], sleep: Callable[[float], object] = time.sleep
) -> None:
    """Looks until the engine is gone, then ends the process.

    Args:
        alive: Says whether the engine still listens.
        die: Ends the process.
        sleep: Pauses between two looks.
    """
    failures = 0
    while failures < FAILURES:
        sleep(INTERVAL)
        failures = 0 if alive() else failures + 1
    die()


def reachable(host: str, port: int) -> bool:
    """Says whether somebody listens; only a refusal is proof of the contrary.

    Args:
        host: Name or address.
        port: TCP port.
    """
    try:
        socket.create_connection((host, port), timeout=5).close()
    except ConnectionRefusedError:
        return False
    except OSError:
        # A machine under load, or out of sockets: not a dead engine.
        return True
    return True
