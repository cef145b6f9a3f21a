"""Creates and destroys flows with several engines at a time, in an order that a seed decides."""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lab.settings import LabError
from tests.e2e.churn.load import LiveFlow, Load
from tests.e2e.churn.relay import SERVICE
from tests.e2e.churn.verdict import Verdict
from tests.e2e.production import Production

ENGINES = 4
NAMES = tuple(f"churn-{letter}" for letter in "abcdefg")
"""Ids of flows: a few, so that routes, forks and branches of one name come and go again and again."""

RIPE = (3, 25)
"""Fewest and most rounds of requests that a flow answers before it is destroyed."""

LOOK_SECONDS = 0.2


def flow_config(flow: LiveFlow) -> dict[str, Any]:
    """A flow that forks the one service, with its mark in its branch."""
    plant = {
        "name": "plant",
        "after": "databases",
        "create": [sys.executable, str(Path(__file__).with_name("plant.py"))],
        "environment": {"MARK": flow.mark},
        "uses": [{"database": "votes", "environment": {"DATABASE_URL": "uri"}}],
    }
    return {"services": {SERVICE: {"image": "votes-api:1.0"}}, "hooks": [plant]}


class Cycles:
    """The engines' work.

    Args:
        production: The application.
        load: Calls every flow from the start of its `up` to the end of its `destroy`.
        verdict: Where cycles and failures are counted, and what says when it is enough.
        dice: Decides what is done next.
        say: Takes a line for the person who watches.
    """

    def __init__(
        self,
        production: Production,
        load: Load,
        verdict: Verdict,
        dice: random.Random,
        say: Callable[[str], None],
    ) -> None:
        self._production = production
        self._load = load
        self._verdict = verdict
        self._dice = dice
        self._say = say
        self._made = 0
        self._followers: dict[str, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Works until enough was done and every flow is gone.

        Raises:
            ExceptionGroup: A caller or an engine's own thread broke.
        """
        async with asyncio.TaskGroup() as group:
            for _ in range(ENGINES):
                group.create_task(self._engine(group))

    async def _engine(self, group: asyncio.TaskGroup) -> None:
        flows = self._load.flows
        while True:
            ripe = [flow for flow in flows if flow.ripe]
            free = [] if self._enough() else sorted(set(NAMES) - {flow.name for flow in flows})
            if ripe and (not free or self._dice.random() < len(ripe) / len(NAMES)):
                await self._destroy(self._dice.choice(ripe))
            elif free:
                flow = LiveFlow(self._dice.choice(free), self._made, self._dice.randint(*RIPE))
                self._made += 1
                flows.append(flow)
                self._followers[flow.name] = group.create_task(self._load.follow(flow))
                await self._create(flow)
            elif flows:
                await asyncio.sleep(LOOK_SECONDS)
            else:
                return

    def _enough(self) -> bool:
        verdict = self._verdict
        return self._made >= verdict.wanted_cycles and verdict.untagged >= verdict.wanted_untagged

    async def _create(self, flow: LiveFlow) -> None:
        started = time.monotonic()
        try:
            await asyncio.to_thread(self._production.configure_flow, flow.name, **flow_config(flow))
            await asyncio.to_thread(self._production.up, flow.name)
        except LabError as error:
            self._verdict.engine.append(f"{flow.mark}: {error}")
            await self._destroy(flow)
            return
        flow.phase = "up"
        self._verdict.up_seconds.append(time.monotonic() - started)
        up = sum(other.phase == "up" for other in self._load.flows)
        self._verdict.most_up = max(self._verdict.most_up, up)
        self._say(f"{flow.mark} is up, {up} of {len(self._load.flows)} flows are")

    async def _destroy(self, flow: LiveFlow) -> None:
        whole = flow.phase == "up"
        flow.phase = "falling"
        started = time.monotonic()
        try:
            await asyncio.to_thread(self._production.destroy, flow.name)
        except LabError as error:
            self._verdict.engine.append(f"{flow.mark}: {error}")
        self._verdict.destroy_seconds.append(time.monotonic() - started)
        flow.phase = "gone"
        await self._followers.pop(flow.name)
        left = await asyncio.to_thread(self._production.left_of, flow.name)
        self._verdict.left += [f"{flow.mark}: {name}" for name in left]
        self._verdict.cycles += whole
        self._load.flows.remove(flow)
        self._say(f"{flow.mark} is gone after {flow.answered} rounds; {self._verdict.line()}")
