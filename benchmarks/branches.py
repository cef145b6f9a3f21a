"""How long a branch takes, and how much: `python -m benchmarks.branches`, as root.

For each rung of the copying ladder (a btrfs snapshot, files that share blocks on XFS, plain copies) a file
system is made, the local Neon service runs on it, and branches of databases of different sizes are made and
asked one question. Nothing is left but the report.
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
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.filesize import decimal
from rich.table import Table

from benchmarks.service import Measured, service
from benchmarks.volumes import MAKE, used, volume

UNITS = {"MB": 10**6, "GB": 10**9}
GOAL = 1.5
"""Most that a branch of the largest database may take, as a multiple of one of the smallest."""


@dataclass
class Result:
    """The branches of one database on one file system.

    Attributes:
        rung: Of the ladder.
        size: Bytes of the database.
        branches: One by one.
        load: The machine's load average over one minute, when they began.
    """

    rung: str
    size: int
    branches: list[Measured]
    load: float

    @property
    def seconds(self) -> float:
        """Median of create-to-first-query."""
        return statistics.median(branch.seconds for branch in self.branches)

    def median(self, what: str) -> float:
        """Median of another number."""
        return statistics.median(getattr(branch, what) for branch in self.branches)


def main(
    sizes: Annotated[str, typer.Option(help="Sizes of the databases.")] = "10MB,1GB,4GB",
    rungs: Annotated[str, typer.Option(help="Rungs of the ladder.")] = "btrfs,reflink,copy",
    repeat: Annotated[int, typer.Option(min=1, help="Branches of each database.")] = 5,
    under: Annotated[Path | None, typer.Option(help="Where the images are made.")] = None,
    report: Annotated[Path, typer.Option(help="File for the numbers.")] = Path("artifacts/bench-branch.json"),
) -> None:
    """Measure create-to-first-query, disk and memory of branches."""
    wanted = sorted(_bytes(text) for text in sizes.split(","))
    console = Console() if sys.stdout.isatty() else Console(width=120)
    chosen = rungs.split(",")
    _require(chosen)
    results: list[Result] = []
    for rung in chosen:
        results += _measure(rung, wanted, repeat, under or Path(tempfile.gettempdir()), console)
    report.parent.mkdir(parents=True, exist_ok=True)
    report.write_text(json.dumps(_document(results), indent=2) + "\n")
    console.print(_table(results))
    missed = [
        ratio
        for ratio in _ratios(results)
        if ratio["rung"] in MAKE and ratio["size"] == wanted[-1] and ratio["ratio"] > GOAL
    ]
    for ratio in missed:
        console.print(f"{ratio['rung']}: {ratio['ratio']:.2f} is above the goal of {GOAL}", style="red")
    raise typer.Exit(1 if missed else 0)


def _measure(rung: str, sizes: list[int], repeat: int, under: Path, console: Console) -> list[Result]:
    found = []
    # The databases, their log, one branch that shares nothing, and room for the file system itself.
    with volume(rung, 3 * sum(sizes) + 4 * 10**9, under) as place, service(place) as running:
        for size in sizes:
            with console.status(f"{rung}: a database of {decimal(size)}"):
                project = running.filled(size)
                running.measure(project, "warm-up", lambda: 0)
            load = os.getloadavg()[0]
            branches = []
            for number in range(repeat):
                with console.status(f"{rung}: {decimal(size)}, branch {number + 1} of {repeat}"):
                    branches.append(running.measure(project, f"branch-{number}", lambda: used(place, rung)))
            found.append(Result(rung, size, branches, load))
            console.print(f"{rung:8} {decimal(size):>8}: {found[-1].seconds:.3f} s (load {load:.1f})")
    return found


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
    smallest = {result.rung: result for result in reversed(results)}
    return [
        {
            "rung": result.rung,
            "size": result.size,
            "to": smallest[result.rung].size,
            "ratio": result.seconds / smallest[result.rung].seconds,
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
    table.add_column("rung")
    for column in ("database", "median", "fastest", "slowest", "ratio", "disk", "memory", "removal", "load"):
        table.add_column(column, justify="right")
    for result, ratio in zip(results, _ratios(results), strict=True):
        seconds = [branch.seconds for branch in result.branches]
        table.add_row(
            result.rung,
            decimal(result.size),
            f"{result.seconds:.2f} s",
            f"{min(seconds):.2f} s",
            f"{max(seconds):.2f} s",
            f"{ratio['ratio']:.2f}",
            decimal(max(0, int(result.median("disk")))),
            decimal(int(result.median("memory"))),
            f"{result.median('removal'):.2f} s",
            f"{result.load:.1f}",
        )
    return table


if __name__ == "__main__":
    sys.exit(typer.run(main))
