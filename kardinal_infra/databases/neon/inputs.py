"""The inputs and outputs of a Neon branch resource: names, offline checks and what a change means.

Everything here is plain data in and out; nothing asks Neon, because previews call it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from kardinal_infra.config.branch_rules import NEVER, combination_problems, parse_moment, suspend_seconds
from kardinal_infra.databases import branch_inputs, checks
from kardinal_infra.databases.branch_inputs import Input, Props
from kardinal_infra.databases.neon.compute import size_of
from kardinal_infra.databases.neon.errors import NeonSettingsError
from kardinal_infra.databases.neon.models import Endpoint, EndpointOptions, MaskingRule
from kardinal_infra.databases.neon.names import branch_name
from kardinal_infra.databases.neon.settings import normal_host
from kardinal_infra.databases.neon.spec import BranchSpec, Former
from kardinal_infra.databases.ttl import is_due

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

_WITH_PARTS = frozenset({"masking_rules", "compute", "databases", "roles"})

INPUTS: dict[str, Input] = {
    "project": Input(checks.text, required=True, replaces=True),
    "name": Input(branch_name, required=True),
    "parent": Input(checks.text, replaces=True),
    "parent_timestamp": Input(checks.parent_timestamp, replaces=True),
    "parent_lsn": Input(checks.parent_lsn, replaces=True),
    "init": Input(checks.init, replaces=True, default="data"),
    # A branch is masked once: other rules need the unmasked data again.
    "masking_rules": Input(checks.masking_rules, replaces=True, default=[]),
    "database": Input(checks.identifier, required=True),
    "role": Input(checks.identifier, required=True),
    # Neon sets annotations at creation only.
    "annotations": Input(checks.marks, required=True, replaces=True),
    "ttl": Input(checks.ttl),
    "expires_at": Input(checks.expires_at),
    "protected": Input(checks.boolean, default=False),
    "compute": Input(checks.compute, default={}),
    "databases": Input(checks.databases, default={}),
    "roles": Input(checks.roles, default=[]),
    "rotate_password": Input(checks.boolean, default=True),
    "delete_children": Input(checks.boolean, default=False),
    "api_host": Input(_host, replaces=True),
}


def problems(props: Props, unknown: Callable[[object], bool], now: datetime) -> list[tuple[str, str]]:
    """Lists everything that is wrong with the inputs, as (property, reason).

    Args:
        props: The inputs; what is not known before the update is skipped.
        unknown: Tells values that are not known yet.
        now: Time of day.
    """
    found, known = branch_inputs.single_problems(INPUTS, OUTPUTS, "Neon branch", props, unknown, now)
    wrong = {name for name, _ in found}
    # What has no readable parts cannot be held against anything else.
    usable = {name: value for name, value in known.items() if name not in wrong & _WITH_PARTS}
    together = ("init", "masking_rules")
    if not all(name in usable or props.get(name) is None for name in together):
        # One is unreadable or not known yet: whether they go together is not known either.
        usable |= dict.fromkeys(together)
    found.extend(combination_problems(usable))
    if usable.get("parent") is not None and usable["parent"] == usable.get("name"):
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
    ttl = props.get("ttl")
    return BranchSpec(
        project=props["project"],
        name=props["name"],
        database=props["database"],
        role=props["role"],
        annotations=dict(props["annotations"]),
        parent=props.get("parent"),
        ttl=ttl,
        protected=bool(props.get("protected", False)),
        rotate_password=bool(props.get("rotate_password", True)),
        init=props.get("init") or "data",
        masking_rules=_rules(props),
        parent_timestamp=props.get("parent_timestamp"),
        parent_lsn=props.get("parent_lsn"),
        expires_at=None if ttl else props.get("expires_at"),
        compute=_compute(props),
        databases=dict(props.get("databases") or {}),
        roles=tuple(props.get("roles") or ()),
    )


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
    wanted = size_of(_compute(props))
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


def _rules(props: Props) -> tuple[MaskingRule, ...]:
    return tuple(
        MaskingRule(
            database_name=rule.get("database") or props["database"],
            schema_name=rule.get("schema") or "public",
            table_name=rule["table"],
            column_name=rule["column"],
            masking_function=rule.get("function"),
            masking_value=rule.get("value"),
        )
        for rule in props.get("masking_rules") or ()
    )


def _compute(props: Props) -> EndpointOptions:
    given = props.get("compute") or {}
    pause = given.get("suspend_after")
    return EndpointOptions(
        autoscaling_limit_min_cu=given.get("min_units"),
        autoscaling_limit_max_cu=given.get("max_units"),
        suspend_timeout_seconds=None if pause is None else suspend_seconds(pause),
    )


_FORMS: dict[str, Callable[[Props], Any]] = {
    "masking_rules": lambda props: sorted(map(repr, _rules(props))),
    "roles": lambda props: sorted(props["roles"]),
    "compute": lambda props: size_of(_compute(props)),
    "parent_timestamp": lambda props: parse_moment(props["parent_timestamp"]),
    "parent_lsn": lambda props: props["parent_lsn"].upper(),
    "expires_at": lambda props: parse_moment(props["expires_at"]).replace(microsecond=0),
}

# A project and a parent may be named by id or by name: the state knows both.
_SYNONYMS = {"project": "project_id", "parent": "parent_id"}


def _same(name: str, olds: Props, news: Props) -> bool:
    old, new = (_normal(name, props) for props in (olds, news))
    return bool(old == new) or (name in _SYNONYMS and new is not None and new == olds.get(_SYNONYMS[name]))


def _normal(name: str, props: Props) -> Any:
    """A value in the one form in which it is compared."""
    value = props.get(name)
    default = INPUTS[name].default
    if value is None or value == default:
        return default
    try:
        return _FORMS[name](props) if name in _FORMS else value
    except (ValueError, TypeError, AttributeError):
        # Not known yet, as a whole or in parts.
        return value
