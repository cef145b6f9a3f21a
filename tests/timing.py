"""Where the time of a run went: a line for each ring, and the slowest tests of all."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

SLOWEST = 10


@dataclass(frozen=True)
class Timing:
    """What a ring took.

    Attributes:
        name: Of the ring.
        wall: Seconds from start to end.
        cpu: Seconds of processor time.
        tests: Seconds by test, with its fixtures; empty for what is no test.
    """

    name: str
    wall: float
    cpu: float
    tests: dict[str, float]


def read_tests(file: Path) -> dict[str, float]:
    """Seconds by test, from pytest's own report; empty when there is none."""
    if not file.is_file():
        return {}
    cases = ElementTree.parse(file).getroot().iter("testcase")
    return {f"{case.get('classname')}.{case.get('name')}": float(case.get("time", 0)) for case in cases}


def busy_seconds() -> float:
    """Processor time of everything on this machine since its start: the lab's share is in no ring's."""
    fields = [int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    idle = fields[3] + fields[4]
    return (sum(fields) - idle) / os.sysconf("SC_CLK_TCK")


def report(timings: Sequence[Timing], wall: float, busy: float) -> str:
    """The slowest tests and the table, as text.

    Args:
        timings: Of all rings.
        wall: Seconds of the whole run.
        busy: Seconds of processor time of the whole machine meanwhile.
    """
    tests = sorted(
        ((seconds, test) for timing in timings for test, seconds in timing.tests.items()), reverse=True
    )
    lines = [f"the slowest {SLOWEST} of {len(tests)} tests:"]
    lines += [f"{seconds:8.1f} s  {test}" for seconds, test in tests[:SLOWEST]]
    lines += ["", f"{'ring':<24}{'tests':>7}{'wall s':>9}{'cpu s':>9}"]
    lines += [
        f"{timing.name:<24}{len(timing.tests) or '':>7}{timing.wall:>9.0f}{timing.cpu:>9.0f}"
        for timing in sorted(timings, key=lambda timing: -timing.wall)
    ]
    cpu = sum(timing.cpu for timing in timings)
    lines.append(f"{'all, side by side':<24}{len(tests):>7}{wall:>9.0f}{cpu:>9.0f}")
    lines.append(f"{'with the lab and others':<24}{'':>16}{busy:>9.0f}")
    return "\n".join(lines)
