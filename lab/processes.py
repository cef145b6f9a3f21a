"""The lab's long-running programs: started once, found again later, stopped for certain.

A program is known by its process id together with its start time, so that a process id
that the system has given to another program in the meantime is never taken for ours.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from lab.settings import Lab, LabError

T = TypeVar("T")

# The shell writes its own line of /proc before it becomes the program: whoever starts it may die at any
# moment and the program is still known.
_LAUNCH = 'read -r line < /proc/$$/stat; printf "%s\\n" "$line" > "$0"; exec "$@"'


@dataclass(frozen=True)
class Process:
    """A process of this machine, for certain the one that was meant when it was noted."""

    pid: int
    started: int

    @property
    def alive(self) -> bool:
        """Whether it still runs (a zombie does not)."""
        return process_started(self.pid) == self.started

    @property
    def memory(self) -> int:
        """Resident memory in bytes."""
        try:
            for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
                if line.startswith("VmRSS:"):
                    return int(line.split()[1]) * 1024
        except OSError:
            pass
        return 0


@dataclass(frozen=True)
class _Stat:
    """The fields of ``/proc/PID/stat`` that matter here; see proc(5)."""

    pid: int
    state: str
    parent: int
    session: int
    started: int


def _parse_stat(text: str) -> _Stat:
    # The program's name stands in parentheses and may hold anything, parentheses too.
    head, _, tail = text.rpartition(")")
    fields = tail.split()
    return _Stat(int(head.split(" ", 1)[0]), fields[0], int(fields[1]), int(fields[3]), int(fields[19]))


def _read_stat(path: Path) -> _Stat | None:
    try:
        return _parse_stat(path.read_text())
    except (OSError, ValueError, IndexError):
        return None


def process_started(pid: int) -> int | None:
    """Start time of a running process in clock ticks since boot; None if there is none."""
    stat = _read_stat(Path(f"/proc/{pid}/stat"))
    return None if stat is None or stat.state in "ZX" else stat.started


def parent_of(pid: int) -> int:
    """The process that a process belongs to; 0 if there is none."""
    stat = _read_stat(Path(f"/proc/{pid}/stat"))
    return stat.parent if stat else 0


def in_session(leaders: Iterable[int]) -> list[Process]:
    """The running processes of some sessions, named by their first process."""
    wanted = set(leaders)
    found = (_read_stat(path) for path in Path("/proc").glob("[0-9]*/stat"))
    return [Process(stat.pid, stat.started) for stat in found if stat and stat.session in wanted]


def every_process() -> Iterable[Process]:
    """All processes of the machine that run now."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (started := process_started(int(entry.name))) is not None:
            yield Process(int(entry.name), started)


class Processes:
    """Starts, finds and stops a lab's programs."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.folder = lab.state / "run"

    def find(self, name: str) -> Process | None:
        """The program started under this name, if it still runs."""
        noted = _read_stat(self.folder / name)
        process = Process(noted.pid, noted.started) if noted else None
        return process if process and process.alive else None

    def names(self) -> list[str]:
        """Names under which something was started."""
        return sorted(path.name for path in self.folder.glob("*")) if self.folder.is_dir() else []

    def start(
        self,
        name: str,
        command: Sequence[str],
        *,
        inside: Process | None,
        environment: Mapping[str, str] | None = None,
    ) -> Process:
        """Start a program unless it runs; its output goes to ``logs/NAME.log``.

        One that runs with another command, such as an older version's, is stopped first.

        Args:
            name: What it is called here.
            command: Program and arguments.
            inside: The keeper of the lab's namespaces, to start inside them; None: on the machine itself.
            environment: Variables in addition to a few of the caller's: no proxy or key of the caller's is
                passed on.
        """
        words = shlex.join(command)
        asked = self.lab.state / "commands" / name
        if running := self.find(name):
            if not asked.exists() or asked.read_text() == words:
                return running
            self.stop(name)
        asked.parent.mkdir(parents=True, exist_ok=True)
        asked.write_text(words)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.lab.logs.mkdir(parents=True, exist_ok=True)
        note = self.folder / name
        note.unlink(missing_ok=True)
        entry = namespace_entry(self.lab, inside) if inside else []
        with (self.lab.logs / f"{name}.log").open("ab") as log:
            # The program belongs to no run of the lab: setsid --fork leaves it to the system's first process.
            subprocess.run(
                ["setsid", "--fork", "sh", "-c", _LAUNCH, str(note), *entry, *command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                env={**_clean_environment(), **(environment or {})},
                check=True,
            )
        return wait_for(lambda: self.find(name), f"{name} to start", seconds=10, log=self.log(name))

    def wait(self, name: str, probe: Callable[[], T | None], what: str, seconds: float) -> T:
        """Ask until the answer is true, as ``wait_for``; fails at once when the program has ended.

        Raises:
            LabError: The program ended, or the answer did not come true.
        """

        def ask() -> T | None:
            if self.find(name) is None:
                raise LabError(f"{name} has ended; {_end_of(self.log(name))}")
            return probe()

        return wait_for(ask, what, seconds, self.log(name))

    def log(self, name: str) -> Path:
        """The log file of a program."""
        return self.lab.logs / f"{name}.log"

    def stop(self, name: str, seconds: float = 10) -> None:
        """Ask a program to end and make it end after ``seconds``; then forget it."""
        if process := self.find(name):
            children = in_session([process.pid])
            end([process], seconds)
            end(children, seconds=1)
        (self.folder / name).unlink(missing_ok=True)


def _clean_environment() -> dict[str, str]:
    return {name: os.environ[name] for name in ("HOME", "LANG", "PATH", "TZ") if name in os.environ}


def namespace_entry(lab: Lab, keeper: Process) -> list[str]:
    """The words before a command that make it run in the lab's network and mount namespaces."""
    return ["nsenter", f"--net={lab.network_namespace}", f"--mount=/proc/{keeper.pid}/ns/mnt", "--"]


def end(processes: Iterable[Process], seconds: float = 5) -> None:
    """Send SIGTERM, wait, send SIGKILL to what is left."""
    left = [process for process in processes if process.alive]
    for number in (signal.SIGTERM, signal.SIGKILL):
        for process in left:
            if process.alive:
                _send(process, number)
        deadline = time.monotonic() + seconds
        while left and time.monotonic() < deadline:
            left = [process for process in left if process.alive]
            if left:
                time.sleep(0.05)


def _send(process: Process, number: int) -> None:
    try:
        os.kill(process.pid, number)
    except ProcessLookupError:
        return


def wait_for(probe: Callable[[], T | None], what: str, seconds: float, log: Path | None = None) -> T:
    """Ask until the answer is true; the answer.

    Args:
        probe: Returns something true when it is so; may raise OSError meanwhile.
        what: Named in the error.
        seconds: How long to ask.
        log: Its end is shown in the error.

    Raises:
        LabError: It did not come true.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            if answer := probe():
                return answer
        except OSError:
            pass
        if time.monotonic() > deadline:
            raise LabError(
                f"waited {seconds:.0f} s in vain for {what}" + (f"; {_end_of(log)}" if log else "")
            )
        time.sleep(0.1)


def _end_of(log: Path) -> str:
    text = log.read_text(errors="replace") if log.exists() else ""
    return f"end of {log}:\n" + "\n".join(text.splitlines()[-15:])
