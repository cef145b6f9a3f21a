"""Runs commands side by side, as many as the machine has room for, each in its turn.

What a command prints is kept until it has ended, so that the outputs of two do not mix.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Step:
    """A command.

    Attributes:
        name: Of the step; its output goes to a file of this name.
        command: Program and arguments.
        after: Names of the steps that must have succeeded before.
        alone_with: Names of what it must have to itself; steps that share one do not run at the same time.
        variables: Environment variables of its own.
    """

    name: str
    command: Sequence[str]
    after: Collection[str] = ()
    alone_with: frozenset[str] = frozenset()
    variables: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Ended:
    """A step that has ended.

    Attributes:
        step: It.
        code: Exit code, negative for a signal.
        wall: Seconds from its start to its end.
        cpu: Seconds of processor time, of its processes and all that they waited for.
    """

    step: Step
    code: int
    wall: float
    cpu: float


@dataclass
class _Running:
    step: Step
    process: subprocess.Popen[bytes]
    started: float


class Lanes:
    """The lanes.

    Args:
        lanes: How many there are.
        logs: Folder of the outputs.
        told: Called with every step that starts.
        ended: Called with every step that has ended.
    """

    def __init__(
        self, lanes: int, logs: Path, told: Callable[[Step], None], ended: Callable[[Ended], None]
    ) -> None:
        self._lanes = lanes
        self._logs = logs
        self._told = told
        self._ended = ended
        self._running: dict[int, _Running] = {}

    def run(self, steps: Sequence[Step], *, keep_going: bool = False) -> tuple[list[Ended], list[Step]]:
        """Runs steps, the first ones first; after a failure no further one is begun.

        Args:
            steps: In the order in which they are begun when there is room.
            keep_going: Begin after a failure what does not need the step that failed.

        Returns:
            Those that have ended, in that order, and those that were not begun.
        """
        waiting, ended = list(steps), list[Ended]()
        try:
            while True:
                succeeded = {item.step.name for item in ended if item.code == 0}
                if keep_going or len(succeeded) == len(ended):
                    self._begin(waiting, succeeded)
                if not self._running:
                    return ended, waiting
                ended.append(self._wait())
                self._ended(ended[-1])
        finally:
            # So that pytest tears its fixtures down.
            for running in self._running.values():
                running.process.send_signal(signal.SIGINT)
            for running in self._running.values():
                running.process.wait()

    def log(self, step: Step) -> Path:
        """Where a step's output is."""
        return self._logs / f"{step.name}.log"

    def _begin(self, waiting: list[Step], done: Collection[str]) -> None:
        for step in list(waiting):
            others = [running.step for running in self._running.values()]
            apart = not any(other.alone_with & step.alone_with for other in others)
            if len(others) < self._lanes and apart and set(step.after) <= set(done):
                waiting.remove(step)
                self._start(step)

    def _start(self, step: Step) -> None:
        self._logs.mkdir(parents=True, exist_ok=True)
        with self.log(step).open("wb") as output:
            process = subprocess.Popen(
                list(step.command),
                env={**os.environ, **step.variables},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                # A person's interrupt is for this process, which hands it on once.
                start_new_session=True,
            )
        self._running[process.pid] = _Running(step, process, time.monotonic())
        self._told(step)

    def _wait(self) -> Ended:
        # Unlike Popen's own, this wait says what the process has used.
        pid, status, usage = os.wait4(-1, 0)
        running = self._running.pop(pid)
        code = running.process.returncode = os.waitstatus_to_exitcode(status)
        return Ended(running.step, code, time.monotonic() - running.started, usage.ru_utime + usage.ru_stime)
