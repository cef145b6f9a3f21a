"""What runs, how much memory it takes, and where its log is."""

from __future__ import annotations

import subprocess
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from lab.ingress import ingress_port
from lab.leftovers import cluster_processes, container_ids, container_processes, database_processes
from lab.network import KEEPER
from lab.processes import Process, Processes
from lab.settings import Lab, LabError
from lab.variables import is_running

_MIB = 1024 * 1024


def print_status(lab: Lab, console: Console) -> None:
    """Print a table of the lab's programs and of what runs in its containers."""
    processes = Processes(lab)
    table = Table(title=f"{lab.name} ({lab.prefix}.*)", title_justify="left")
    table.add_column("program")
    table.add_column("process", justify="right")
    table.add_column("memory", justify="right")
    total = 0
    for name in processes.names():
        process = processes.find(name)
        memory = process.memory if process else 0
        total += memory
        table.add_row(
            name,
            str(process.pid) if process else "-",
            f"{memory / _MIB:.0f} MiB" if process else "not running",
        )
    containers = container_processes(container_ids(lab))
    known = {*containers, *(processes.find(name) for name in processes.names())}
    inside = [*cluster_processes(lab, processes.find(KEEPER), set()), *database_processes(lab)]
    others = [process for process in inside if process not in known]
    for name, (count, memory) in [*_by_program("", others), *_by_program("in containers: ", containers)]:
        total += memory
        table.add_row(name, f"{count} x", f"{memory / _MIB:.0f} MiB")
    table.add_section()
    table.add_row("all", "", f"{total / _MIB:.0f} MiB")
    console.print(table)
    if is_running(lab):
        console.print(
            f"kubeconfig {lab.kubeconfig}; first gateway at http://127.0.0.1:{ingress_port(lab)}",
            soft_wrap=True,
        )
    else:
        console.print("the lab is not running", soft_wrap=True)


def print_logs(lab: Lab, component: str) -> None:
    """Print the end of one component's log, or the list of logs.

    Raises:
        LabError: There is no such log.
    """
    available = {path.stem: path for path in sorted(lab.logs.glob("*.log"))}
    if not component:
        for name, path in available.items():
            print(f"{name:<26} {path}")
        print(f"{'pods':<26} {lab.state / 'pods'}")
        return
    if component not in available:
        raise LabError(f"no log of {component!r}; there are: {', '.join(available) or 'none'}")
    subprocess.run(["tail", "-n", "100", str(available[component])], check=False)


def _by_program(before: str, processes: Iterable[Process]) -> list[tuple[str, tuple[int, int]]]:
    found: dict[str, tuple[int, int]] = defaultdict(lambda: (0, 0))
    for process in processes:
        name = before + _program(process.pid)
        count, memory = found[name]
        found[name] = (count + 1, memory + process.memory)
    return sorted(found.items())


def _program(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return "ended"
