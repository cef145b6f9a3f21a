"""Running schedules in a world, and what came of them."""

from __future__ import annotations

import os
import random
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from unittest.mock import patch

from kardinal_infra.databases.neon import leftovers, provider
from kardinal_infra.databases.neon.client import NeonClient
from kardinal_infra.databases.neon.clock import Clock
from kardinal_infra.databases.neon.settings import NeonSettings
from kardinal_infra.databases.request import BranchRequest
from kardinal_infra.errors import BranchingError, KardinalError, OwnershipError
from kardinal_neon_local.testing.server import KEY, PROJECT
from tests.neon.fake import Crash
from tests.neon.faults.engine import Props, Stack
from tests.neon.faults.injector import Injector, Plan
from tests.neon.faults.schedules import Program, Schedule, Step, schedule
from tests.neon.faults.world import World


@dataclass
class Outcome:
    """What happened while schedules ran.

    Attributes:
        steps: Disturbed steps by how they ended: done, failed, crashed.
        hits: Faults by name.
        failures: Text of every schedule that ended wrongly, with everything that is needed to replay it.
        told: What was done to which call; of one schedule only.
    """

    schedules: int = 0
    steps: Counter[str] = field(default_factory=Counter)
    hits: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)

    def add(self, other: Outcome) -> None:
        """Takes in another one."""
        self.schedules += other.schedules
        self.steps.update(other.steps)
        self.hits.update(other.hits)
        self.failures += other.failures


class Run:
    """One schedule in a world."""

    def __init__(self, world: World, planned: Schedule) -> None:
        self.world = world
        self.planned = planned
        self.injector = Injector(partial(world.server.uri, world.main))
        self.clock = self.injector.clock(patient=False)
        self.stacks: dict[str, Stack] = {}
        self.steps: Counter[str] = Counter()
        self.others: dict[str, Any] = {}
        self.plain = False

    def connect(self, settings: NeonSettings, *, clock: Clock | None = None) -> NeonClient:
        """In the place of the client's constructor."""
        return NeonClient(settings, clock=self.clock, transport=self.injector)

    def run(self) -> None:
        """Runs it.

        Raises:
            AssertionError: It did not end as it must.
        """
        for step in self.planned.steps:
            self._disturbed(step)
        self.injector.begin(Plan())
        self.clock = self.injector.clock(patient=True)
        self._end()

    def _disturbed(self, step: Step) -> None:
        stack = self._stack(step.stack)
        self.injector.trace.append(f"-- {step.action} of {step.stack}")
        if step.action in ("squat", "fork"):
            self._others(step, stack)
            return
        self.injector.begin(step.plan)
        try:
            if step.action == "destroy":
                stack.destroy()
            else:
                self._up(stack, step.program, refresh=step.action == "refresh and up")
            how = "done"
        except Crash:
            how = "crashed"
        except KardinalError as error:
            how = f"failed: {type(error).__name__}"
            self._require_discreet(error)
        self.injector.trace.append(f"-- {how}")
        self.steps[how.partition(":")[0]] += 1

    def _up(self, stack: Stack, program: Program, *, refresh: bool = False) -> None:
        self.plain = any(not request.rotate_password for request in program.values())
        stack.up(program, refresh=refresh)

    def _others(self, step: Step, stack: Stack) -> None:
        if step.action == "squat":
            made = self.world.squat(next(iter(step.program.values())).name)
        else:
            ids = [known.id.partition("/")[2] for known in stack.branches.values()]
            made = self.world.fork(ids[0]) if ids else None
        if made:
            self.others[made] = self.world.state()[made]

    def _stack(self, name: str) -> Stack:
        if name not in self.stacks:
            self.stacks[name] = Stack(name, self.injector.saved, self._handed_out)
        return self.stacks[name]

    def _handed_out(self, outs: Props) -> None:
        self.world.require_own(outs, rotated=not self.plain)

    def _require_discreet(self, error: KardinalError) -> None:
        shown = "".join(traceback.format_exception(error)) + repr(error) + str(error)
        for secret in (KEY, *self.injector.secrets, *self.world.passwords):
            assert secret not in shown, f"a secret in {type(error).__name__}: {shown.replace(secret, '***')}"

    def _end(self) -> None:
        for name, program in self.planned.final.items():
            self.injector.trace.append(f"-- last up of {name}")
            self._last_up(self._stack(name), program)
        wanted = {self._stack(name): program for name, program in self.planned.final.items()}
        state = self.world.require_wanted(wanted, {*self.others})
        self._remove_others(state)
        for stack, program in wanted.items():
            free = {name: _unprotected(request) for name, request in program.items()}
            if free != program:
                self._up(stack, free)
            self.injector.trace.append(f"-- last destroy of {stack.name}")
            stack.destroy()
        self.world.require_nothing_left()

    def _last_up(self, stack: Stack, program: Program) -> None:
        # What an update that failed has left undone shows in a refresh, or when the same is asked again.
        unsure = any(program.get(alias) != asked for alias, asked in stack.unsure.items())
        try:
            self._up(stack, program, refresh=unsure)
        except OwnershipError as refusal:
            # Left by a run that was killed, and the program has asked for another content since.
            if "is ours but was made" not in str(refusal):
                raise
            self.steps["refused for its content"] += 1
            stack.destroy()
            self._up(stack, program)
        except BranchingError as refusal:
            # It was to go, and somebody else has made a branch from it.
            if "cannot be deleted before the branches made from it" not in str(refusal):
                raise
            self.steps["refused for its children"] += 1
            self._remove_others(self.world.state())
            self._up(stack, program)

    def _remove_others(self, state: dict[str, Any]) -> None:
        found = {branch: state.get(branch) for branch in self.others}
        assert found == self.others, "somebody else's branch was changed"
        self.world.remove(self.others)
        self.others = {}


def _unprotected(request: BranchRequest) -> BranchRequest:
    return BranchRequest.from_plain({**request.to_plain(), "protected": False})


@contextmanager
def _in_place_of_the_network(run: Run) -> Iterator[None]:
    environment: dict[str, Any] = {
        "NEON_API_KEY": KEY,
        "NEON_API_HOST": f"http://127.0.0.1:{run.world.server.port}",
        "KARDINAL_TRACEBACK": "1",
        # The guard looks after branches only: there is no cluster here.
        "PULUMI_K8S_DELETE_UNREACHABLE": "true",
    }
    with (
        patch.dict(os.environ, environment),
        patch.object(provider, "NeonClient", run.connect),
        patch.object(leftovers, "NeonClient", run.connect),
    ):
        yield


def run_one(world: World, seed: int) -> Outcome:
    """Runs the schedule of a seed and brings the world back to its beginning.

    Args:
        world: Where.
        seed: Which.
    """
    planned = schedule(seed, PROJECT)
    run = Run(world, planned)
    outcome = Outcome(schedules=1)
    random.seed(seed)  # the jitter of the client's pauses
    try:
        with _in_place_of_the_network(run):
            run.run()
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt | SystemExit):
            raise
        told = "".join(traceback.format_exception(error))
        outcome.failures.append("\n".join([str(planned), *run.injector.trace, told]))
        world.restore()
    finally:
        run.injector.shut()
    outcome.steps, outcome.hits, outcome.told = run.steps, run.injector.hits, run.injector.trace
    return outcome
