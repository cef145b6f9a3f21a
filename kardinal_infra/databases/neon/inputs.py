"""The inputs and outputs of a Neon branch resource: names, offline checks and what a change means.

Everything here is plain data in and out; nothing asks Neon, because previews call it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from kardinal_infra.databases import branch_inputs
from kardinal_infra.databases.branch_inputs import Input, Props
from kardinal_infra.databases.neon.compute import size_of
from kardinal_infra.databases.neon.errors import NeonSettingsError
from kardinal_infra.databases.neon.models import Endpoint
from kardinal_infra.databases.neon.names import branch_name
from kardinal_infra.databases.neon.settings import normal_host
from kardinal_infra.databases.neon.spec import BranchSpec, Former, api_rule, api_size
from kardinal_infra.databases.ttl import is_due
from kardinal_infra.model.branch_rules import NEVER, combination_problems, parse_moment
from kardinal_infra.model.durations import parse_ttl

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
    "role_passwords",
    "adopted",
)
"""What the provider adds to the inputs. `database` and `role` are inputs that are read as outputs too;
`expires_at` is an input when there is no `ttl`, `parent_lsn` when it is given; both are always outputs."""

SECRET_OUTPUTS = ("password", "uri", "pooled_uri", "role_passwords")
"""What the engine itself would keep in clear (docs/facts/pulumi.md#outputs-are-not-secret-by-themselves)."""


def _host(value: object, _now: datetime) -> str | None:
    try:
        normal_host(str(value))
    except NeonSettingsError as error:
        return str(error)
    return None


COMPUTE_FIELDS = {
    "min_units": "autoscaling_limit_min_cu",
    "max_units": "autoscaling_limit_max_cu",
    "suspend_after": "suspend_timeout_seconds",
}
"""Parts of the input `compute`, and what Neon's API calls them."""

LONGEST_LIFE = timedelta(days=30)
"""Neon's limit for the end of a branch (neon.com/docs/guides/branch-expiration)."""


def _life(value: object, _now: datetime) -> str | None:
    if parse_ttl(str(value)) > LONGEST_LIFE:
        return f'life time "{value}" must be at most {LONGEST_LIFE.days}d'
    return None


def _end(value: object, now: datetime) -> str | None:
    if parse_moment(str(value)) - now > LONGEST_LIFE:
        return f'"{value}" is more than {LONGEST_LIFE.days} days ahead: choose an earlier time'
    return None


INPUTS: dict[str, Input] = branch_inputs.declared(
    # Neon sets annotations at creation only.
    replaces={"project", "annotations", "api_host"},
    more={"name": branch_name, "ttl": _life, "expires_at": _end, "api_host": _host},
)


def problems(props: Props, unknown: Callable[[object], bool], now: datetime) -> list[tuple[str, str]]:
    """Lists everything that is wrong with the inputs, as (property, reason).

    Args:
        props: The inputs; what is not known before the update is skipped.
        unknown: Tells values that are not known yet.
        now: Time of day.
    """
    found, known = branch_inputs.single_problems(INPUTS, OUTPUTS, "Neon branch", props, unknown, now)
    together = ("init", "masking_rules")
    if not all(name in known or props.get(name) is None for name in together):
        # One is unreadable or not known yet: whether they go together is not known either.
        known |= dict.fromkeys(together)
    found.extend(combination_problems(known))
    if known.get("parent") is not None and known["parent"] == known.get("name"):
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
    # These two are outputs as well, whose change is none of the user's.
    outputs_only = {"expires_at"} if news.get("ttl") is not None else set()
    outputs_only |= {"parent_lsn"} if news.get("parent_lsn") is None else set()
    found = [name for name in INPUTS if name not in outputs_only and not _same(name, olds, news)]
    ttl, expires_at = news.get("ttl"), olds.get("expires_at")
    if isinstance(ttl, str) and "ttl" not in found and expires_at and is_due(ttl, expires_at, now):
        found.append("ttl")
    found.extend(name for name in ("endpoint_id", "uri") if olds.get(name) is None)
    return found


def spec(props: Props) -> BranchSpec:
    """Turns checked inputs into what is wanted of Neon."""
    given = {name: props[name] for name in INPUTS if props.get(name) is not None}
    if "ttl" in given:
        # Then it is an output only.
        given.pop("expires_at", None)
    return BranchSpec.model_validate(given)


def former(olds: Props) -> Former:
    """Returns what an update may have to undo.

    Args:
        olds: State.
    """
    return Former(
        compute=frozenset(COMPUTE_FIELDS[name] for name in olds.get("compute") or ()),
        databases=frozenset(olds.get("databases") or ()),
        roles=frozenset(olds.get("roles") or ()),
    )


def drifted_compute(props: Props, endpoint: Endpoint) -> dict[str, Any]:
    """Returns the input `compute` with what a compute has instead; None stands for the project's default.

    Args:
        props: State.
        endpoint: The compute.
    """
    drifted = dict(props["compute"])
    wanted = size_of(spec(props).size)
    for name, field in COMPUTE_FIELDS.items():
        present = getattr(endpoint, field)
        if field in wanted and present != wanted[field]:
            drifted[name] = _idle_text(present) if name == "suspend_after" else present
    return drifted


def _idle_text(seconds: int | None) -> str | None:
    if not seconds:
        return None
    if seconds < 0:
        return NEVER
    return f"{seconds}s" if seconds % 60 else f"{seconds // 60}m"


_FORMS: dict[str, Callable[[Any, Props], Any]] = {
    "init": lambda init, _props: None if init == "data" else init,
    "masking_rules": lambda rules, props: sorted(repr(api_rule(rule, props["database"])) for rule in rules),
    "roles": lambda roles, _props: sorted(roles),
    "compute": lambda compute, _props: size_of(api_size(compute)),
    "parent_timestamp": lambda text, _props: parse_moment(text),
    "parent_lsn": lambda text, _props: text.upper(),
    "expires_at": lambda text, _props: parse_moment(text).replace(microsecond=0),
}
"""Options that can be written in several ways, in one form in which they are compared."""

# A project and a parent may be named by id or by name: the state knows both.
_SYNONYMS = {"project": "project_id", "parent": "parent_id"}


def _same(name: str, olds: Props, news: Props) -> bool:
    old, new = (_normal(name, props) for props in (olds, news))
    return bool(old == new) or (name in _SYNONYMS and new is not None and new == olds.get(_SYNONYMS[name]))


def _normal(name: str, props: Props) -> Any:
    """A value in the one form in which it is compared."""
    default = INPUTS[name].default
    value = branch_inputs.typed(INPUTS, name, props)
    try:
        value = _FORMS[name](value, props) if value and name in _FORMS else value
    except (ValueError, TypeError, AttributeError):
        # Not known yet, as a whole or in parts.
        return value
    # Nothing said, false, and an empty list are the same where that is the default.
    return value or default
