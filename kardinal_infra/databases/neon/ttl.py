"""How long a branch lives: the `ttl` text, and the expiry time that Neon is told.

Neon deletes an expired branch in the background. Limits (neon.com/docs/guides/branch-expiration): in the
future, at most 30 days ahead, whole seconds, not on protected, default or parent branches.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

LONGEST = timedelta(days=30)
SHORTEST = timedelta(minutes=1)

_PART = re.compile(r"(\d+)([smhd])")
_WHOLE = re.compile(r"(?:\d+[smhd])+")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def parse_ttl(text: str) -> timedelta:
    """Reads a duration.

    Args:
        text: Numbers with units s, m, h, d, for example `24h`, `7d` or `1d12h`.

    Raises:
        ValueError: It is not a duration, or not between a minute and 30 days; the message is for the user.
    """
    if not _WHOLE.fullmatch(text):
        raise ValueError(f'"{text}" is not a duration: write for example 24h or 7d (units s, m, h, d)')
    total = timedelta()
    for number, unit in _PART.findall(text):
        # Bounded first: timedelta overflows far above any allowed value.
        total += timedelta(**{_UNITS[unit]: min(int(number), 10**7)})
    if total > LONGEST:
        raise ValueError(f'"{text}" is longer than the 30 days that Neon allows')
    if total < SHORTEST:
        raise ValueError(f'"{text}" is shorter than a minute')
    return total


def expiry(ttl: str | None, now: datetime) -> str | None:
    """Returns the time at which a branch made or renewed now expires, or None without a TTL.

    Args:
        ttl: A duration, see `parse_ttl`.
        now: Time of day, with a zone.
    """
    return None if ttl is None else timestamp(now + parse_ttl(ttl))


def timestamp(moment: datetime) -> str:
    """Writes a time the way Neon does: UTC, whole seconds, `2026-11-24T18:02:16Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def is_due(ttl: str, expires_at: str, now: datetime) -> bool:
    """Says whether less than half of a TTL is left, so that the next update should renew it.

    Half, and not always: an update right after an update must find nothing to change.

    Args:
        ttl: The duration.
        expires_at: Present expiry, RFC 3339.
        now: Time of day, with a zone.
    """
    return datetime.fromisoformat(expires_at) - now < parse_ttl(ttl) / 2
