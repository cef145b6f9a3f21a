"""Time as an argument, so that waiting rules are tested without waiting."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Clock:
    """The four things that waiting needs from the outside.

    Attributes:
        monotonic: Seconds that never jump, for deadlines.
        sleep: Pauses for a number of seconds.
        utc_now: The time of day, for expiry times.
        jitter: A random number between two bounds: clients that failed together must not return together.
    """

    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    utc_now: Callable[[], datetime] = _utc_now
    jitter: Callable[[float, float], float] = random.uniform
