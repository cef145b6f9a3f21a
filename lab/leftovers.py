"""What a crash can leave behind, recognised by the kernel's own marks and never by a program's name."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

from lab.neon import neon_data
from lab.processes import Process, every_process, parent_of
from lab.settings import Lab

_CGROUPS = Path("/sys/fs/cgroup")
# containerd's name space for Kubernetes names the cgroup above all its containers.
_PARENT = "k8s.io"


def container_ids(lab: Lab) -> set[str]:
    """Ids of the lab's containers: containerd keeps a folder for each, also after a crash."""
    folder = lab.sockets / "containerd" / "io.containerd.runtime.v2.task" / "k8s.io"
    return {path.name for path in folder.glob("*")}


def container_processes(containers: set[str]) -> list[Process]:
    """The processes of these containers: each runs in a cgroup named after its container."""
    return [process for process in every_process() if _cgroups(process) & containers]


def cluster_processes(lab: Lab, keeper: Process | None, containers: set[str]) -> list[Process]:
    """Every process inside the lab: by network namespace, mount namespace or container."""
    network = _identity(lab.network_namespace)
    mounts = _identity(Path(f"/proc/{keeper.pid}/ns/mnt")) if keeper else None
    return [
        process
        for process in every_process()
        if (network and _identity(Path(f"/proc/{process.pid}/ns/net")) == network)
        or (mounts and _identity(Path(f"/proc/{process.pid}/ns/mnt")) == mounts)
        or _cgroups(process) & containers
    ]


def database_processes(lab: Lab) -> list[Process]:
    """Processes that work in the local Neon service's folder; not the shell from which this was called."""
    own = set(_ancestors(os.getpid()))
    folder = neon_data(lab)
    return [process for process in every_process() if process.pid not in own and _works_in(process, folder)]


def remove_cgroups(containers: set[str]) -> None:
    """Remove the cgroups of these containers in every hierarchy, and their parent when it is empty."""
    for parent in (_CGROUPS / _PARENT, *_CGROUPS.glob(f"*/{_PARENT}")):
        for container in containers:
            # Deepest first: a cgroup with children cannot be removed.
            for folder in sorted((parent / container).rglob("*/"), key=lambda path: -len(path.parts)):
                _remove_cgroup(folder)
            _remove_cgroup(parent / container)
        if parent.is_dir() and not any(child.is_dir() for child in parent.iterdir()):
            _remove_cgroup(parent)


def _remove_cgroup(folder: Path) -> None:
    # A cgroup can be removed a moment after its last process ended.
    for _ in range(20):
        try:
            folder.rmdir()
        except FileNotFoundError:
            return
        except OSError:
            time.sleep(0.1)
        else:
            return


def cgroup_names(text: str) -> set[str]:
    """Every part of every cgroup's path in a ``/proc/PID/cgroup``; see cgroups(7).

    A line is ``4:memory:/k8s.io/ID``, with more parts behind the id if the container has cgroups of its own.
    """
    return {part for line in text.splitlines() for part in line.split(":", 2)[2].split("/") if part}


def _cgroups(process: Process) -> set[str]:
    try:
        return cgroup_names(Path(f"/proc/{process.pid}/cgroup").read_text())
    except OSError:
        return set()


def _works_in(process: Process, folder: Path) -> bool:
    try:
        return Path(f"/proc/{process.pid}/cwd").readlink().is_relative_to(folder)
    except OSError:
        return False


def _ancestors(pid: int) -> Iterator[int]:
    while pid > 0:
        yield pid
        pid = parent_of(pid)


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
