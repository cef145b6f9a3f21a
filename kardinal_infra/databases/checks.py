"""What is wrong with single inputs of a branch, whichever backend; plain data in, one sentence out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TypeGuard, get_args

from kardinal_infra.config.branch_rules import (
    compute_problems,
    expiry_problem,
    identifier_problem,
    lsn_problem,
    past_problem,
    rule_problem,
)
from kardinal_infra.config.ttl import parse_ttl
from kardinal_infra.databases.request import BranchInit

Check = Callable[[object, datetime], str | None]
"""Says what is wrong with a value at a time of day, or None."""

_RULE_FIELDS = ("table", "column", "schema", "database", "function", "value")
_COMPUTE_FIELDS = ("min_units", "max_units", "suspend_after")


def text(value: object, _now: datetime) -> str | None:
    """Any text that is not empty."""
    return None if isinstance(value, str) and value.strip() else "must be a non-empty text"


def boolean(value: object, _now: datetime) -> str | None:
    """True or false."""
    return None if isinstance(value, bool) else "must be true or false"


def identifier(value: object, _now: datetime) -> str | None:
    """Name of a database or role."""
    return identifier_problem(value) if isinstance(value, str) else "must be a non-empty text"


def branch_name(value: object, now: datetime) -> str | None:
    """Name of a branch."""
    if problem := text(value, now):
        return problem
    name = str(value)
    if name != name.strip() or not name.isprintable():
        return "a branch name must not have white space at its ends or unprintable characters"
    return None


def ttl(value: object, _now: datetime) -> str | None:
    """A life time."""
    if not isinstance(value, str):
        return "must be a duration such as 24h or 7d"
    try:
        parse_ttl(value)
    except ValueError as error:
        return str(error)
    return None


def expires_at(value: object, now: datetime) -> str | None:
    """The end of a branch."""
    return text(value, now) or expiry_problem(str(value), now)


def parent_timestamp(value: object, now: datetime) -> str | None:
    """A moment to branch from."""
    return text(value, now) or past_problem(str(value), now)


def parent_lsn(value: object, now: datetime) -> str | None:
    """A position to branch from."""
    return text(value, now) or lsn_problem(str(value))


def marks(value: object, _now: datetime) -> str | None:
    """Marks of ownership."""
    if not isinstance(value, Mapping) or not value:
        return "must be a mapping of text to text with at least one entry: it is how we know our own branches"
    wrong = sorted(str(key) for key, item in value.items() if not (isinstance(item, str) and item))
    return f"must hold non-empty texts only, which is not so for {', '.join(wrong)}" if wrong else None


def init(value: object, _now: datetime) -> str | None:
    """What a branch holds at first."""
    known = get_args(BranchInit)
    return None if value in known else f"must be one of {', '.join(known)}"


def masking_rules(value: object, _now: datetime) -> str | None:
    """Columns to mask."""
    if not _is_list(value):
        return "must be a list of rules like {'table': 'users', 'column': 'email', 'function': ...}"
    for number, rule in enumerate(value, 1):
        if problem := _rule(rule):
            return f"rule {number}: {problem}"
    return None


def compute(value: object, _now: datetime) -> str | None:
    """Size of a compute."""
    if not isinstance(value, Mapping):
        return f"must be a mapping of {', '.join(_COMPUTE_FIELDS)}"
    if unknown := sorted(set(value) - set(_COMPUTE_FIELDS)):
        return f"{', '.join(unknown)}: there are only {', '.join(_COMPUTE_FIELDS)}"
    for name in ("min_units", "max_units"):
        units = value.get(name)
        if units is not None and (isinstance(units, bool) or not isinstance(units, int | float)):
            return f"{name} must be a number of compute units"
    if not isinstance(value.get("suspend_after"), str | None):
        return "suspend_after must be a text like 5m or never"
    return "; ".join(compute_problems(value)) or None


def databases(value: object, now: datetime) -> str | None:
    """Further databases."""
    if not isinstance(value, Mapping):
        return "must be a mapping of database name to owner role"
    for name, owner in value.items():
        for what, item in ((f"{name!r}", name), (f"the owner of {name!r}", owner)):
            if problem := identifier(item, now):
                return f"{what} {problem}"
    return None


def roles(value: object, now: datetime) -> str | None:
    """Further roles."""
    if not _is_list(value):
        return "must be a list of role names"
    return next((f"{item!r} {problem}" for item in value if (problem := identifier(item, now))), None)


def _rule(rule: object) -> str | None:
    if not isinstance(rule, Mapping):
        return f"must be a mapping of {', '.join(_RULE_FIELDS)}"
    if unknown := sorted(set(rule) - set(_RULE_FIELDS)):
        return f"{', '.join(unknown)}: there are only {', '.join(_RULE_FIELDS)}"
    if missing := [name for name in ("table", "column") if rule.get(name) is None]:
        return f"{' and '.join(missing)} required"
    wrong = [name for name, item in rule.items() if not isinstance(item, str | None)]
    return f"{', '.join(wrong)} must be a text" if wrong else rule_problem(rule)


def _is_list(value: object) -> TypeGuard[Sequence[object]]:
    return isinstance(value, Sequence) and not isinstance(value, str)
