"""What a crash can leave behind, recognised by the kernel's own marks and never by a program's name."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

from lab.processes import Process, every_process
from lab.settings import Lab

_CGROUPS = Path("/sys/fs/cgroup")


def cluster_processes(lab: Lab, keeper: Process | None) -> list[Process]:
    """Every process inside the lab: by network namespace, mount namespace or cgroup."""
    network = _identity(lab.network_namespace)
    mounts = _identity(Path(f"/proc/{keeper.pid}/ns/mnt")) if keeper else None
    return [
        process
        for process in every_process()
        if (network and _identity(Path(f"/proc/{process.pid}/ns/net")) == network)
        or (mounts and _identity(Path(f"/proc/{process.pid}/ns/mnt")) == mounts)
        or container_of(lab, process)
    ]


def container_of(lab: Lab, process: Process) -> str | None:
    """Id of the lab's container in which a process runs."""
    try:
        lines = Path(f"/proc/{process.pid}/cgroup").read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        head, found, container = line.partition(f":/{lab.name}/")
        if found and head:
            return container
    return None


def host_processes(lab: Lab) -> list[Process]:
    """Processes on the machine itself that work in the lab's state folder, such as its databases."""
    return [process for process in every_process() if _works_in(process, lab.state)]


def remove_cgroups(lab: Lab) -> None:
    """Remove the lab's cgroups in every hierarchy."""
    for folder in _cgroup_roots(lab):
        # Deepest first; a cgroup can be removed a moment after its last process ended.
        for child in sorted([folder, *folder.rglob("*/")], key=lambda path: len(path.parts), reverse=True):
            _remove_cgroup(child)


def _cgroup_roots(lab: Lab) -> Iterator[Path]:
    for parent in (_CGROUPS, *_CGROUPS.glob("*/")):
        if (parent / lab.name).is_dir():
            yield parent / lab.name


def _remove_cgroup(folder: Path) -> None:
    for _ in range(20):
        try:
            folder.rmdir()
        except FileNotFoundError:
            return
        except OSError:
            time.sleep(0.1)
        else:
            return


def _works_in(process: Process, folder: Path) -> bool:
    if process.pid == os.getpid():
        return False
    try:
        return Path(os.readlink(f"/proc/{process.pid}/cwd")).is_relative_to(folder)
    except OSError:
        return False


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
