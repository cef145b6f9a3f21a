"""What changes between the recorded live object and the new inputs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any

from lab_plugins.common.wire import UNKNOWN
from lab_plugins.kubernetes.normalize import is_built_in, normalize
from lab_plugins.kubernetes.objects import Object
from lab_plugins.kubernetes.property_paths import Path
from lab_plugins.kubernetes.prune import prune
from lab_plugins.kubernetes.state import State

_MISSING = object()


class ChangeKind(Enum):
    """How a value changes."""

    ADD = "add"
    DELETE = "delete"
    UPDATE = "update"


@dataclass(frozen=True)
class Change:
    """One changed value.

    Attributes:
        path: where.
        kind: how.
        value: the new value; None when it goes.
    """

    path: Path
    kind: ChangeKind
    value: Any


def changes(state: State, new_inputs: Object, *, namespaced: bool) -> list[Change]:
    """Compare the recorded live object, cut to the shape of the old inputs, with the new inputs.

    The cluster itself is not asked: what others changed there is seen after a refresh only.

    Args:
        state: the recorded state.
        new_inputs: the new inputs, normalized.
        namespaced: whether objects of the kind live in a namespace.
    """
    old_inputs = normalize(state.inputs)
    old = prune(state.live, old_inputs)
    new = {**new_inputs}
    if new.get("metadata") is UNKNOWN:
        return list(_compare(old, new, old_inputs, (), built_in=is_built_in(str(new.get("apiVersion")))))
    for side in (old, new):
        side["metadata"] = dict(side.get("metadata") or {})
        if namespaced:
            side["metadata"]["namespace"] = side["metadata"].get("namespace") or "default"
        else:
            side["metadata"].pop("namespace", None)
    if new["metadata"].get("name"):
        old["metadata"]["name"] = (state.live.get("metadata") or {}).get("name")
    old.setdefault("apiVersion", new.get("apiVersion"))
    old.setdefault("kind", new.get("kind"))
    return list(_compare(old, new, old_inputs, (), built_in=is_built_in(str(new.get("apiVersion")))))


def _compare(old: Any, new: Any, asked: Any, path: Path, *, built_in: bool) -> Iterator[Change]:
    """Yield the changes from old to new.

    Args:
        old: the live value, `_MISSING` where there is none.
        new: the wanted value, `_MISSING` where there is none.
        asked: what the old inputs asked for here, `_MISSING` where nothing.
        path: where this is.
        built_in: whether the kind belongs to Kubernetes itself.
    """
    if new is _MISSING:
        yield Change(path, ChangeKind.DELETE, None)
    elif old is _MISSING:
        # The server did not keep what was asked for before (an unknown field, an empty value): asking again
        # is no change.
        if new is UNKNOWN or not (new == asked or (built_in and _is_left_out(path, new))):
            yield Change(path, ChangeKind.ADD, new)
    elif isinstance(old, dict) and isinstance(new, dict):
        for key in [*new, *(key for key in old if key not in new)]:
            below = asked.get(key, _MISSING) if isinstance(asked, dict) else _MISSING
            yield from _compare(
                old.get(key, _MISSING), new.get(key, _MISSING), below, (*path, key), built_in=built_in
            )
    elif isinstance(old, list) and isinstance(new, list):
        for index in range(max(len(old), len(new))):
            yield from _compare(
                _at(old, index), _at(new, index), _at(asked, index), (*path, index), built_in=built_in
            )
    elif not _same(old, new):
        yield Change(path, ChangeKind.UPDATE, new)


def _is_left_out(path: Path, value: Any) -> bool:
    """Tell whether the API's own types leave a value out when they are written.

    Empty collections always, and the empty value of an environment variable. Not every zero: a `false` or `0`
    behind a pointer (`automountServiceAccountToken`, `runAsUser`) means something else than its absence.
    """
    return value is None or value in ([], {}) or (value == "" and path[-1:] == ("value",))


def _at(values: Any, index: int) -> Any:
    return values[index] if isinstance(values, list) and index < len(values) else _MISSING


def _same(old: Any, new: Any) -> bool:
    """Tell whether two leaves are equal; True is not 1, but 1 is 1.0."""
    return isinstance(old, bool) == isinstance(new, bool) and old == new
