"""The lab's long-running programs: started once, found again later, stopped for certain.

A program is known by its process id together with its start time, so that a process id
that the system has given to another program in the meantime is never taken for ours.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from lab.settings import Lab, LabError

T = TypeVar("T")

# The shell writes its own line of /proc before it becomes the program: whoever starts it may die at any moment
# and the program is still known.
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


def _parse_stat(text: str) -> tuple[int, str, int]:
    """Process id, state letter and start time of a line of ``/proc/PID/stat`` (see proc(5))."""
    head, _, tail = text.rpartition(")")
    fields = tail.split()
    return int(head.split(" ", 1)[0]), fields[0], int(fields[19])


def process_started(pid: int) -> int | None:
    """Start time of a running process in clock ticks since boot; None if there is none."""
    try:
        _, state, started = _parse_stat(Path(f"/proc/{pid}/stat").read_text())
    except (OSError, ValueError, IndexError):
        return None
    return None if state in "ZX" else started


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
        try:
            pid, _, started = _parse_stat((self.folder / name).read_text())
        except (OSError, ValueError, IndexError):
            return None
        process = Process(pid, started)
        return process if process.alive else None

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

        Args:
            name: What it is called here.
            command: Program and arguments.
            inside: The keeper of the lab's namespaces, to start inside them; None starts on the machine itself.
            environment: Variables in addition to the caller's.
        """
        if running := self.find(name):
            return running
        self.folder.mkdir(parents=True, exist_ok=True)
        self.lab.logs.mkdir(parents=True, exist_ok=True)
        note = self.folder / name
        note.unlink(missing_ok=True)
        entry = namespace_entry(self.lab, inside) if inside else []
        with (self.lab.logs / f"{name}.log").open("ab") as log:
            subprocess.Popen(
                ["sh", "-c", _LAUNCH, str(note), *entry, *command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                env={**os.environ, **(environment or {})},
                start_new_session=True,
            )
        return wait_for(lambda: self.find(name), f"{name} to start", seconds=10, log=self.log(name))

    def log(self, name: str) -> Path:
        """The log file of a program."""
        return self.lab.logs / f"{name}.log"

    def stop(self, name: str, seconds: float = 10) -> None:
        """Ask a program to end and make it end after ``seconds``; then forget it."""
        if process := self.find(name):
            end([process], seconds)
        (self.folder / name).unlink(missing_ok=True)


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
            _reap_children()
            left = [process for process in left if process.alive]
            if left:
                time.sleep(0.05)


def _send(process: Process, number: int) -> None:
    try:
        os.kill(process.pid, number)
    except ProcessLookupError:
        return


def _reap_children() -> None:
    # A program that this very run started and that ended would stay as a zombie until the run is over.
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
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
            tail = (
                "\n".join(log.read_text(errors="replace").splitlines()[-15:]) if log and log.exists() else ""
            )
            raise LabError(
                f"waited {seconds:.0f} s in vain for {what}" + (f"; end of {log}:\n{tail}" if tail else "")
            )
        time.sleep(0.1)
