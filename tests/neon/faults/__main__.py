"""`python -m tests.neon.faults`: runs fault schedules on the real service, or one of them again."""

from __future__ import annotations

import sys
import time
from typing import Annotated

import typer

from kardinal_neon_local.testing.server import PROJECT
from tests.neon.faults.run import Outcome, run_one
from tests.neon.faults.schedules import schedule
from tests.neon.faults.workers import run_all, work
from tests.neon.faults.world import world

cli = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@cli.command()
def main(
    count: Annotated[int, typer.Option(help="How many schedules.")] = 500,
    first: Annotated[int, typer.Option(help="Seed of the first.")] = 0,
    workers: Annotated[int, typer.Option(help="How many at a time, each with a service of its own.")] = 3,
    seed: Annotated[int | None, typer.Option(help="Run only this one, and tell it step by step.")] = None,
    worker: Annotated[bool, typer.Option(help="Be one of the workers.", hidden=True)] = False,
) -> None:
    """Exit code 1 when a schedule ended wrongly."""
    if worker:
        work()
        return
    if seed is not None:
        print(schedule(seed, PROJECT))
        with world() as place:
            outcome = run_one(place, seed)
        print(*outcome.told, sep="\n")
    else:
        started = time.monotonic()
        outcome = run_all(
            range(first, first + count), workers, lambda done: print(progress(done, count), end="")
        )
        print(f"\n{time.monotonic() - started:.0f} s with {workers} workers")
    for failure in outcome.failures:
        print("=" * 80, failure, sep="\n")
    print(outcome)
    sys.exit(bool(outcome.failures))


def progress(done: Outcome, count: int) -> str:
    return f"\r{done.schedules}/{count} schedules, {len(done.failures)} failed"


if __name__ == "__main__":
    cli()
