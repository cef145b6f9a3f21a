"""The one retry policy of the Neon client.

Work on one Neon project is serialised by Neon: with several stacks in one project an HTTP 423 is the normal
case, not an error. So every call is repeated under one deadline with growing, jittered pauses. What may be
repeated depends on what is known about the failed try:

- 423, 429, 503 and 422 "branch not ready yet": Neon did nothing, every call may be repeated;
- the connection was never made: nothing was sent, every call may be repeated;
- any other 5xx, time-out or reset: the outcome is unknown; only calls whose repetition has the same effect
  (reads, deletes) are repeated. A write raises `NeonUnknownOutcomeError` and its caller looks before it acts;
- 404 is repeated only when the caller says that the object has just been made, and for a few seconds only.

Facts: docs/facts/neon.md#busy-is-the-normal-case, docs/facts/neon.md#unknown-outcomes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TypeVar

import tenacity

from kardinal_infra.databases.neon.clock import Clock
from kardinal_infra.databases.neon.errors import NeonError, NeonNotFoundError, NeonUnknownOutcomeError

T = TypeVar("T")

NOTHING_DONE = frozenset({HTTPStatus.LOCKED, HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})
"""Statuses that say that the request was not executed."""

NOT_READY_TEXT = "not ready yet"
"""Part of the message of the one 422 that passes by itself ("branch not ready yet")."""


@dataclass(frozen=True)
class RetryPolicy:
    """How long and how often a call is repeated.

    Attributes:
        deadline: Seconds from the first try after which no further try starts. A burst of flows on one
            project takes a while to drain, hence minutes rather than seconds.
        first_pause: Upper bound of the first pause, seconds; doubled for each further one.
        longest_pause: Upper bound of any pause, seconds, except when the server asks for a longer one.
        longest_busy_pause: Upper bound of a pause after a 423. Others' work takes about a second: with longer
            pauses the project stands idle between them (20 stacks took twice the sum of their operations,
            with this a fifth to a third more), with shorter ones they would meet Neon's limit of 11 calls a
            second.
        settle: Seconds during which a 404 on something just made is taken as "not yet visible".
        clock: Source of time and chance.
    """

    deadline: float = 180.0
    first_pause: float = 0.5
    longest_pause: float = 8.0
    longest_busy_pause: float = 2.0
    settle: float = 10.0
    clock: Clock = field(default_factory=Clock)

    def call(self, attempt: Callable[[], T], *, repeatable: bool, just_made: bool = False) -> T:
        """Runs one API call until it succeeds, fails for good or the deadline passes.

        Args:
            attempt: Performs the call once; raises `NeonError` on failure.
            repeatable: The call may be repeated although an earlier try may have been executed.
            just_made: The object was created a moment ago, so a 404 may be a replica that lags behind.

        Raises:
            NeonError: The last failure, unchanged, when it may not be repeated or time is up.
        """
        started = self.clock.monotonic()

        def elapsed() -> float:
            return self.clock.monotonic() - started

        def worth_repeating(error: BaseException) -> bool:
            if just_made and isinstance(error, NeonNotFoundError):
                return elapsed() < self.settle
            return isinstance(error, NeonError) and may_repeat(error, repeatable=repeatable)

        def out_of_time(state: tenacity.RetryCallState) -> bool:
            return elapsed() + state.upcoming_sleep > self.deadline

        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(worth_repeating),
            wait=self._pause,
            stop=out_of_time,
            sleep=self.clock.sleep,
            reraise=True,
        )
        return retrying(attempt)

    def _pause(self, state: tenacity.RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        busy = isinstance(error, NeonError) and error.status == HTTPStatus.LOCKED
        longest = self.longest_busy_pause if busy else self.longest_pause
        ceiling = min(longest, self.first_pause * 2 ** min(state.attempt_number - 1, 16))
        # At least half of the ceiling: a burst of clients must thin out, not hammer.
        pause = self.clock.jitter(ceiling / 2, ceiling)
        asked = error.retry_after if isinstance(error, NeonError) else None
        # What the server asks for is a minimum; the jitter on top keeps the clients apart.
        return pause if asked is None else asked + self.clock.jitter(0.0, self.first_pause)


def may_repeat(error: NeonError, *, repeatable: bool) -> bool:
    """Says whether a failed call may be made again.

    Args:
        error: The failure.
        repeatable: Whether a second execution would do no harm.
    """
    if error.status in NOTHING_DONE:
        return True
    if error.status == HTTPStatus.UNPROCESSABLE_ENTITY and NOT_READY_TEXT in error.message.lower():
        return True
    if error.status is None and error.not_sent:
        return True
    return repeatable and isinstance(error, NeonUnknownOutcomeError)
