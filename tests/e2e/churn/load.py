"""Steady requests beside the churn: without a key, with forged ones, and with the key of every flow.

Each caller sends one request after the other and rests at least as long as it waited for the answer: the
load is a part of what the machine can do, however little that is.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import httpx

from kardinal_infra.model.names import ANSWER_FLOW, HEADER_FORK
from kardinal_infra.routing.key import DEFAULT_KEY
from tests.e2e.churn.answers import Expected, Heard, with_key, without_key
from tests.e2e.churn.relay import SERVICE
from tests.e2e.churn.verdict import Kind, Verdict

TIMEOUT_SECONDS = 120.0
PAUSE_SECONDS = 0.25
"""From one request of an untagged caller to its next, at least."""

FLOW_PAUSE_SECONDS = 0.4
"""From one round of requests of a flow to its next, at least."""

CALLERS: dict[Kind, int] = {"untagged": 14, "untagged, inside": 12, "forged headers": 2, "unknown key": 1}
"""How many callers belong to no flow."""

VOTE_EVERY = 5
"""Every so many requests of a flow from inside the mesh is a vote."""

Phase = Literal["rising", "up", "falling", "gone"]


@dataclass
class LiveFlow:
    """A flow from the start of its `up` to the end of its `destroy`.

    Attributes:
        name: Its id, used again by later cycles.
        cycle: Which cycle it is.
        ripe_after: Requests that it has to answer before it is destroyed.
        phase: What is being done to it.
        sent: Votes for its mark that were sent.
        taken: Votes for its mark that were taken.
        answered: Requests of both of its callers, one after the other, while it was up.
    """

    name: str
    cycle: int
    ripe_after: int
    phase: Phase = "rising"
    sent: int = 0
    taken: int = 0
    answered: int = 0

    @property
    def mark(self) -> str:
        """The option that only this cycle's branch has."""
        return f"{self.name}#{self.cycle}"

    @property
    def gone(self) -> bool:
        """Whether its `destroy` has ended."""
        return self.phase == "gone"

    @property
    def ripe(self) -> bool:
        """Whether it may be destroyed."""
        return self.phase == "up" and self.answered >= self.ripe_after


@dataclass(frozen=True)
class Places:
    """Where requests go.

    Attributes:
        gateway: Address of the gateway.
        domain: Production's public host; flows have hosts below it.
        inside: Address of the caller inside the mesh.
    """

    gateway: str
    domain: str
    inside: str


class Load:
    """All callers.

    Args:
        http: Keeps connections open.
        places: Where requests go.
        rows: Production's votes per option.
        verdict: Where answers are counted.
        dice: Decides what a forged header names.
    """

    def __init__(
        self,
        http: httpx.AsyncClient,
        places: Places,
        rows: Mapping[str, int],
        verdict: Verdict,
        dice: random.Random,
    ) -> None:
        self._http = http
        self._places = places
        self._rows = rows
        self._verdict = verdict
        self._dice = dice
        self.flows: list[LiveFlow] = []

    async def stay(self, kind: Kind) -> None:
        """Calls production without the key of a flow, for ever."""
        while True:
            started = time.monotonic()
            await self._call(kind)
            await _rest(started, PAUSE_SECONDS)

    async def follow(self, flow: LiveFlow) -> None:
        """Calls a flow by its host and from inside the mesh until it is gone."""
        number = 0
        while not flow.gone:
            started = time.monotonic()
            number += 1
            await self._ask_flow(flow, inside=True, vote=number % VOTE_EVERY == 1)
            if not flow.gone:
                await self._ask_flow(flow, inside=False)
            flow.answered += flow.phase == "up"
            await _rest(started, FLOW_PAUSE_SECONDS)
        await self._ask_flow(flow, inside=True)

    async def _call(self, kind: Kind) -> None:
        headers = {}
        if kind == "forged headers":
            names = [flow.name for flow in self.flows] or ["nobody"]
            name = self._dice.choice(names)
            headers = key_of(name)
        elif kind == "unknown key":
            headers = {DEFAULT_KEY.header: "nobody"}
        inside = kind in ("untagged, inside", "unknown key")
        url, host = self._way(inside, self._places.domain)
        heard = await self._ask("GET", url, {**host, **headers})
        self._verdict.tally.add(kind, without_key(heard, self._rows), f"{_now()} {headers} {heard}")

    async def _ask_flow(self, flow: LiveFlow, *, inside: bool, vote: bool = False) -> None:
        url, headers = self._way(inside, f"{flow.name}.{self._places.domain}")
        if inside:
            headers = key_of(flow.name)
        before, least = flow.phase, flow.taken
        if vote:
            flow.sent += 1
            heard = await self._ask("POST", url, headers, {"option": flow.mark})
        else:
            heard = await self._ask("GET", url, headers)
        fork = f"{SERVICE}-{flow.name}"
        expected = Expected(flow.name, fork, flow.mark, least, flow.sent, inside)
        outcome = with_key(heard, expected, self._rows)
        kind = kind_of(between(before, flow.phase), inside)
        if vote and heard.status == httpx.codes.CREATED:
            flow.taken += 1
            self._verdict.votes += 1
        self._verdict.tally.add(kind, outcome, f"{_now()} {flow.mark} {heard}")

    def _way(self, inside: bool, host: str) -> tuple[str, dict[str, str]]:
        if inside:
            return f"{self._places.inside}/votes", {}
        return f"http://{self._places.gateway}/api/votes", {"host": host}

    async def _ask(
        self, method: str, url: str, headers: Mapping[str, str], body: dict[str, Any] | None = None
    ) -> Heard:
        try:
            answer = await self._http.request(method, url, headers=dict(headers), json=body)
        except httpx.HTTPError as error:
            return Heard(None, error=type(error).__name__, cause=repr(error.__cause__ or error))
        fork, flow = answer.headers.get(HEADER_FORK), answer.headers.get(ANSWER_FLOW)
        counts = answer.json()["counts"] if answer.is_success else None
        return Heard(answer.status_code, counts, fork, flow)


def key_of(flow: str) -> dict[str, str]:
    """The headers by which a request says that it belongs to a flow."""
    return DEFAULT_KEY.carried(flow)


def between(before: Phase, after: Phase) -> Phase:
    """The phase that decides what may be, of a request that began in one phase and ended in another."""
    if before == after:
        return before
    return "rising" if before == "rising" else "falling"


def kind_of(phase: Phase, inside: bool) -> Kind:
    """The kind of a flow's request."""
    match phase:
        case "rising":
            return "rising, inside" if inside else "rising"
        case "up":
            return "up, inside" if inside else "up"
        case "falling":
            return "falling, inside" if inside else "falling"
        case "gone":
            return "gone, inside"  # its host is gone too


def _now() -> str:
    return time.strftime("%H:%M:%S")


async def _rest(started: float, pause: float) -> None:
    waited = time.monotonic() - started
    await asyncio.sleep(max(pause - waited, waited))
