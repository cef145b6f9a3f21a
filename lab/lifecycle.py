"""Bringing the lab up and taking it down."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from lab.build import build_everything
from lab.cluster import Cluster
from lab.containers import remove_containers, wanted_images
from lab.ingress import start_ingress
from lab.leftovers import cluster_processes, container_ids, database_processes, remove_cgroups
from lab.locks import exclusive
from lab.mesh import install_mesh
from lab.neon import start_neon
from lab.network import KEEPER, remove_network, remove_private_folders
from lab.processes import Processes, end
from lab.report import Report
from lab.settings import Lab, LabError
from lab.supervised import start_load_balancer

# Stopped in this order: first what would restart or change workloads, last what the others need.
_STOP_FIRST = (
    "ingress",
    "load-balancer",
    "kubelet",
    "kube-proxy",
    "kube-scheduler",
    "kube-controller-manager",
)
_STOP_LAST = ("coredns", "kube-apiserver", "containerd", "etcd", "neon")


def up(lab: Lab, report: Report) -> None:
    """Build what is missing and start what does not run; nothing happens if everything runs.

    Two runs at once wait for each other; a run that was killed is continued by the next.

    Raises:
        LabError: A piece cannot be built or started.
    """
    require_machine()
    with _lock(lab, report):
        built = build_everything(lab, report)
        processes = Processes(lab)
        if processes.find(KEEPER) is None:
            # Nothing of the cluster can run without the keeper: what is found is left over from a crash.
            _take_down(lab, report)
            _put_logs_aside(lab)
        cluster = Cluster(lab, built.kube, built.coredns, report)
        _link_programs(lab, built.kube, built.istio)
        cluster.start(wanted_images(lab, built.images))
        start_load_balancer(lab, processes)
        start_ingress(lab, processes, report)
        install_mesh(cluster, built.istio, built.definitions, report)
        start_neon(lab, processes, report)


def down(lab: Lab, report: Report, *, purge: bool = False) -> None:
    """Stop everything; no process, mount, interface, namespace or route is left.

    Args:
        lab: Which lab.
        report: Where progress goes.
        purge: Also delete the lab's data: databases, keys, images, logs. What was built stays.
    """
    require_machine()
    with _lock(lab, report):
        with report.working("lab", f"take down {lab.name}"):
            _take_down(lab, report)
        if purge:
            _remove_tree(lab.state)


def require_machine() -> None:
    """Refuse to go on where the lab cannot work.

    Raises:
        LabError: Names everything that is missing.
    """
    problems = []
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        problems.append("it runs on Linux on x86-64 only")
    if os.geteuid() != 0:
        problems.append("it makes network namespaces and mounts: run it as root, for example with sudo -E")
    if problems:
        raise LabError("the lab cannot run here: " + "; ".join(problems))


def _take_down(lab: Lab, report: Report) -> None:
    processes = Processes(lab)
    for name in _STOP_FIRST:
        processes.stop(name)
    containers = container_ids(lab)
    clean = processes.find("containerd") is not None
    if clean:
        clean = _tolerate(report, lambda: remove_containers(lab))
    for name in _STOP_LAST:
        processes.stop(name, seconds=30)
    end(cluster_processes(lab, processes.find(KEEPER), containers), seconds=3)
    end(database_processes(lab), seconds=5)
    for name in processes.names():
        processes.stop(name)
    remove_network(lab)
    remove_private_folders()
    remove_cgroups(containers)
    shutil.rmtree(lab.sockets, ignore_errors=True)
    spoiled = [lab.state / name for name in ("etcd", "kubelet", "pods")]
    if not clean:
        # Its records name containers that no longer exist; images are imported again from their archives.
        spoiled.append(lab.state / "containerd")
    for folder in spoiled:
        _remove_tree(folder)


def _put_logs_aside(lab: Lab) -> None:
    if lab.logs.is_dir():
        before = lab.logs.with_name("logs-before")
        _remove_tree(before)
        lab.logs.rename(before)


def _remove_tree(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)


def _tolerate(report: Report, action: Callable[[], None]) -> bool:
    try:
        action()
    except LabError as error:
        report.warning("lab", str(error))
        return False
    return True


def _link_programs(lab: Lab, *folders: Path) -> None:
    lab.programs.mkdir(parents=True, exist_ok=True)
    for name, folder in zip(("kubectl", "istioctl"), folders, strict=True):
        link = lab.programs / name
        if link.is_symlink() and link.readlink() == folder / name:
            continue
        unfinished = lab.programs / f".{name}"
        unfinished.unlink(missing_ok=True)
        unfinished.symlink_to(folder / name)
        unfinished.rename(link)


def _lock(lab: Lab, report: Report) -> AbstractContextManager[None]:
    return exclusive(
        lab.cache / "locks" / f"lab-{lab.name}",
        lambda: report.line("lab", "waiting for another run of the lab"),
    )
