"""Changes of headers, as both dialects write them.

Each is under `set`, `add` or `remove`. What is to be removed is a list of names in both; the values of the
other two are a list of `{name, value}` in the Gateway API, and a mapping in Istio.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Changes = Mapping[str, Any]


def named_in(changes: Changes, *actions: str) -> frozenset[str]:
    """Returns the headers that changes are about, in lower case.

    Args:
        changes: Of a filter, or of a rule or destination of a VirtualService.
        actions: Which of them count.
    """
    return frozenset(_name(item) for action in actions for item in changes.get(action) or ())


def value_of(changes: Changes, action: str, header: str) -> str | None:
    """Returns the value that changes give a header; None when they do not touch it.

    Args:
        changes: As for `named_in`.
        action: `set` or `add`.
        header: Its name, in lower case.
    """
    items = changes.get(action) or ()
    for item in items:
        if _name(item) == header:
            return str(items[item] if isinstance(items, Mapping) else item["value"])
    return None


def without(changes: Changes, header: str, *actions: str) -> dict[str, Any]:
    """Takes out what changes do to one header.

    Args:
        changes: As for `named_in`.
        header: Its name, in lower case.
        actions: What is taken out; default: everything.

    Returns:
        New changes, without empty parts.
    """
    result: dict[str, Any] = {}
    for action, items in changes.items():
        if actions and action not in actions:
            result[action] = items
        elif isinstance(items, Mapping):
            result[action] = {name: value for name, value in items.items() if name.lower() != header}
        else:
            result[action] = [item for item in items or () if _name(item) != header]
    return {action: items for action, items in result.items() if items}


def _name(item: Any) -> str:
    return str(item["name"] if isinstance(item, Mapping) else item).lower()
