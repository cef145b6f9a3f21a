"""Many stacks that create branches in one project at the same time: how long, and how long it must take.

Neon does the work of a project one operation after the other, so no client can be faster than the sum of the
operations' durations: the serial floor.

`python -m tests.neon.many_stacks --stacks 20 --engines` measures with real engines.
"""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from kardinal_neon_local.testing.server import KEY, PROJECT, Server, running
from tests.engine import engine_project
from tests.neon.plugin import Plugin, plugin

OPERATION_SECONDS = 0.25
"""What the local service adds to each operation, so that it takes about as long as one of Neon's."""

PROGRAM = """
    import pulumi
    from kardinal_infra import NeonBranch

    branch = NeonBranch("votes", {args})
    pulumi.export("id", branch.id)
    pulumi.export("uri", branch.uri)
"""

Props = dict[str, Any]


@dataclass(frozen=True)
class Measured:
    """What came of it.

    Attributes:
        stacks: How many there were.
        seconds: From the first call to the end of the last one.
        floor: Sum of the durations of the service's operations, seconds.
        refused: Calls that the service answered with 423.
        calls: All calls.
    """

    stacks: int
    seconds: float
    floor: float
    refused: int
    calls: int

    @property
    def ratio(self) -> float:
        """Time in relation to the floor."""
        return self.seconds / self.floor

    def __str__(self) -> str:
        return (
            f"{self.stacks} stacks: {self.seconds:.1f} s, serial floor {self.floor:.1f} s, ratio"
            f" {self.ratio:.2f}; {self.calls} calls, {self.refused} of them answered 423"
        )


def inputs(number: int) -> Props:
    """The inputs of one stack's branch."""
    return {
        "project": PROJECT,
        "name": f"kardinal/shop/stack-{number}/votes",
        "database": "votes",
        "role": "votes_owner",
        "ttl": "24h",
        "annotations": {"kardinal-stack": f"organization/kardinal/stack-{number}"},
    }


@contextlib.contextmanager
def busy_service() -> Iterator[Server]:
    """A service whose operations take their time."""
    with running(operation_delay=OPERATION_SECONDS) as server:
        # Contract checks of a hundred thousand polls are no part of the measurement.
        server.http.event_hooks["response"].clear()
        yield server


def measure(server: Server, creates: Sequence[Callable[[], object]]) -> Measured:
    """Runs all at the same time, each in a thread.

    Args:
        server: The service that all use.
        creates: Each makes one stack's branch.
    """
    before = {operation["id"] for operation in _operations(server)}
    log = server.log.stat().st_size
    started = time.monotonic()
    with ThreadPoolExecutor(len(creates)) as pool:
        list(pool.map(lambda create: create(), creates))
    seconds = time.monotonic() - started
    ran = [operation for operation in _operations(server) if operation["id"] not in before]
    calls = [line.split()[5] for line in server.log.read_text()[log:].splitlines() if " ms " in line]
    return Measured(
        stacks=len(creates),
        seconds=seconds,
        floor=sum(operation["total_duration_ms"] for operation in ran) / 1000,
        refused=calls.count("423"),
        calls=len(calls),
    )


def _operations(server: Server) -> list[Props]:
    return list(server.get("/operations", limit=1000)["operations"])


def with_providers(server: Server, count: int) -> tuple[Measured, dict[str, str]]:
    """Measures with the processes that engines start for dynamic resources.

    Args:
        server: The service.
        count: How many stacks.

    Returns:
        The measurement, and the connection URIs by branch name.
    """
    made: dict[str, str] = {}

    def create(number: int, provider: Plugin) -> None:
        made[inputs(number)["name"]] = provider.create(inputs(number))[1]["uri"]

    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="many-stacks-")))
        started = []
        for number in range(count):
            place = folder / str(number)
            place.mkdir()
            started.append(stack.enter_context(plugin(place, None, **_variables(server))))
        return measure(server, [partial(create, n, provider) for n, provider in enumerate(started)]), made


def with_engines(server: Server, count: int) -> Measured:
    """Measures with `pulumi up`: the start of engine and Python counts as well.

    Args:
        server: The service.
        count: How many stacks.
    """
    with tempfile.TemporaryDirectory(prefix="many-stacks-") as folder:
        projects = []
        for number in range(count):
            place = Path(folder) / str(number)
            place.mkdir()
            program = PROGRAM.format(args=inputs(number))
            projects.append(engine_project(place, program, plugins=False, **_variables(server)))
        measured = measure(server, [partial(p.pulumi, "up", "--yes", "--skip-preview") for p in projects])
        for project in projects:
            project.pulumi("destroy", "--yes", "--skip-preview")
        return measured


def _variables(server: Server) -> dict[str, str]:
    return {"NEON_API_KEY": KEY, "NEON_API_HOST": f"http://127.0.0.1:{server.port}"}


def main(
    stacks: Annotated[int, typer.Option(help="How many at the same time.")] = 20,
    engines: Annotated[bool, typer.Option(help="Whole `pulumi up` runs, not the providers alone.")] = False,
) -> None:
    """Prints how long it took in relation to the serial floor."""
    with busy_service() as server:
        print(with_engines(server, stacks) if engines else with_providers(server, stacks)[0])


if __name__ == "__main__":
    typer.run(main)
