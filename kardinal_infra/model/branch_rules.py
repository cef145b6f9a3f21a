"""What a branch can be asked for, whoever asks: a baseline, a flow or a resource of its own.

Sources of the limits: neon.com/docs/guides/branch-expiration, neon.com/docs/introduction/autoscaling and the
specification of Neon's API. Options have their names in Python here; `spell` writes them as the user does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from kardinal_infra.model.durations import parse_duration

if TYPE_CHECKING:
    from kardinal_infra.model.branch_options import Compute, MaskingRule

SMALLEST_COMPUTE = 0.25
"""Compute units."""

LONGEST_IDENTIFIER = 63
"""Bytes of a PostgreSQL identifier."""

NEVER = "never"
"""What `suspend_after` says for a compute that never stops."""

_SUSPEND_LIMITS = timedelta(minutes=1), timedelta(days=7)
_LSN = re.compile(r"[0-9A-Fa-f]{1,8}/[0-9A-Fa-f]{1,8}")


def identifier_problem(text: str) -> str | None:
    """Says why a text is no name of a database, role, schema, table or column.

    Args:
        text: The candidate.
    """
    if not text.strip():
        return "must be a non-empty text"
    if len(text.encode()) > LONGEST_IDENTIFIER:
        return f"is longer than the {LONGEST_IDENTIFIER} bytes that PostgreSQL allows"
    return None


def lsn_problem(text: str) -> str | None:
    """Says why a text is no log position.

    Args:
        text: The candidate.
    """
    return None if _LSN.fullmatch(text) else f'"{text}" is not a log position like 0/1DE2850'


def parse_moment(text: str) -> datetime:
    """Reads a point in time.

    Args:
        text: RFC 3339 with a zone, e.g. `2026-11-24T18:02:16Z`.

    Raises:
        ValueError: It is not one; the message says what to write.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = datetime.min
    if moment.tzinfo is None:
        raise ValueError(f'"{text}" is not a time with a zone like 2026-11-24T18:02:16Z')
    return moment.astimezone(UTC)


def past_problem(text: str, now: datetime | None = None) -> str | None:
    """Says why a text is no moment to branch from.

    Args:
        text: The candidate.
        now: Time of day, with a zone; None where it is not known.
    """
    try:
        moment = parse_moment(text)
    except ValueError as error:
        return str(error)
    if now is not None and moment > now:
        return f'"{text}" is in the future: choose an earlier time'
    return None


def expiry_problem(text: str, now: datetime) -> str | None:
    """Says why a text is no time at which a branch can end.

    Args:
        text: The candidate.
        now: Time of day, with a zone.
    """
    try:
        moment = parse_moment(text)
    except ValueError as error:
        return str(error)
    if moment <= now:
        return f'"{text}" is in the past: choose a later time'
    return None


def suspend_seconds(text: str) -> int:
    """Reads an idle time.

    Args:
        text: `never`, or a number and a unit, e.g. `5m` or `2h`.

    Returns:
        Seconds; -1 for never.

    Raises:
        ValueError: It is not one, or outside of 1 minute to 7 days.
    """
    if text == NEVER:
        return -1
    value = parse_duration(text, "an idle time", f"5m, 2h or {NEVER}", "smhd")
    shortest, longest = _SUSPEND_LIMITS
    if not shortest <= value <= longest:
        raise ValueError(f'idle time "{text}" must be at least 1m and at most {longest.days}d, or {NEVER}')
    return int(value.total_seconds())


def compute_problems(compute: Compute, spell: Callable[[str], str] = str) -> Iterator[str]:
    """Yields what is wrong with a compute.

    Args:
        compute: The compute.
        spell: Writes the name of an option as the user does.
    """
    smallest, largest = compute.min_units, compute.max_units
    for name, units in (("min_units", smallest), ("max_units", largest)):
        if units is not None and units < SMALLEST_COMPUTE:
            yield f"{spell(name)} is {units:g}, and the smallest compute has {SMALLEST_COMPUTE} units"
    if smallest is not None and largest is not None and smallest > largest:
        yield (
            f"{spell('min_units')} {smallest:g} is more than {spell('max_units')} {largest:g}: exchange them"
        )
    if compute.suspend_after is not None:
        try:
            suspend_seconds(compute.suspend_after)
        except ValueError as error:
            yield f"{spell('suspend_after')}: {error}"


def rule_problem(rule: MaskingRule) -> str | None:
    """Says what is wrong with one masking rule.

    Args:
        rule: The rule.
    """
    for name, text in (
        ("table", rule.table), ("column", rule.column), ("schema", rule.schema_), ("database", rule.database)
    ):  # fmt: skip
        if text is not None and (problem := identifier_problem(text)):
            return f"{name} {problem}"
    if (rule.function is None) == (rule.value is None):
        return "needs either a function, like anon.fake_email(), or a value"
    if rule.function is not None and not rule.function.strip():
        return "function must be a non-empty text"
    return None


def combination_problems(
    options: Mapping[str, Any], spell: Callable[[str], str] = str
) -> Iterator[tuple[str, str]]:
    """Yields what options say that does not go together, as (option, message).

    Args:
        options: By their names in Python; absent or None where nothing is said.
        spell: Writes the name of an option as the user does.
    """
    rules: Sequence[MaskingRule] = options.get("masking_rules") or ()
    masked = options.get("init") == "masked"
    if masked and not rules:
        yield "masking_rules", 'required for init "masked": name the columns to mask'
    if rules and not masked:
        yield "masking_rules", 'need init "masked": otherwise nothing would be masked'
    yield from _twice("masking_rules", [_column(rule, options.get("database")) for rule in rules], "column")
    if options.get("parent_lsn") is not None and options.get("parent_timestamp") is not None:
        other = spell("parent_timestamp")
        yield "parent_lsn", f"cannot be given together with {other}: both name the moment to branch from"
    if options.get("expires_at") is not None and options.get("ttl") is not None:
        yield "expires_at", f"cannot be given together with {spell('ttl')}: both name the end of the branch"
    for name in ("ttl", "expires_at"):
        if options.get(name) is not None and options.get("protected") is True:
            yield name, "cannot be set on a protected branch: those never expire"
    if options.get("database") in (options.get("databases") or ()):
        yield "databases", f'"{options["database"]}" is the database of the branch itself: leave it out'
    roles: Sequence[str] = options.get("roles") or ()
    if options.get("role") in roles:
        yield "roles", f'"{options["role"]}" is the role of the branch itself: leave it out'
    yield from _twice("roles", roles, "role")


def _column(rule: MaskingRule, database: str | None) -> str:
    where = (rule.database or database, rule.schema_, rule.table, rule.column)
    return ".".join(part for part in where if part is not None)


def _twice(option: str, names: Sequence[str], what: str) -> Iterator[tuple[str, str]]:
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield option, f'{what} "{name}" is listed twice'
