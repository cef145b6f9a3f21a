"""How long a branch lives: from the `ttl` text to the expiry time.

Of every backend an end is in the future, in whole seconds, and on no protected branch. How far ahead
it may be is each one's own.
"""

from __future__ import annotations

from datetime import UTC, datetime

from kardinal_infra.model.branch_rules import parse_moment
from kardinal_infra.model.durations import parse_ttl


def expiry(ttl: str | None, now: datetime, expires_at: str | None = None) -> str | None:
    """Returns the time at which a branch made or renewed now expires, or None when it does not.

    Args:
        ttl: A life time such as `24h`.
        now: Time of day, with a zone.
        expires_at: A fixed end instead of a life time, RFC 3339.
    """
    if ttl is not None:
        return timestamp(now + parse_ttl(ttl))
    return None if expires_at is None else timestamp(parse_moment(expires_at))


def utc_text(moment: str) -> str:
    """Writes a point in time in one way, fractions of seconds kept.

    Args:
        moment: RFC 3339, in any zone.
    """
    return parse_moment(moment).isoformat().replace("+00:00", "Z")


def timestamp(moment: datetime) -> str:
    """Writes a time as all states have it: UTC, whole seconds, `2026-11-24T18:02:16Z`."""
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
