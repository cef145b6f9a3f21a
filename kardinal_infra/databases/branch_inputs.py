"""What the branch resources of all backends do with their inputs; plain data in and out."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, cast

from pydantic import TypeAdapter, ValidationError

from kardinal_infra.config.reading import dotted, sentence
from kardinal_infra.databases.request import BranchRequest
from kardinal_infra.model.branch_options import option_of

Props = Mapping[str, Any]

Check = Callable[[object, datetime], str | None]
"""Says what is wrong with a value at a time of day, or None."""


def _as_it_is(value: object) -> Any:
    return value


@dataclass(frozen=True)
class Input:
    """One input of a resource.

    Attributes:
        problem: Says what is wrong with a value, or None.
        required: It must be given.
        replaces: A change needs a new branch.
        default: What None stands for.
        parse: Gives a value without a problem its type.
    """

    problem: Check
    required: bool = False
    replaces: bool = False
    default: object = None
    parse: Callable[[object], Any] = _as_it_is


def declared(
    names: Iterable[str] = BranchRequest.model_fields,
    *,
    replaces: Collection[str] = (),
    more: Mapping[str, Check] | None = None,
) -> dict[str, Input]:
    """Makes the inputs of a resource from what a request can ask for: types, checks and defaults.

    Args:
        names: What the resource takes.
        replaces: What needs a new branch when it changes, besides what always does.
        more: Further checks of this resource, of values that are right otherwise.
    """
    found = {name: _input(name, (more or {}).get(name)) for name in names}
    return {name: replace(item, replaces=True) if name in replaces else item for name, item in found.items()}


def _input(name: str, more: Check | None) -> Input:
    info, option = BranchRequest.model_fields[name], option_of(BranchRequest, name)
    adapter = TypeAdapter[Any](cast("Any", info.annotation))

    def parse(value: object) -> Any:
        # As JSON: there a list is a tuple, and nothing else is taken for what it is not.
        return adapter.validate_json(json.dumps(value), strict=True)

    def problem(value: object, now: datetime) -> str | None:
        try:
            typed = parse(value)
        except ValidationError as error:
            return "; ".join(_told(item["loc"], sentence(item)) for item in error.errors())
        wrong = [_told(location, message) for location, message in option.check(typed, now, str)]
        if wrong:
            return "; ".join(wrong)
        return more(value, now) if more else None

    # The owner is always among the annotations.
    required = info.is_required() or name == "annotations"
    default = None if info.is_required() else info.get_default(call_default_factory=True)
    return Input(problem, required, option.replaces, default, parse)


def _told(location: Iterable[str | int], message: str) -> str:
    where = dotted("", list(location)).removeprefix(".")
    return f"{where}: {message}" if where else message


def single_problems(
    declared: Mapping[str, Input],
    outputs: Iterable[str],
    kind: str,
    props: Props,
    unknown: Callable[[object], bool],
    now: datetime,
) -> tuple[list[tuple[str, str]], dict[str, Any]]:
    """Looks at each input by itself.

    Args:
        declared: The resource's inputs.
        outputs: Names that a state has besides.
        kind: What the resource is called in messages.
        props: The inputs; what is not known before the update is skipped.
        unknown: Tells values that are not known yet.
        now: Time of day.

    Returns:
        What is wrong, as (property, reason), and the values that are known and readable, in their types.
    """
    found = [
        (name, f"is no input of a {kind}; there are {', '.join(declared)}")
        for name in sorted(set(props) - set(declared) - set(outputs) - {"__provider"})
    ]
    known: dict[str, Any] = {}
    for name, rule in declared.items():
        value = props.get(name)
        if value is None:
            if rule.required:
                found.append((name, "is required"))
        elif not unknown(value):
            if reason := rule.problem(value, now):
                found.append((name, reason))
            # What cannot even be read cannot be held against anything else.
            with contextlib.suppress(ValueError, TypeError):
                known[name] = rule.parse(value)
    return found, known


def replacing(
    declared: Mapping[str, Input], olds: Props, changes: Iterable[str], unknown_names: set[str], now: datetime
) -> list[str]:
    """Lists the changes that need a new branch.

    Args:
        declared: The resource's inputs.
        olds: State.
        changes: Properties that have changed.
        unknown_names: Inputs not known yet: whether those need a new branch shows at the update.
        now: Time of day.
    """
    found = [
        name for name in changes if name in declared and declared[name].replaces and name not in unknown_names
    ]
    expires_at = olds.get("expires_at")
    if expires_at and datetime.fromisoformat(expires_at) <= now:
        # Whoever cleans up, the backend or `reap`, may take it away at any moment: it cannot be renewed.
        found.append("expires_at")
    return found


def typed(declared: Mapping[str, Input], name: str, props: Props) -> Any:
    """Returns an input in its type, its default where it is not given; as it is when it is not known yet.

    Args:
        declared: The resource's inputs.
        name: Of the input.
        props: State or inputs.
    """
    value = props.get(name)
    if value is None:
        return declared[name].default
    try:
        return declared[name].parse(value)
    except (ValueError, TypeError):
        return value
