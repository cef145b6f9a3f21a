"""A second lab beside the running one: brought up and down for real, killed in the middle, twice at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.leftovers import cluster_processes, container_ids, container_processes, database_processes
from lab.processes import Processes
from lab.settings import SOURCES, Lab, from_environment
from tests.depth import depth

pytestmark = pytest.mark.lab

MOMENTS = depth((5.0,), (1.5, 5.0, 9.0))
"""Seconds after which `up` is killed."""


@pytest.fixture(scope="module")
def second(running: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A lab of other names and addresses; what is built already is shared."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KARDINAL_LAB_NAME", "lab-second")
        patch.setenv("KARDINAL_LAB_PREFIX", "10.214")
        patch.setenv("KARDINAL_LAB_PORT", "18080")
        patch.setenv("KARDINAL_LAB_STATE", "/var/lib/lab-second")
        yield from_environment()
        run("down", "--purge")


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "lab", *arguments]
    return subprocess.run(command, cwd=SOURCES.parent, capture_output=True, text=True, check=False)


def start_up() -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "lab", "up"]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=SOURCES.parent, stdout=pipe, stderr=subprocess.STDOUT, text=True)


def listing(*command: str) -> list[str]:
    return sorted(subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines())


def machine() -> dict[str, list[str]]:
    """What a lab could leave on the machine."""
    mounts = (line.split() for line in Path("/proc/self/mountinfo").read_text().splitlines())
    return {
        "interfaces": [line.split(": ")[1] for line in listing("ip", "-o", "link")],
        "routes": listing("ip", "route"),
        "namespaces": listing("ip", "netns"),
        "mounts": sorted(fields[4] for fields in mounts),
        "firewall": [line for line in listing("iptables-save") if not line.startswith("#")],
        "folders": sorted(str(path) for path in Path("/run").glob("lab-second*")),
    }


def test_up_that_is_killed_is_continued_and_two_at_once_agree_and_down_leaves_nothing(second: Lab) -> None:
    before = machine()
    for moment in MOMENTS:
        with start_up() as attempt:
            time.sleep(moment)
            os.kill(attempt.pid, signal.SIGKILL)

    with start_up() as one, start_up() as other:
        said = [one.communicate()[0], other.communicate()[0]]
    assert (one.returncode, other.returncode) == (0, 0), said
    assert sum("waiting for another run of the lab" in text for text in said) == 1
    assert run("status").returncode == 0
    # Every program once: what the killed runs had started was found again.
    inside = cluster_processes(second, None, set())
    programs = [Path(f"/proc/{process.pid}/cmdline").read_bytes().split(b"\0")[0] for process in inside]
    assert sum(program.endswith(b"/kube-apiserver") for program in programs) == 1
    assert sum(program == b"etcd" for program in programs) == 1

    contained = container_processes(container_ids(second))
    assert contained
    went_down = run("down")
    assert went_down.returncode == 0, went_down.stderr
    assert not [process for process in contained if process.alive]
    assert cluster_processes(second, None, set()) == []
    assert database_processes(second) == []
    assert Processes(second).names() == []
    assert machine() == before
    assert run("status").returncode == 1


def test_a_lab_whose_programs_all_crashed_comes_up_again(second: Lab) -> None:
    assert run("up").returncode == 0
    contained = container_processes(container_ids(second))
    assert contained
    # containerd and its shims die too, so nobody is left to end the containers.
    for process in cluster_processes(second, Processes(second).find("keeper"), set()):
        os.kill(process.pid, signal.SIGKILL)
    assert [process for process in contained if process.alive]
    assert run("status").returncode == 1
    again = run("up")
    assert again.returncode == 0, again.stderr
    assert run("status").returncode == 0
    assert not [process for process in contained if process.alive]
    assert run("down").returncode == 0
