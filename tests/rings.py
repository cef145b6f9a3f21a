"""`python -m tests.rings`: every test, in rings that run side by side; what each took, and the slowest tests.

A ring is one pytest in a process of its own: Pulumi's runtime, its mocks and the dynamic providers keep state
in the interpreter. Rings on the lab share one, in namespaces of their own, and run beside those that compute.
What PYTEST_ADDOPTS says goes to every ring, as to any pytest.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from lab.variables import is_running
from tests.lanes import Ended, Lanes, Step
from tests.timing import Timing, busy_seconds, read_tests, report

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "artifacts" / "rings"
LAB_COMMAND = (sys.executable, "-m", "lab")
BUILT, UP = "lab-build", "lab-up"
COVERAGE = "coverage"


class Kind(StrEnum):
    """What a ring's tests need, each more than the one before; all but the first are marks, too."""

    FAST = "fast"
    POSTGRES = "postgres"
    ENGINE = "engine"
    LAB = "lab"


KINDS = list(Kind)
FAST, POSTGRES, ENGINE, LAB = Kind


@dataclass(frozen=True)
class Ring:
    """Tests that run in one process.

    Attributes:
        folder: Their folder.
        kind: What they need.
        only: Files of the folder; by default all that are in no other ring of folder and kind.
        part: Tells rings of one folder and kind apart.
        alone_with: As for `Step`.
    """

    folder: str
    kind: Kind
    only: tuple[str, ...] = ()
    part: str = ""
    alone_with: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        """For people, and for files."""
        return "-".join(filter(None, (Path(self.folder.removesuffix("/tests")).name, self.kind, self.part)))


MOUNTS = frozenset({"mounts"})
"""For what mounts file systems, and for what looks at all mounts of the machine."""

NEON_LOCAL = "packages/neon-local/tests"

RINGS = (
    # The longest first: what runs last should be short.
    Ring("tests/e2e", LAB),
    Ring("tests/e2e", LAB, part="killed", only=("test_churn.py", "test_killed.py")),
    Ring(
        "tests/e2e", LAB, part="own", only=("test_namespaces.py", "test_postgres_backend.py", "test_shop.py")
    ),
    Ring("tests/cli", ENGINE),
    Ring(NEON_LOCAL, POSTGRES, alone_with=MOUNTS),
    Ring("tests/isolation", LAB),
    Ring("tests/mesh", LAB),
    Ring("tests/plugins", LAB),
    Ring("tests/neon", POSTGRES),
    Ring("tests/databases", POSTGRES),
    Ring("tests/pure", FAST),
    Ring("tests/lab", LAB, alone_with=MOUNTS),
    Ring("tests/neon", ENGINE),
    Ring("tests/e2e", ENGINE),
    Ring("tests/doctor", LAB),
    Ring("tests/package", LAB),
    Ring("tests/package", FAST),
    Ring("tests/components", ENGINE),
    Ring("tests/components", FAST),
    Ring("tests/neon", FAST),
    Ring("tests/databases", ENGINE),
    Ring("tests/components", POSTGRES),
    Ring("tests/plugins", FAST),
    Ring("tests/voting_app", POSTGRES),
    Ring("tests/voting_app", FAST),
    Ring("tests/databases", FAST),
    Ring("tests/doctor", FAST),
    Ring("tests/lab", FAST),
    Ring(NEON_LOCAL, FAST),
    Ring("tests/shop", FAST),
    Ring("tests/cli", FAST),
    Ring("tests/e2e", FAST),
    Ring("tests/demo", FAST),
)


MEASURED = {"COVERAGE_PROCESS_START": str(ROOT / "pyproject.toml")}
"""What makes every Python of a ring measure itself; `make coverage` judges all of them together."""


def marks(ring: Ring, rings: Sequence[Ring]) -> str:
    """Which tests of its folder are in a ring, as pytest's `-m` says it.

    Whatever marks a test has, one kind of its folder has it: the least that offers what it needs, or else the
    last.
    """
    present = [
        kind for kind in KINDS if any((other.folder, other.kind) == (ring.folder, kind) for other in rings)
    ]
    below, last = present[: present.index(ring.kind)], ring.kind == present[-1]
    above = [] if last else KINDS[KINDS.index(ring.kind) + 1 :]
    words = [f"not {kind}" for kind in above]
    if below:
        own = [kind for kind in KINDS[KINDS.index(below[-1]) + 1 :] if kind not in above]
        words.append(f"({' or '.join(own)})")
    return " and ".join(words)


def without_ring(rings: Sequence[Ring], root: Path) -> list[str]:
    """Folders of tests that no ring has."""
    folders = [*root.glob("tests/*/"), *root.glob("packages/*/tests/")]
    found = {str(folder.relative_to(root)) for folder in folders if any(folder.rglob("test_*.py"))}
    return sorted(found - {ring.folder for ring in rings})


def step(ring: Ring, rings: Sequence[Ring]) -> Step:
    """How a ring is run."""
    others = [other for other in rings if (other.folder, other.kind) == (ring.folder, ring.kind)]
    paths = [f"{ring.folder}/{name}" for name in ring.only] or [
        ring.folder,
        *(f"--ignore={ring.folder}/{name}" for other in others for name in other.only),
    ]
    options = ("-o", "junit_duration_report=total", f"--junitxml={results_of(ring.name)}")
    return Step(
        ring.name,
        (sys.executable, "-m", "pytest", *paths, "-m", marks(ring, rings), *options),
        after={LAB: (UP,), ENGINE: (BUILT,)}.get(ring.kind, ()),
        alone_with=ring.alone_with,
        variables={"KARDINAL_RING": ring.name, **(MEASURED if ring.kind == FAST else {})},
    )


def results_of(name: str) -> Path:
    """Pytest's own report of a ring."""
    return RESULTS / f"{name}.xml"


def steps(wanted: Collection[Kind], only: Collection[str] = (), rings: Sequence[Ring] = RINGS) -> list[Step]:
    """The steps of a run, in the order in which they begin when there is room.

    Args:
        wanted: Kinds of rings.
        only: Names of rings of these kinds; empty for all.
        rings: All there are.
    """
    made = [step(ring, rings) for ring in rings if ring.kind in wanted]
    if FAST in wanted:
        # First: what it finds is found soonest.
        made.insert(0, Step("lint", ("make", "--no-print-directory", "lint")))
        fast = [ring.name for ring in rings if ring.kind == FAST]
        made.append(Step(COVERAGE, ("make", "--no-print-directory", "coverage"), after=fast))
    found = [one for one in made if not only or one.name in only]
    lab = (Step(BUILT, (*LAB_COMMAND, "build")), Step(UP, (*LAB_COMMAND, "up"), after=(BUILT,)))
    for needed in reversed(lab):
        if any(needed.name in one.after for one in found):
            found.insert(0, needed)
    return found


class Run:
    """One run, told while it goes on.

    Args:
        lanes: How many steps run at a time.
        keep_going: As for `Lanes.run`.
    """

    def __init__(self, lanes: int, *, keep_going: bool) -> None:
        self._keep_going = keep_going
        self._started, self._busy = time.monotonic(), busy_seconds()
        self._lanes = Lanes(lanes, RESULTS, self._began, self._ended)

    def run(self, wanted: Sequence[Step]) -> int:
        """Runs all steps; the exit code."""
        shutil.rmtree(RESULTS, ignore_errors=True)
        for measured in ROOT.glob(".coverage.*"):
            measured.unlink()
        ended, left = self._lanes.run(wanted, keep_going=self._keep_going)
        timings = [
            Timing(item.step.name, item.wall, item.cpu, read_tests(results_of(item.step.name)))
            for item in ended
        ]
        told = report(timings, time.monotonic() - self._started, busy_seconds() - self._busy)
        (RESULTS / "report.txt").write_text(told + "\n")
        print(f"\n{told}")
        failed = [item.step.name for item in ended if item.code]
        if failed:
            print(f"\nfailed: {', '.join(failed)}; not run: {', '.join(one.name for one in left) or 'none'}")
        return int(bool(failed or left))

    def _began(self, step: Step) -> None:
        self._say(f"{step.name} ...")

    def _ended(self, ended: Ended) -> None:
        took = f"{ended.wall:.0f} s, {ended.cpu:.0f} s of a processor"
        how = "passed" if ended.code == 0 else f"FAILED ({ended.code})"
        self._say(f"{ended.step.name} {how}, {took}; what it said:")
        print(self._lanes.log(ended.step).read_text(errors="replace"), flush=True)

    def _say(self, text: str) -> None:
        print(f"== {time.monotonic() - self._started:5.0f} s  {text}", flush=True)


def main(
    kinds: Annotated[list[Kind] | None, typer.Argument(help="Of rings; default: all.")] = None,
    lanes: Annotated[int, typer.Option(help="Rings at a time; default: one more than processors.")] = 0,
    only: Annotated[list[str] | None, typer.Option(help="Names of rings; default: all of the kinds.")] = None,
    keep_going: Annotated[bool, typer.Option(help="Begin further rings after a failure.")] = False,
    keep_lab: Annotated[bool, typer.Option(help="Leave the lab running in any case.")] = False,
) -> None:
    """Runs the rings; exit code 1 when one has failed. The lab is left as it was found."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    # Who was started in the background ignores interrupts, and so would every ring.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if forgotten := without_ring(RINGS, ROOT):
        sys.exit(f"tests/rings.py: no ring has {', '.join(forgotten)}")
    wanted = steps(kinds or KINDS, only or ())
    found_running = is_running()
    try:
        code = Run(lanes or (os.cpu_count() or 1) + 1, keep_going=keep_going).run(wanted)
    finally:
        if UP in {one.name for one in wanted} and not (found_running or keep_lab):
            subprocess.run((*LAB_COMMAND, "down"), check=False)
    sys.exit(code)


if __name__ == "__main__":
    typer.run(main)
