"""The inputs and outputs of a branch resource: names, offline checks and what a change means.

Everything here is plain data in and out; nothing asks a server, because previews call it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kardinal_infra.config.branch_rules import combination_problems, parse_moment
from kardinal_infra.databases.neon import checks
from kardinal_infra.databases.neon.ttl import expiry, is_due
from kardinal_infra.databases.postgres.address import parse_address
from kardinal_infra.databases.postgres.identifiers import identifier

Props = Mapping[str, Any]

OUTPUTS = (
    "branch_id",
    "branch_name",
    "project_id",
    "parent_id",
    "branch_database",
    "branch_role",
    "host",
    "port",
    "password",
    "uri",
    "pooled_uri",
    "expires_at",
    "copied_by",
    "adopted",
)
"""What the provider adds to the inputs. `expires_at` is an input when there is no `ttl`, and always an
output."""

SECRET_OUTPUTS = ("password", "uri", "pooled_uri")

INITS = ("data", "schema-only")
SOURCES = ("auto", "template", "dump")


def _one_of(*known: str) -> checks.Check:
    return lambda value, _now: None if value in known else f"must be one of {', '.join(known)}"


def _address(value: object, now: datetime) -> str | None:
    if problem := checks.text(value, now):
        return problem
    try:
        parse_address(str(value))
    except ValueError as error:
        return str(error)
    return None


@dataclass(frozen=True)
class Input:
    """One input of the resource.

    Attributes:
        problem: Says what is wrong with a value, or None.
        required: It must be given.
        replaces: A change needs a new branch.
        default: What None stands for.
    """

    problem: checks.Check
    required: bool = False
    replaces: bool = False
    default: object = None


INPUTS: dict[str, Input] = {
    "project": Input(_address, required=True, replaces=True),
    # A database cannot be renamed while somebody is connected to it.
    "name": Input(checks.branch_name, required=True, replaces=True),
    "parent": Input(checks.text, replaces=True),
    "init": Input(_one_of(*INITS), replaces=True, default="data"),
    # How the data came is no matter once they are there.
    "source": Input(_one_of(*SOURCES), default="auto"),
    "database": Input(checks.identifier, required=True, replaces=True),
    "role": Input(checks.identifier, required=True, replaces=True),
    "annotations": Input(checks.marks, required=True),
    "ttl": Input(checks.ttl),
    "expires_at": Input(checks.expires_at),
    "protected": Input(checks.boolean, default=False),
    "delete_children": Input(checks.boolean, default=False),
}


def problems(props: Props, unknown: Callable[[object], bool], now: datetime) -> list[tuple[str, str]]:
    """Lists everything that is wrong with the inputs, as (property, reason).

    Args:
        props: The inputs; what is not known before the update is skipped.
        unknown: Tells values that are not known yet.
        now: Time of day.
    """
    found: list[tuple[str, str]] = []
    for name in sorted(set(props) - set(INPUTS) - set(OUTPUTS) - {"__provider"}):
        found.append((name, f"is no input of a PostgreSQL branch; there are {', '.join(INPUTS)}"))
    usable: dict[str, Any] = {}
    for name, rule in INPUTS.items():
        value = props.get(name)
        if value is None:
            if rule.required:
                found.append((name, "is required"))
        elif not unknown(value):
            if reason := rule.problem(value, now):
                found.append((name, reason))
            else:
                usable[name] = value
    found.extend(combination_problems({**usable, "init": None}))
    if "name" in usable and identifier(usable["name"]) in (usable.get("database"), usable.get("parent")):
        found.append(("name", "is the name of the database to copy: choose another"))
    if usable.get("parent") is not None and usable["parent"] == usable.get("name"):
        found.append(("parent", "cannot be the branch itself"))
    if usable.get("init") == "schema-only" and usable.get("source") == "template":
        found.append(
            ("source", 'cannot be "template" for init "schema-only": a template is copied with its data')
        )
    return found


def changed(olds: Props, news: Props, now: datetime) -> list[str]:
    """Lists the properties that an update has to bring into effect; empty when there is nothing to do.

    A TTL that is more than half over counts as changed, so that `pulumi up` keeps a flow alive that is worked
    with; an expired one too.

    Args:
        olds: State: inputs and outputs of the last update or refresh.
        news: Wanted inputs.
        now: Time of day.
    """
    found = [name for name in INPUTS if _normal(name, olds) != _normal(name, news)]
    if news.get("ttl") is not None and "expires_at" in found:
        # Then it is an output only.
        found.remove("expires_at")
    ttl, expires_at = news.get("ttl"), olds.get("expires_at")
    if isinstance(ttl, str) and "ttl" not in found and (not expires_at or is_due(ttl, expires_at, now)):
        found.append("ttl")
    if olds.get("uri") is None:
        found.append("uri")
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
        # Its time is over: whoever cleans up may take it away at any moment.
        found.append("expires_at")
    return found


def end(props: Props, now: datetime) -> str | None:
    """Returns the time at which a branch made or renewed now ends, RFC 3339, or None.

    Args:
        props: Checked inputs.
        now: Time of day.
    """
    ttl = props.get("ttl")
    return expiry(ttl, now, None if ttl else props.get("expires_at"))


def _normal(name: str, props: Props) -> Any:
    """A value in the one form in which it is compared."""
    value = props.get(name)
    if value is None:
        return INPUTS[name].default
    if name == "expires_at":
        try:
            return parse_moment(value).replace(microsecond=0)
        except (ValueError, TypeError):
            # Not known yet.
            return value
    return value
