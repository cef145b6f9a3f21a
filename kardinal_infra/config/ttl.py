"""Life times as users write them."""

from __future__ import annotations

import re
from datetime import timedelta

MAX_TTL = timedelta(days=30)
"""Neon's limit for `expires_at`."""

_TTL = re.compile(r"([0-9]{1,6})(m|h|d)")
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


def parse_ttl(text: str) -> timedelta:
    """Reads a life time.

    Args:
        text: A number and a unit: minutes, hours or days, e.g. `90m`, `24h`, `7d`.

    Returns:
        More than nothing, at most 30 days.

    Raises:
        ValueError: It is not one; the message says why.
    """
    match = _TTL.fullmatch(text)
    if match is None:
        raise ValueError(f'"{text}" is not a life time; write minutes, hours or days like 90m, 24h or 7d')
    value = timedelta(**{_UNITS[match[2]]: int(match[1])})
    if not timedelta() < value <= MAX_TTL:
        raise ValueError(f'life time "{text}" must be more than 0 and at most {MAX_TTL.days}d')
    return value
