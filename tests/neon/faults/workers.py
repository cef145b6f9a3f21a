"""Several worlds side by side: processes, because a schedule replaces the client of its whole process."""

from __future__ import annotations

import contextlib
import json
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.neon.faults.run import Outcome, run_one
from tests.neon.faults.world import world

ROOT = Path(__file__).parents[3]
ENOUGH = 5
"""Failures after which no further schedule is begun: one cause makes many fail."""


def work() -> None:
    """Be a worker: a seed a line on the standard input, an outcome a line on the standard output."""
    # So that the service and its instances end with the worker.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    answers, sys.stdout = sys.stdout, sys.stderr  # the guard says what it removed
    with world() as place:
        for line in sys.stdin:
            print(json.dumps(vars(run_one(place, int(line)))), file=answers, flush=True)


def run_all(
    seeds: Sequence[int], workers: int, progress: Callable[[Outcome], None] = lambda outcome: None
) -> Outcome:
    """Runs schedules, some at a time.

    Args:
        seeds: Which.
        workers: How many at a time.
        progress: Called after each with the sum so far.

    Raises:
        RuntimeError: A worker died.
    """
    waiting: queue.SimpleQueue[int] = queue.SimpleQueue()
    for seed in seeds:
        waiting.put(seed)
    total, lock = Outcome(), threading.Lock()
    broken: list[str] = []

    def serve() -> None:
        with subprocess.Popen(
            [sys.executable, "-m", "tests.neon.faults", "--worker"],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        ) as process:  # fmt: skip
            assert process.stdin is not None
            assert process.stdout is not None
            with contextlib.suppress(queue.Empty):
                while len(total.failures) < ENOUGH and not broken:
                    seed = waiting.get_nowait()
                    process.stdin.write(f"{seed}\n")
                    process.stdin.flush()
                    line = process.stdout.readline()
                    if not line:
                        broken.append(f"the worker of schedule {seed} ended with {process.wait()}")
                        break
                    with lock:
                        total.add(Outcome(**json.loads(line)))
                        progress(total)

    threads = [threading.Thread(target=serve) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if broken:
        raise RuntimeError("; ".join(broken))
    return total
