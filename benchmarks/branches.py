"""How long a branch takes, and how much: `python -m benchmarks.branches`, as root.

For each rung of the copying ladder (a btrfs snapshot, files that share blocks on XFS, plain copies) a file
system is made, the local Neon service and a PostgreSQL server run on it, and branches of databases of
different sizes are made and asked one question. Nothing is left but the report.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.filesize import decimal
from rich.table import Table

from benchmarks.database import Branching, Measured
from benchmarks.server import server
from benchmarks.service import service
from benchmarks.volumes import MAKE, used, volume

BACKENDS: dict[str, Callable[[Path], AbstractContextManager[Branching]]] = {
    "neon": service,
    "postgres": server,
}
UNITS = {"MB": 10**6, "GB": 10**9}
GOAL = 1.5
"""Most that a branch of the largest database may take, as a multiple of one of the smallest."""


@dataclass
class Result:
    """The branches of one database on one file system.

    Attributes:
        backend: Who branched.
        rung: Of the ladder.
        size: Bytes of the database.
        branches: One by one.
        load: The machine's load average over one minute, at the end.
    """

    backend: str
    rung: str
    size: int
    branches: list[Measured]
    load: float

    @property
    def seconds(self) -> float:
        """Median of create-to-first-query."""
        return statistics.median(branch.seconds for branch in self.branches)

    def median(self, what: str) -> float | None:
        """Median of another number, None when it was not measured."""
        values = [getattr(branch, what) for branch in self.branches]
        return None if None in values else statistics.median(values)


def main(
    sizes: Annotated[str, typer.Option(help="Sizes of the databases.")] = "10MB,1GB,4GB",
    rungs: Annotated[str, typer.Option(help="Rungs of the ladder.")] = "btrfs,reflink,copy",
    backends: Annotated[str, typer.Option(help="Branching backends.")] = "neon,postgres",
    repeat: Annotated[int, typer.Option(min=1, help="Branches of each database.")] = 7,
    under: Annotated[Path | None, typer.Option(help="Where the images are made.")] = None,
    report: Annotated[Path, typer.Option(help="File for the numbers.")] = Path("artifacts/bench-branch.json"),
) -> None:
    """Measure create-to-first-query, disk and memory of branches."""
    wanted = sorted(_bytes(text) for text in sizes.split(","))
    names = backends.split(",")
    if unknown := sorted(set(names) - {*BACKENDS}):
        raise typer.BadParameter(f"there is no backend {unknown[0]}, only {', '.join(BACKENDS)}")
    console = Console() if sys.stdout.isatty() else Console(width=120)
    chosen = rungs.split(",")
    _require(chosen)
    results: list[Result] = []
    for name in names:
        for rung in chosen:
            results += _measure(name, rung, wanted, repeat, under or Path(tempfile.gettempdir()), console)
    report.parent.mkdir(parents=True, exist_ok=True)
    report.write_text(json.dumps(_document(results), indent=2) + "\n")
    console.print(_table(results))
    missed = [
        ratio
        for ratio in _ratios(results)
        if (ratio["backend"], ratio["rung"]) in {("neon", rung) for rung in MAKE}
        and ratio["size"] == wanted[-1]
        and ratio["ratio"] > GOAL
    ]
    for ratio in missed:
        console.print(f"{ratio['rung']}: {ratio['ratio']:.2f} is above the goal of {GOAL}", style="red")
    raise typer.Exit(1 if missed else 0)


def _measure(
    backend: str, rung: str, sizes: list[int], repeat: int, under: Path, console: Console
) -> list[Result]:
    found = []
    # The databases, what copy-on-write keeps of their older blocks, their log, and one branch that shares
    # nothing. The image is sparse.
    with (
        volume(rung, 6 * sum(sizes) + 4 * 10**9, under) as place,
        BACKENDS[backend](place) as running,
        console.status(f"{backend} on {rung}") as status,
    ):
        for size in sizes:
            status.update(f"{backend} on {rung}: a database of {decimal(size)}")
            source = running.filled(size)
            running.measure(source, "warm-up", lambda: 0)
            found.append((source, Result(backend, rung, size, [], os.getloadavg()[0])))
        # In turns: whatever else the machine does meanwhile slows all sizes alike.
        for number in range(1, repeat + 1):
            for source, result in found:
                status.update(f"{backend} on {rung}: {decimal(result.size)}, branch {number} of {repeat}")
                measured = running.measure(source, f"branch-{number}", lambda: used(place, rung))
                result.branches.append(measured)
                result.load = os.getloadavg()[0]
    for _, result in found:
        console.print(
            f"{backend:9}{rung:8} {decimal(result.size):>8}: {result.seconds:.3f} s (load {result.load:.1f})"
        )
    return [result for _, result in found]


def _bytes(text: str) -> int:
    match = re.fullmatch(r"(\d+)(MB|GB)", text.strip())
    if match is None:
        raise typer.BadParameter(f"{text}: expected a size like 10MB or 4GB")
    return int(match[1]) * UNITS[match[2]]


def _require(rungs: list[str]) -> None:
    if unknown := sorted(set(rungs) - {*MAKE, "copy"}):
        raise typer.BadParameter(f"there is no rung {unknown[0]}, only {', '.join([*MAKE, 'copy'])}")
    loops = [rung for rung in rungs if rung in MAKE]
    if loops and os.geteuid() != 0:
        raise typer.BadParameter("mounting file systems needs root; without it only --rungs copy works")
    if missing := [MAKE[rung][0] for rung in loops if shutil.which(MAKE[rung][0]) is None]:
        raise typer.BadParameter(f"{missing[0]} is missing: apt-get install btrfs-progs xfsprogs")


def _ratios(results: list[Result]) -> list[dict[str, Any]]:
    smallest = {(result.backend, result.rung): result for result in reversed(results)}
    return [
        {
            "backend": result.backend,
            "rung": result.rung,
            "size": result.size,
            "to": smallest[result.backend, result.rung].size,
            "ratio": result.seconds / smallest[result.backend, result.rung].seconds,
        }
        for result in results
    ]


def _document(results: list[Result]) -> dict[str, Any]:
    return {
        "measuredAt": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": {
            "cores": os.cpu_count(),
            "kernel": platform.release(),
            "python": platform.python_version(),
        },
        "results": [asdict(result) for result in results],
        "ratios": _ratios(results),
    }


def _table(results: list[Result]) -> Table:
    table = Table(title="A branch, from the request to the answer of its first query", title_justify="left")
    table.add_column("backend")
    table.add_column("rung")
    for column in ("database", "median", "fastest", "slowest", "ratio", "disk", "memory", "removal", "load"):
        table.add_column(column, justify="right")
    for result, ratio in zip(results, _ratios(results), strict=True):
        seconds = [branch.seconds for branch in result.branches]
        memory = result.median("memory")
        table.add_row(
            result.backend,
            result.rung,
            decimal(result.size),
            f"{result.seconds:.2f} s",
            f"{min(seconds):.2f} s",
            f"{max(seconds):.2f} s",
            f"{ratio['ratio']:.2f}",
            decimal(max(0, int(result.median("disk") or 0))),
            "-" if memory is None else decimal(int(memory)),
            f"{result.median('removal'):.2f} s",
            f"{result.load:.1f}",
        )
    return table


if __name__ == "__main__":
    typer.run(main)
