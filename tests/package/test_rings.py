"""The rings of tests: every test is in one of them, and they run side by side without getting mixed up."""

from __future__ import annotations

import signal
import time
from itertools import product
from pathlib import Path

import pytest

from tests.lanes import Ended, Lanes, Step
from tests.rings import BUILT, COVERAGE, KINDS, RINGS, ROOT, UP, Kind, Ring, marks, steps, without_ring
from tests.timing import Timing, read_tests, report

FOLDERS = sorted({ring.folder for ring in RINGS})
MARKS = [str(kind) for kind in KINDS[1:]]


@pytest.mark.parametrize("folder", FOLDERS)
def test_whatever_marks_a_test_has_one_kind_of_its_folder_runs_it(folder: str) -> None:
    kinds = {ring.kind: marks(ring, RINGS) for ring in RINGS if ring.folder == folder}
    for present in product([False, True], repeat=len(MARKS)):
        of_test = dict(zip(MARKS, present, strict=True))
        # What pytest's `-m` says is an expression of Python, too.
        running = [kind for kind, words in kinds.items() if eval(words or "True", {}, of_test)]
        assert len(running) == 1, (of_test, kinds)


def test_a_test_is_not_in_a_ring_that_offers_less_than_it_needs_while_another_offers_it() -> None:
    rings = (Ring("tests/a", Kind.FAST), Ring("tests/a", Kind.ENGINE), Ring("tests/b", Kind.LAB))
    assert [marks(ring, rings) for ring in rings] == [
        "not postgres and not engine and not lab",
        "(postgres or engine or lab)",
        "",
    ]


def test_every_folder_of_tests_has_a_ring(tmp_path: Path) -> None:
    assert without_ring(RINGS, ROOT) == []
    for file in (
        "tests/a/test_a.py",
        "tests/b/deep/test_b.py",
        "tests/c/helper.py",
        "packages/d/tests/test_d.py",
    ):
        (tmp_path / file).parent.mkdir(parents=True)
        (tmp_path / file).touch()
    assert without_ring([Ring("tests/a", Kind.FAST)], tmp_path) == ["packages/d/tests", "tests/b"]


def test_files_of_a_part_are_there_and_left_out_of_the_rest() -> None:
    named = {ring: [f"{ring.folder}/{name}" for name in ring.only] for ring in RINGS if ring.only}
    assert named
    for ring, files in named.items():
        assert [file for file in files if not (ROOT / file).is_file()] == []
        rest = next(one for one in RINGS if (one.folder, one.kind, one.only) == (ring.folder, ring.kind, ()))
        commands = {one.name: one.command for one in steps(KINDS)}
        assert {*files} <= {*commands[ring.name]}
        assert {f"--ignore={file}" for file in files} <= {*commands[rest.name]}


def test_what_rings_need_is_a_step_before_them() -> None:
    rings = (Ring("tests/a", Kind.FAST), Ring("tests/a", Kind.ENGINE), Ring("tests/b", Kind.LAB))
    names = {
        tuple(kinds): [(one.name, *one.after) for one in steps(kinds, rings=rings)]
        for kinds in ([Kind.FAST], [Kind.ENGINE], [Kind.LAB])
    }
    assert names == {
        (Kind.FAST,): [("lint",), ("a-fast",), (COVERAGE, "a-fast")],
        (Kind.ENGINE,): [(BUILT,), ("a-engine", BUILT)],
        (Kind.LAB,): [(BUILT,), (UP, BUILT), ("b-lab", UP)],
    }


def shell(name: str, script: str, *after: str, alone_with: str = "") -> Step:
    """A step of a few words."""
    return Step(name, ("sh", "-ec", script), after, frozenset(filter(None, [alone_with])))


def ran(lanes: Lanes, *wanted: Step, keep_going: bool = False) -> tuple[dict[str, int], list[str]]:
    ended, left = lanes.run(wanted, keep_going=keep_going)
    return {item.step.name: item.code for item in ended}, [step.name for step in left]


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def lanes(tmp_path: Path, told: list[str]) -> Lanes:
    def ended(item: Ended) -> None:
        told.append(f"{item.step.name} ended")

    return Lanes(2, tmp_path / "logs", lambda step: told.append(f"{step.name} began"), ended)


def test_steps_run_side_by_side_and_what_they_print_stays_apart(lanes: Lanes, tmp_path: Path) -> None:
    # Each waits for the other: one after the other they would never end.
    meet = "echo {0}; mkfifo -m 600 {1}/{0}; while [ ! -p {1}/{2} ]; do sleep 0.02; done; echo met >&2"
    one, other = (
        shell(name, meet.format(name, tmp_path, friend)) for name, friend in (("a", "b"), ("b", "a"))
    )

    assert ran(lanes, one, other) == ({"a": 0, "b": 0}, [])
    assert [lanes.log(step).read_text() for step in (one, other)] == ["a\nmet\n", "b\nmet\n"]


def test_there_are_never_more_than_lanes(lanes: Lanes, told: list[str]) -> None:
    assert ran(lanes, *(shell(name, "sleep 0.05") for name in "abcd")) == (dict.fromkeys("abcd", 0), [])
    running = 0
    for line in told:
        running += 1 if line.endswith("began") else -1
        assert running <= 2
    assert [line for line in told if line.endswith("began")] == [f"{name} began" for name in "abcd"]


def test_a_step_waits_for_those_before_it_and_keeps_apart_from_its_like(
    lanes: Lanes, told: list[str]
) -> None:
    wanted = [
        shell("late", ":", "early"),
        shell("early", "sleep 0.05"),
        shell("one", "sleep 0.05", alone_with="floor"),
        shell("other", ":", alone_with="floor"),
    ]
    codes, left = ran(lanes, *wanted)
    assert (set(codes.values()), left) == ({0}, [])
    assert told.index("early ended") < told.index("late began")
    assert told.index("one ended") < told.index("other began")


def test_after_a_failure_nothing_is_begun_and_what_runs_is_waited_for(lanes: Lanes, tmp_path: Path) -> None:
    slow = shell("slow", f"while [ ! -e {tmp_path}/broke ]; do sleep 0.02; done; sleep 0.1; exit 3")
    broken = shell("broken", f"touch {tmp_path}/broke; kill -9 $$")
    assert ran(lanes, slow, broken, shell("next", ":")) == ({"broken": -9, "slow": 3}, ["next"])


def test_whoever_keeps_going_leaves_out_only_what_needed_the_failure(lanes: Lanes) -> None:
    wanted = [shell("broken", "exit 1"), shell("next", ":", "broken"), shell("another", ":")]
    assert ran(lanes, *wanted, keep_going=True) == ({"broken": 1, "another": 0}, ["next"])


def test_who_is_interrupted_ends_what_runs_and_lets_it_clean_up(tmp_path: Path) -> None:
    ready = tmp_path / "ready"

    def told(step: Step) -> None:
        while step.name == "second":
            if ready.exists():
                raise KeyboardInterrupt
            time.sleep(0.02)

    lanes = Lanes(2, tmp_path, told, lambda ended: None)
    script = f"trap 'echo cleaned; exit' INT; touch {ready}; while :; do sleep 0.02; done"
    first = shell("first", script)
    # Whoever runs this test may ignore interrupts, and so would the step.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            lanes.run([first, shell("second", ":")])
    finally:
        signal.signal(signal.SIGINT, before)
    assert lanes.log(first).read_text() == "cleaned\n"


def test_the_report_names_the_slowest_tests_and_adds_the_rings_up(tmp_path: Path) -> None:
    cases = "".join(
        f'<testcase classname="tests.a.test_a" name="test_{number}" time="{number}.5"/>'
        for number in range(11)
    )
    (tmp_path / "a.xml").write_text(f"<testsuites><testsuite>{cases}</testsuite></testsuites>")
    tests = read_tests(tmp_path / "a.xml")
    assert read_tests(tmp_path / "none.xml") == {}

    told = report([Timing("lint", 20, 30.4, {}), Timing("a-fast", 61, 40, tests)], 70, 95.2)

    slowest = [f"{number:6}.5 s  tests.a.test_a.test_{number}" for number in range(10, 0, -1)]
    assert told.splitlines() == [
        "the slowest 10 of 11 tests:",
        *slowest,
        "",
        "ring                      tests   wall s    cpu s",
        "a-fast                       11       61       40",
        "lint                                  20       30",
        "all, side by side            11       70       70",
        "with the lab and others                        95",
    ]
