"""One service per data directory, and the end of one from outside."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import time
from pathlib import Path

from kardinal_neon_local.errors import LocalNeonError
from kardinal_neon_local.postmaster import end

_LONGEST_END = 120.0
_POLL = 0.05


def take_lock(data_dir: Path) -> int:
    """Makes sure that this is the only service on the data directory, until the returned handle is closed.

    Args:
        data_dir: The data directory.

    Raises:
        LocalNeonError: If another one runs; names its process.
    """
    data_dir.mkdir(parents=True, exist_ok=True)
    handle = os.open(data_dir / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.read(handle, 32).decode().strip() or "unknown"
        os.close(handle)
        raise LocalNeonError(
            f"another service (process {owner}) already uses the data directory {data_dir}"
        ) from None
    os.ftruncate(handle, 0)
    os.write(handle, f"{os.getpid()}\n".encode())
    return handle


def stop(data_dir: Path) -> None:
    """Ends the service of a data directory if one runs, and all instances, also those that a killed one left.

    Args:
        data_dir: The data directory.

    Raises:
        LocalNeonError: If there is no such directory, or the service does not end.
    """
    if not (data_dir / "lock").exists():
        raise LocalNeonError(f"{data_dir} is not the data directory of a service")
    deadline = time.monotonic() + _LONGEST_END
    asked = 0
    while True:
        try:
            lock = take_lock(data_dir)
        except LocalNeonError:
            if time.monotonic() > deadline:
                raise
            with contextlib.suppress(ValueError, ProcessLookupError):
                process = int((data_dir / "lock").read_text())
                if process != asked:
                    os.kill(process, signal.SIGTERM)
                    asked = process
            time.sleep(_POLL)
        else:
            break
    for directory in (data_dir / "instances").glob("*"):
        end(directory)
    os.close(lock)
