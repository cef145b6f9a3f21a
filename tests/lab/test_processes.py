"""Programs of the lab: found again for certain, and ended for certain."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.leftovers import cgroup_names, container_processes
from lab.locks import exclusive
from lab.processes import Process, Processes, end, in_session, process_started, wait_for
from lab.settings import Lab, LabError


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    found = Processes(Lab(name="t", cache=tmp_path, state=tmp_path, prefix="10.9", ingress_port=1))
    yield found
    for name in found.names():
        found.stop(name, seconds=1)


def test_a_program_is_started_once_and_found_by_another_run(processes: Processes) -> None:
    first = processes.start("sleeper", ["sleep", "60"], inside=None)
    assert processes.start("sleeper", ["sleep", "60"], inside=None) == first
    assert Processes(processes.lab).find("sleeper") == first
    assert Path(f"/proc/{first.pid}/cmdline").read_bytes() == b"sleep\x0060\x00"


def test_a_program_of_another_version_takes_the_place_of_the_old_one(processes: Processes) -> None:
    old = processes.start("sleeper", ["sleep", "60"], inside=None)
    new = processes.start("sleeper", ["sleep", "61"], inside=None)
    assert not old.alive
    assert processes.find("sleeper") == new
    assert Path(f"/proc/{new.pid}/cmdline").read_bytes() == b"sleep\x0061\x00"


def test_its_output_is_in_its_log(processes: Processes) -> None:
    processes.start("talker", ["sh", "-c", "echo hello; echo bad >&2; sleep 60"], inside=None)
    wait_for(lambda: "bad" in processes.log("talker").read_text(), "both lines", seconds=10)
    assert processes.log("talker").read_text() == "hello\nbad\n"


def test_it_gets_no_variable_of_the_caller_but_the_few(
    processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_KEY", "private")
    process = processes.start("sleeper", ["sleep", "60"], inside=None, environment={"GIVEN": "yes"})
    variables = Path(f"/proc/{process.pid}/environ").read_bytes()
    assert b"GIVEN=yes" in variables
    assert b"SOME_KEY" not in variables


def test_an_ended_program_is_not_found(processes: Processes) -> None:
    process = processes.start("sleeper", ["sleep", "60"], inside=None)
    os.kill(process.pid, signal.SIGKILL)
    wait_for(lambda: not process.alive, "its end", seconds=10)
    assert processes.find("sleeper") is None


def test_a_reused_process_id_is_not_taken_for_the_program() -> None:
    started = process_started(os.getpid())
    assert started is not None
    assert Process(os.getpid(), started).alive
    assert not Process(os.getpid(), started - 1).alive


def test_stop_ends_a_program_that_ignores_the_request(processes: Processes) -> None:
    script = "trap '' TERM; echo deaf; while :; do sleep 1; done"
    process = processes.start("stubborn", ["sh", "-c", script], inside=None)
    wait_for(lambda: processes.log("stubborn").read_text(), "it to be deaf", seconds=10)
    processes.stop("stubborn", seconds=0.5)
    assert not process.alive
    assert processes.names() == []


def test_stop_ends_children_too(processes: Processes) -> None:
    process = processes.start("parent", ["sh", "-c", "sleep 61 & sleep 62 & wait"], inside=None)
    wait_for(lambda: len(in_session([process.pid])) == 3, "two children", seconds=10)
    children = in_session([process.pid])
    processes.stop("parent", seconds=5)
    assert not [child for child in children if child.alive]


def test_waiting_for_a_program_that_ended_shows_its_last_words(processes: Processes) -> None:
    processes.start("brief", ["sh", "-c", "sleep 0.5; echo no such thing"], inside=None)
    with pytest.raises(LabError, match=r"brief has ended; end of (?s:.*)no such thing"):
        processes.wait("brief", lambda: None, "wonders", seconds=20)


def test_an_error_while_asking_is_no_answer() -> None:
    answers: Iterator[OSError | bool] = iter([OSError("not yet"), True])

    def probe() -> bool:
        answer = next(answers)
        if isinstance(answer, OSError):
            raise answer
        return answer

    assert wait_for(probe, "it", seconds=5) is True


def test_end_of_nothing() -> None:
    end([])
    end([Process(2**22 + 1, 1)])


def test_a_lock_is_free_after_its_holder_was_killed(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    script = (
        "import sys,time; from pathlib import Path; from lab.locks import exclusive\n"
        "with exclusive(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
    )
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", script, str(lock)]
    waited: list[bool] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=root, text=True) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == "held\n"

        def end_it() -> None:
            """The holder is killed as soon as somebody waits for it."""
            waited.append(True)
            holder.kill()

        with exclusive(lock, on_wait=end_it):
            assert waited == [True]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("4:memory:/k8s.io/abc\n1:name=systemd:/k8s.io/abc/child\n0::/\n", {"k8s.io", "abc", "child"}),
        ("0::/system.slice/a:b.scope\n", {"system.slice", "a:b.scope"}),
        ("0::/\n", set()),
    ],
)
def test_a_process_is_found_by_the_cgroups_it_runs_in(text: str, names: set[str]) -> None:
    assert cgroup_names(text) == names


def test_no_process_runs_in_a_container_that_does_not_exist() -> None:
    assert container_processes({"no-such-container"}) == []
