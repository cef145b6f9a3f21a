"""The inputs and outputs of a Neon branch resource: names, offline checks and what a change means.

Everything here is plain data in and out; nothing asks Neon, because previews call it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kardinal_infra.config.ttl import parse_ttl
from kardinal_infra.databases.neon.settings import normal_host
from kardinal_infra.databases.neon.spec import BranchSpec
from kardinal_infra.databases.neon.ttl import is_due
from kardinal_infra.errors import NeonSettingsError
from kardinal_infra.names import branch_name_problem

Props = Mapping[str, Any]

OUTPUTS = (
    "branch_id",
    "branch_name",
    "project_id",
    "parent_id",
    "parent_lsn",
    "endpoint_id",
    "host",
    "port",
    "password",
    "uri",
    "pooled_uri",
    "expires_at",
    "adopted",
)
"""What the provider adds to the inputs. `database` and `role` are inputs that are read as outputs too."""

SECRET_OUTPUTS = ("password", "uri", "pooled_uri")

LONGEST_IDENTIFIER = 63
"""Bytes of a PostgreSQL identifier."""


def _text(value: object) -> str | None:
    return None if isinstance(value, str) and value.strip() else "must be a non-empty text"


def _boolean(value: object) -> str | None:
    return None if isinstance(value, bool) else "must be true or false"


def _identifier(value: object) -> str | None:
    problem = _text(value)
    if problem is None and len(str(value).encode()) > LONGEST_IDENTIFIER:
        return f"is longer than the {LONGEST_IDENTIFIER} bytes that PostgreSQL allows"
    return problem


def _branch_name(value: object) -> str | None:
    return _text(value) or branch_name_problem(str(value))


def _ttl(value: object) -> str | None:
    if not isinstance(value, str):
        return "must be a duration such as 24h or 7d"
    try:
        parse_ttl(value)
    except ValueError as error:
        return str(error)
    return None


def _host(value: object) -> str | None:
    try:
        normal_host(str(value))
    except NeonSettingsError as error:
        return str(error)
    return None


def _annotations(value: object) -> str | None:
    if not isinstance(value, Mapping) or not value:
        return "must be a mapping of text to text with at least one entry: it is how we know our own branches"
    wrong = sorted(str(key) for key, item in value.items() if not (isinstance(item, str) and item))
    return f"must hold non-empty texts only, which is not so for {', '.join(wrong)}" if wrong else None


@dataclass(frozen=True)
class Input:
    """One input of the resource.

    Attributes:
        problem: Says what is wrong with a value, or None.
        required: It must be given.
        replaces: A change needs a new branch.
    """

    problem: Callable[[object], str | None]
    required: bool = False
    replaces: bool = False


INPUTS: dict[str, Input] = {
    "project": Input(_text, required=True, replaces=True),
    "name": Input(_branch_name, required=True),
    "parent": Input(_text, replaces=True),
    "database": Input(_identifier, required=True),
    "role": Input(_identifier, required=True),
    # Neon sets annotations at creation only.
    "annotations": Input(_annotations, required=True, replaces=True),
    "ttl": Input(_ttl),
    "protected": Input(_boolean),
    "rotate_password": Input(_boolean),
    "delete_children": Input(_boolean),
    "api_host": Input(_host, replaces=True),
}


def problems(props: Props, unknown: Callable[[object], bool]) -> list[tuple[str, str]]:
    """Lists everything that is wrong with the inputs, as (property, reason).

    Args:
        props: The inputs; what is not known before the update is skipped.
        unknown: Tells values that are not known yet.
    """
    found: list[tuple[str, str]] = []
    for name in sorted(set(props) - set(INPUTS) - set(OUTPUTS) - {"__provider"}):
        found.append((name, f"is no input of a Neon branch; there are {', '.join(INPUTS)}"))
    for name, rule in INPUTS.items():
        value = props.get(name)
        if value is None:
            if rule.required:
                found.append((name, "is required"))
        elif not unknown(value) and (reason := rule.problem(value)):
            found.append((name, reason))
    if props.get("protected") is True and props.get("ttl") is not None:
        found.append(("ttl", "cannot be set on a protected branch: Neon lets those never expire"))
    if props.get("parent") is not None and props.get("parent") == props.get("name"):
        found.append(("parent", "cannot be the branch itself"))
    return found


def changed(olds: Props, news: Props, now: datetime) -> list[str]:
    """Lists the properties that an update has to bring into effect; empty when there is nothing to do.

    A TTL that is more than half over counts as changed, so that `pulumi up` keeps a flow alive that is worked
    with; an expired one too. What was found missing by a refresh (compute, URI) is to be made again.

    Args:
        olds: State: inputs and outputs of the last update or refresh.
        news: Wanted inputs.
        now: Time of day.
    """
    found = [name for name in INPUTS if not _same(name, olds, news)]
    ttl, expires_at = news.get("ttl"), olds.get("expires_at")
    if isinstance(ttl, str) and "ttl" not in found and expires_at and is_due(ttl, expires_at, now):
        found.append("ttl")
    found.extend(name for name in ("endpoint_id", "uri") if olds.get(name) is None)
    return found


def replacing(olds: Props, changes: list[str], unknown_names: set[str], now: datetime) -> list[str]:
    """Lists the changes that need a new branch.

    Args:
        olds: State.
        changes: What `changed` found.
        unknown_names: Inputs not known yet: whether those need a new branch shows at the update.
        now: Time of day.
    """
    found = [
        name for name in changes if name in INPUTS and INPUTS[name].replaces and name not in unknown_names
    ]
    expires_at = olds.get("expires_at")
    if expires_at and datetime.fromisoformat(expires_at) <= now:
        # Neon has deleted it or is about to: it cannot be renewed any more.
        found.append("expires_at")
    return found


def spec(props: Props) -> BranchSpec:
    """Turns checked inputs into what is wanted of Neon."""
    return BranchSpec(
        project=props["project"],
        name=props["name"],
        database=props["database"],
        role=props["role"],
        annotations=dict(props["annotations"]),
        parent=props.get("parent"),
        ttl=props.get("ttl"),
        protected=bool(props.get("protected", False)),
        rotate_password=bool(props.get("rotate_password", True)),
    )


_DEFAULTS: dict[str, Any] = {"protected": False, "rotate_password": True, "delete_children": False}

# A project and a parent may be named by id or by name: the state knows both.
_SYNONYMS = {"project": "project_id", "parent": "parent_id"}


def _same(name: str, olds: Props, news: Props) -> bool:
    default = _DEFAULTS.get(name)
    old, new = (default if props.get(name) is None else props[name] for props in (olds, news))
    return old == new or (name in _SYNONYMS and new is not None and new == olds.get(_SYNONYMS[name]))
