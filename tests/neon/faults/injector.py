"""What stands between the client and the service: an HTTP transport that spoils calls, by dice.

Every call goes to the real service unless a fault takes its place; what is dropped "after" has been done.
Which call is hit depends on the seed, the step and the number of the call alone. Polls of operations are
counted apart: how many there are depends on the speed of the machine, and the other calls must be hit the
same way when a schedule is replayed.
"""

from __future__ import annotations

import email.utils
import json
import random
import re
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import httpx

from kardinal_infra.databases.neon.clock import Clock
from tests.neon.fake import Crash

HTML = "<html><head><title>Bad gateway</title></head><body>cloud edge</body></html>"
SPEED = 25.0
"""Pauses of the client are so many times shorter than they say."""

_SECRET = re.compile(r"postgres(?:ql)?://[^:/@]+:([^@]+)@")
_ID = re.compile(r"/(br|ep)-[^/?]+|/[0-9a-f]{8}-[0-9a-f-]{27}")


def _problem(status: int, message: str, **headers: str) -> Callable[[], httpx.Response]:
    body = {"request_id": "injected", "code": "", "message": message}
    return lambda: httpx.Response(
        status, json=body, headers={name.replace("_", "-"): value for name, value in headers.items()}
    )


def _breaks(kind: type[Exception], message: str) -> Callable[[], httpx.Response]:
    def broken() -> httpx.Response:
        raise kind(message)

    return broken


def _soon() -> httpx.Response:
    moment = email.utils.format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True)
    return _problem(429, "slow down", Retry_After=moment)()


def _crash() -> httpx.Response:
    raise Crash


BUSY = {
    "423": _problem(423, "project already has running conflicting operations"),
    "429": _problem(429, "too many requests"),
    "429 for 1 s": _problem(429, "too many requests", Retry_After="1"),
    "429 until a date": _soon,
    "503": _problem(503, "not now"),
    "503 page": lambda: httpx.Response(503, html=HTML),
    "422 not ready": _problem(422, "branch not ready yet"),
    "no connection": _breaks(httpx.ConnectError, "connection refused"),
    "connect time-out": _breaks(httpx.ConnectTimeout, "timed out"),
}
"""Before the call is made, and it is not: the client may try again."""

UNKNOWN = {
    "500": _problem(500, "internal error"),
    "502 page": lambda: httpx.Response(502, html=HTML),
    "504 empty": lambda: httpx.Response(504),
    "524 page": lambda: httpx.Response(524, html=HTML),
    "reset": _breaks(httpx.ReadError, "connection reset by peer"),
    "disconnected": _breaks(httpx.RemoteProtocolError, "server disconnected without sending a response"),
    "broken pipe": _breaks(httpx.WriteError, "broken pipe"),
    "read time-out": _breaks(httpx.ReadTimeout, "timed out"),
}
"""Before or after the call: its outcome is unknown."""

USELESS = {
    "page as answer": lambda: httpx.Response(200, html=HTML),
    "empty answer": lambda: httpx.Response(200),
    "cut answer": lambda: httpx.Response(201, text='{"branch": {"id": "br-'),
}
"""After the call: it was done, its answer cannot be read."""

REFUSED = {"409": _problem(409, "already exists")}
"""Before a POST: a conflict that does not show when looked for."""

CRASH = "crash"


@dataclass
class Plan:
    """What happens during one step.

    Attributes:
        dice: Text that seeds the dice of every call.
        rate: Share of calls with a fault.
        crash: Number of the call, polls not counted, at which the process dies, and "before" or "after".
        dark: Number of the call from which on nobody answers any more.
    """

    dice: str = ""
    rate: float = 0.0
    crash: tuple[int, str] | None = None
    dark: int | None = None


@dataclass
class Injector(httpx.BaseTransport):
    """The transport of the client under test.

    Attributes:
        parents_uri: Asks the service for the URI of the parent: what an answer must never be taken for.
        plan: Of the present step.
        trace: What was done to which call.
        hits: Number of faults by name.
        secrets: Every password that passed by.
    """

    parents_uri: Callable[[], str]
    plan: Plan = field(default_factory=Plan)
    trace: list[str] = field(default_factory=list)
    hits: Counter[str] = field(default_factory=Counter)
    secrets: set[str] = field(default_factory=set)
    calls: int = 0
    _polls: int = 0
    _made: set[str] = field(default_factory=set)
    _inner: httpx.HTTPTransport = field(default_factory=httpx.HTTPTransport)
    _skipped: float = 0.0

    def begin(self, plan: Plan) -> None:
        """Starts a step: a new process that knows nothing of the ones before."""
        self.plan = plan
        self.calls = self._polls = 0
        self._made = set()

    def clock(self, *, patient: bool) -> Clock:
        """A clock whose pauses are short; a patient one has the deadlines of a slow machine.

        Args:
            patient: Do not count the time that was not slept.
        """

        def sleep(seconds: float) -> None:
            real = 0.0 if self._is_dark() else seconds / SPEED
            time.sleep(real)
            self._skipped += 0.0 if patient else seconds - real

        return Clock(monotonic=lambda: time.monotonic() + self._skipped, sleep=sleep)

    def saved(self, what: str) -> None:
        """The moment between a provider's answer and the engine's writing it down: may be the last one."""
        self.calls += 1
        if self.plan.crash and self.plan.crash[0] == self.calls:
            self._note(f"state after {what}", CRASH)
            raise Crash

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Makes one call, or spoils it."""
        fault, moment, act = self._decide(request)
        if fault and moment == "before":
            self._note(_text(request), fault)
            return act()
        request.read()
        answer = self._inner.handle_request(request)
        answer.read()
        self._learn(request, answer)
        if fault:
            self._note(_text(request), f"{fault} after the answer {answer.status_code}")
            return act()
        return self._tampered(request, answer)

    def close(self) -> None:
        """Connections stay: the injector outlives the clients of its steps."""

    def shut(self) -> None:
        """Closes the connections."""
        self._inner.close()

    def _is_dark(self) -> bool:
        return self.plan.dark is not None and self.calls >= self.plan.dark

    def _decide(self, request: httpx.Request) -> tuple[str, str, Callable[[], httpx.Response]]:
        poll = "/operations" in request.url.path
        if poll:
            self._polls += 1
            dice = random.Random(f"{self.plan.dice} poll {self._polls}")
        else:
            self.calls += 1
            dice = random.Random(f"{self.plan.dice} {self.calls}")
            if self.plan.crash and self.plan.crash[0] == self.calls:
                return CRASH, self.plan.crash[1], _crash
        if self._is_dark():
            return "no connection", "before", BUSY["no connection"]
        if dice.random() >= self.plan.rate:
            return "", "", _crash
        moment = dice.choice(["before", "before", "after"])
        faults = {**UNKNOWN, **(BUSY if moment == "before" else USELESS)}
        if moment == "before" and request.method == "POST" and not poll:
            faults |= REFUSED
        if moment == "before" and request.method in ("GET", "DELETE"):
            faults.pop("422 not ready")
        name = dice.choice(sorted(faults))
        return name, moment, faults[name]

    def _learn(self, request: httpx.Request, answer: httpx.Response) -> None:
        self.secrets.update(_SECRET.findall(answer.text))
        try:
            body = answer.json()
        except ValueError:
            return
        password = (body.get("role") or body).get("password")
        if password:
            self.secrets.add(password)
        if answer.status_code == 201 and request.url.path.endswith("/branches"):
            self._made.add(body["branch"]["id"])

    def _tampered(self, request: httpx.Request, answer: httpx.Response) -> httpx.Response:
        """Answers that are well-formed and wrong: replicas that lag, and the parent's URI."""
        dice = random.Random(f"{self.plan.dice} tampered {self.calls}")
        if request.method != "GET" or not answer.is_success or dice.random() >= self.plan.rate / 2:
            return answer
        if request.url.path.endswith("/connection_uri"):
            self._note(_text(request), "the parent's URI")
            return httpx.Response(200, json={"uri": self.parents_uri()})
        if request.url.path.endswith("/branches") and self._made:
            self._note(_text(request), "a list that lags")
            body = json.loads(answer.text)
            body["branches"] = [b for b in body["branches"] if b["id"] not in self._made]
            return httpx.Response(200, json=body)
        if request.url.path.endswith("/endpoints") and any(made in request.url.path for made in self._made):
            self._note(_text(request), "404 on what was just made")
            return _problem(404, "branch not found")()
        return answer

    def _note(self, call: str, fault: str) -> None:
        self.trace.append(f"call {self.calls}: {call}: {fault}")
        self.hits[fault.partition(" after the answer")[0]] += 1


def _text(request: httpx.Request) -> str:
    return f"{request.method} {_ID.sub('/{id}', request.url.path).removeprefix('/api/v2')}"
