"""How long a plan takes, by the size of the application: `python -m benchmarks.plan`.

A whole `make_plan` is measured, from config, topology and snapshot to the plan and its safety proof. Only how
the time grows is judged, never how long it is: the machine may be slow or busy, and it is the process's own
CPU time that counts.
"""

from __future__ import annotations

import gc
import platform
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, get_args

import typer
from rich.console import Console
from rich.table import Table

from benchmarks.application import STACK, Forks, flow, live, topology
from kardinal_infra.plan import make_plan

SIZES = (100, 250, 500, 1000, 2000)
FLOWS = (0, 400)
COMPARED = (500, 2000)
"""The sizes whose ratio is judged."""

GOAL = 5
"""Most that four times the services may take, as a multiple; 4 would be exactly linear."""

ENOUGH_SECONDS = 1.0
"""A measurement is repeated until it has taken this long together, and the fastest counts."""

MAX_REPEATS = 5


@dataclass(frozen=True)
class Case:
    """What is planned.

    Attributes:
        forks: How much of the application is forked.
        flows: Flows of others on the cluster.
    """

    forks: Forks
    flows: int


def measure(services: int, case: Case) -> float:
    """Plans a flow a few times and returns the seconds of the fastest one.

    Args:
        services: Size of the application.
        case: What is planned.
    """
    config = flow(services, case.forks)
    took: list[float] = []
    while not took or (sum(took) < ENOUGH_SECONDS and len(took) < MAX_REPEATS):
        # Anew each time: what is found out about a snapshot or a topology once is kept with it.
        app = topology(services)
        snapshot = live(app, case.flows)
        # As timeit does: when the collector sets in, and what it looks through, hangs on the whole process.
        gc.collect()
        gc.disable()
        try:
            begun = time.process_time()
            make_plan(app, config, snapshot, stack=STACK)
            took.append(time.process_time() - begun)
        finally:
            gc.enable()
    return min(took)


def ratio(seconds: dict[int, float]) -> float | None:
    """Compares the sizes that are judged, None when one of them was left out.

    Args:
        seconds: By size.
    """
    small, large = (seconds.get(size) for size in COMPARED)
    return large / small if small and large else None


def main(
    sizes: Annotated[str, typer.Option(help="Numbers of services.")] = ",".join(map(str, SIZES)),
    longest: Annotated[
        float, typer.Option(help="Leave larger sizes out after one of so many seconds.")
    ] = 600,
) -> None:
    """Measures every case and fails where the time grows faster than the application."""
    console = Console()
    numbers = sorted(int(size) for size in sizes.split(","))
    cases = [Case(forks, flows) for forks in get_args(Forks) for flows in FLOWS]
    measured = {case: _measured(numbers, case, longest, console) for case in cases}
    console.print(_table(measured, numbers))
    slow = [case for case, seconds in measured.items() if (found := ratio(seconds)) and found > GOAL]
    if slow:
        sys.exit(f"{COMPARED[1]} services take more than {GOAL} times as long as {COMPARED[0]}: {slow}")


def _measured(sizes: Sequence[int], case: Case, longest: float, console: Console) -> dict[int, float]:
    seconds: dict[int, float] = {}
    for size in sizes:
        if seconds and max(seconds.values()) > longest:
            break
        seconds[size] = measure(size, case)
        console.print(f"{size} services, {case.forks} forked, {case.flows} flows: {seconds[size]:.3f} s")
    return seconds


def _table(measured: dict[Case, dict[int, float]], sizes: Sequence[int]) -> Table:
    table = Table(title=f"Seconds of a plan (CPython {platform.python_version()}, {platform.machine()})")
    for title in ("forks", "other flows", *map(str, sizes), f"{COMPARED[1]}/{COMPARED[0]}"):
        table.add_column(title, justify="right")
    for case, seconds in measured.items():
        found = ratio(seconds)
        shown = [f"{seconds[size]:.3f}" if size in seconds else "-" for size in sizes]
        table.add_row(case.forks, str(case.flows), *shown, f"{found:.1f}" if found else "-")
    return table


if __name__ == "__main__":
    typer.run(main)
