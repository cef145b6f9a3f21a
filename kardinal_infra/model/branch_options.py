"""How a database is branched: what a baseline says for all flows, and a flow for itself.

Each option is declared once, as a field of `BranchOptions` with an `Option`: config, plan, requests and the
inputs of the backends' resources are derived from it, under the field's name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field
from pydantic.alias_generators import to_camel

from kardinal_infra.model.base import StrictModel, Text
from kardinal_infra.model.branch_rules import (
    compute_problems,
    identifier_problem,
    lsn_problem,
    past_problem,
    rule_problem,
)
from kardinal_infra.model.durations import parse_ttl

BranchInit = Literal["data", "schema-only", "masked"]
"""What a branch holds at first: the parent's data, its schema only, or its data with some columns masked."""


class MaskingRule(StrictModel):
    """How one column of a masked branch is filled.

    Attributes:
        table: Name of the table.
        column: Name of the column.
        schema_: Schema of the table; written `schema`.
        database: Database of the table; default: the one that is branched.
        function: Masking function of PostgreSQL Anonymizer, e.g. `anon.fake_email()`.
        value: One value for all rows, instead of a function.
    """

    table: Text
    column: Text
    schema_: Text = Field(default="public", alias="schema")
    database: Text | None = None
    function: Text | None = None
    value: Text | None = None


class Compute(StrictModel):
    """How much machine a branch gets; what is not set follows the defaults of the project.

    Attributes:
        min_units: Smallest size in compute units, 0.25 and up.
        max_units: Largest size in compute units.
        suspend_after: Idle time after which it stops, e.g. `5m`, or `never`.
    """

    min_units: float | None = None
    max_units: float | None = None
    suspend_after: Text | None = None


Location = tuple[str | int, ...]
"""Keys and indices below an option."""

Spell = Callable[[str], str]
"""Writes the name of an option as the user does."""

Check = Callable[[Any, datetime | None, Spell], Iterable[tuple[Location, str]]]
"""Lists what is wrong with a value; the time of day is None where it is not known."""


def no_problems(_value: object, _now: datetime | None, _spell: Spell) -> Iterable[tuple[Location, str]]:
    """Any value of the type will do."""
    return ()


@dataclass(frozen=True)
class Option:
    """What there is to know of an option besides its type.

    Attributes:
        cannot: What a backend that does not take the option cannot do, for messages.
        check: Lists what is wrong with a value of the right type.
        replaces: A change needs a new branch, unless a backend can do better.
    """

    cannot: str = ""
    check: Check = no_problems
    replaces: bool = False


def option_of(model: type[StrictModel], name: str) -> Option:
    """Returns what is known of a field.

    Args:
        model: `BranchOptions`, or a model made from it.
        name: Name of the field.
    """
    found = [item for item in model.model_fields[name].metadata if isinstance(item, Option)]
    return found[0] if found else Option()


def config_name(option: str) -> str:
    """Writes the name of an option as a config does.

    Args:
        option: Name of the field.
    """
    info = BranchOptions.model_fields.get(option)
    return str(info.serialization_alias) if info else to_camel(option)


def text_check(problem: Callable[[str], str | None]) -> Check:
    """Makes a check of what says why a text will not do.

    Args:
        problem: Returns a sentence, or None.
    """

    def check(value: str, _now: datetime | None, _spell: Spell) -> Iterator[tuple[Location, str]]:
        if message := problem(value):
            yield (), message

    return check


def ttl_problem(text: str) -> str | None:
    """Says why a text is no life time.

    Args:
        text: The candidate.
    """
    try:
        parse_ttl(text)
    except ValueError as error:
        return str(error)
    return None


def _past(value: str, now: datetime | None, _spell: Spell) -> Iterator[tuple[Location, str]]:
    if message := past_problem(value, now):
        yield (), message


def _rules(
    value: tuple[MaskingRule, ...], _now: datetime | None, _spell: Spell
) -> Iterator[tuple[Location, str]]:
    for index, rule in enumerate(value):
        if message := rule_problem(rule):
            yield (index,), message


def _compute(value: Compute, _now: datetime | None, spell: Spell) -> Iterator[tuple[Location, str]]:
    for message in compute_problems(value, spell):
        yield (), message


def _owners(value: dict[str, str], _now: datetime | None, _spell: Spell) -> Iterator[tuple[Location, str]]:
    for name, owner in value.items():
        for what, text in (("the name", name), ("the owner", owner)):
            if message := identifier_problem(text):
                yield (name,), f"{what} {message}"


def _names(value: tuple[str, ...], _now: datetime | None, _spell: Spell) -> Iterator[tuple[Location, str]]:
    for index, name in enumerate(value):
        if message := identifier_problem(name):
            yield (index,), message


_EARLIER = "branch from an earlier state"


class BranchOptions(StrictModel):
    """What can be said about a branch in the baseline, and otherwise in a flow.

    Attributes:
        init: What it holds at first; default `data`.
        masking_rules: Columns to mask, for `masked`.
        parent_timestamp: Branch from the parent as it was at this time, RFC 3339.
        parent_lsn: Branch from the parent as it was at this log position, instead of a time.
        ttl: Life time, e.g. `7d`; default: until the flow is destroyed.
        protected: Refuse the deletion of the branch.
        compute: Size of its compute.
        databases: Further databases on the branch, owner role by name; written `extraDatabases`, because a
            baseline names the branched database beside them.
        roles: Further roles on the branch; written `extraRoles`.
    """

    init: Annotated[BranchInit | None, Option(replaces=True)] = None
    masking_rules: Annotated[tuple[MaskingRule, ...] | None, Option("mask data", _rules, replaces=True)] = (
        None
    )
    parent_timestamp: Annotated[Text | None, Option(_EARLIER, _past, replaces=True)] = None
    parent_lsn: Annotated[Text | None, Option(_EARLIER, text_check(lsn_problem), replaces=True)] = None
    ttl: Annotated[Text | None, Option("delete branches after a time", text_check(ttl_problem))] = None
    protected: Annotated[bool | None, Option("protect branches")] = None
    compute: Annotated[Compute | None, Option("size the compute of a branch", _compute)] = None
    databases: Annotated[dict[str, Text] | None, Option("make further databases", _owners)] = Field(
        default=None, validation_alias="extraDatabases", serialization_alias="extraDatabases"
    )
    roles: Annotated[tuple[Text, ...] | None, Option("make further roles", _names)] = Field(
        default=None, validation_alias="extraRoles", serialization_alias="extraRoles"
    )

    def overridden_by(self, own: BranchOptions | None) -> BranchOptions:
        """Returns these options with those that a flow sets itself.

        What belongs together is taken together: a flow's own point in time, of whatever form, replaces the
        baseline's, its own `init` other than `masked` drops the baseline's rules, and a branch that a flow
        protects has no life time of the baseline's.

        Args:
            own: The flow's options.
        """
        merged = _given(self)
        if own is not None:
            theirs = _given(own)
            if theirs.keys() & {"parent_timestamp", "parent_lsn"}:
                merged = _without(merged, "parent_timestamp", "parent_lsn")
            if theirs.get("init", "masked") != "masked":
                merged = _without(merged, "masking_rules")
            if theirs.get("protected"):
                merged = _without(merged, "ttl")
            merged |= theirs
        return BranchOptions(**merged)


def _given(options: BranchOptions) -> dict[str, Any]:
    found = {name: getattr(options, name) for name in BranchOptions.model_fields}
    return {name: value for name, value in found.items() if value is not None}


def _without(options: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in options.items() if name not in names}
