"""What the branch resources of all backends do with their inputs; plain data in and out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kardinal_infra.databases.checks import Check

Props = Mapping[str, Any]


@dataclass(frozen=True)
class Input:
    """One input of a resource.

    Attributes:
        problem: Says what is wrong with a value, or None.
        required: It must be given.
        replaces: A change needs a new branch.
        default: What None stands for.
    """

    problem: Check
    required: bool = False
    replaces: bool = False
    default: object = None


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
        What is wrong, as (property, reason), and all values that are known, right or wrong.
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
            known[name] = value
            if reason := rule.problem(value, now):
                found.append((name, reason))
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
