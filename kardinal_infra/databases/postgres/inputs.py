"""The inputs and outputs of a branch resource: names, offline checks and what a change means.

Everything here is plain data in and out; nothing asks a server, because previews call it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from kardinal_infra.databases import branch_inputs
from kardinal_infra.databases.branch_inputs import Check, Input, Props
from kardinal_infra.databases.postgres.address import parse_address
from kardinal_infra.databases.postgres.identifiers import identifier
from kardinal_infra.databases.ttl import expiry, is_due
from kardinal_infra.model.branch_rules import combination_problems, parse_moment

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


def _one_of(*known: str) -> Check:
    return lambda value, _now: None if value in known else f"must be one of {', '.join(known)}"


def _address(value: object, _now: datetime) -> str | None:
    try:
        parse_address(str(value))
    except ValueError as error:
        return str(error)
    return None


INPUTS: dict[str, Input] = branch_inputs.declared(
    ("project", "name", "parent", "init", "database", "role", "annotations", "ttl", "expires_at", "protected",
     "delete_children"),
    # A database cannot be renamed while somebody is connected to it.
    replaces={"project", "name", "database", "role"},
    more={"project": _address, "init": _one_of(*INITS)},
) | {
    # How the data came is no matter once they are there.
    "source": Input(_one_of(*SOURCES), default="auto"),
}  # fmt: skip


def problems(props: Props, unknown: Callable[[object], bool], now: datetime) -> list[tuple[str, str]]:
    """Lists everything that is wrong with the inputs, as (property, reason).

    Args:
        props: The inputs; what is not known before the update is skipped.
        unknown: Tells values that are not known yet.
        now: Time of day.
    """
    found, usable = branch_inputs.single_problems(INPUTS, OUTPUTS, "PostgreSQL branch", props, unknown, now)
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
    value = branch_inputs.typed(INPUTS, name, props)
    if name == "init" and value == "data":
        value = None
    if name == "expires_at" and value:
        try:
            return parse_moment(value).replace(microsecond=0)
        except (ValueError, TypeError):
            # Not known yet.
            return value
    # Nothing said and false are the same where that is the default.
    return value or INPUTS[name].default
