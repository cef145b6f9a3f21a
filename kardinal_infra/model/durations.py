"""Life times and other durations as users write them."""

from __future__ import annotations

import re
from datetime import timedelta

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def parse_duration(text: str, what: str, examples: str, units: str = "mhd") -> timedelta:
    """Reads a number and a unit.

    Args:
        text: For example `90m`, `24h` or `7d`.
        what: What it is, for the message.
        examples: What to write, for the message.
        units: Letters of the units that are allowed.

    Raises:
        ValueError: It is something else.
    """
    match = re.fullmatch(rf"([0-9]{{1,6}})([{units}])", text)
    if match is None:
        raise ValueError(f'"{text}" is not {what}; write minutes, hours or days like {examples}')
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def parse_ttl(text: str) -> timedelta:
    """Reads a life time.

    Args:
        text: A number and a unit: minutes, hours or days, e.g. `90m`, `24h`, `7d`.

    Returns:
        More than nothing. How long is too long is the backend's business.

    Raises:
        ValueError: It is not one; the message says why.
    """
    value = parse_duration(text, "a life time", "90m, 24h or 7d")
    if value <= timedelta():
        raise ValueError(f'life time "{text}" must be more than 0')
    return value
