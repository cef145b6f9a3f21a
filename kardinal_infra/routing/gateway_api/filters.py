"""What a copied rule's filters become.

A filter of the baseline may do what a flow's requests must not suffer: change the key, or send a
copy of every request to a service of production's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Any

from kardinal_infra.routing.headers import without
from kardinal_infra.routing.key import Key

Retarget = Callable[[Mapping[str, Any]], dict[str, Any] | None]
"""From a backendRef to the one that a flow's requests may go to instead; None: to none."""

REQUEST_HEADERS = "RequestHeaderModifier"
RESPONSE_HEADERS = "ResponseHeaderModifier"
MIRROR = "RequestMirror"


def for_flow(filters: Iterable[Mapping[str, Any]], key: Key, mirrored: Retarget) -> list[dict[str, Any]]:
    """Makes the filters of a copied rule.

    Args:
        filters: The baseline's, of a rule or of a backend.
        key: What carries the flow.
        mirrored: Says where a mirror's requests go instead. A mirror without a target is left out: nobody
            waits for its answer, so nothing of the flow is lost, and production's services are not sent
            requests of a flow behind its back.

    Returns:
        Copies, in their order; whatever they did to the key is left out.
    """
    result: list[dict[str, Any]] = []
    for item in filters:
        copy = deepcopy(dict(item))
        if copy.get("type") == REQUEST_HEADERS:
            modifier = key.left_alone(copy.get("requestHeaderModifier") or {})
            if not modifier:
                continue
            copy["requestHeaderModifier"] = modifier
        elif copy.get("type") == MIRROR:
            target = mirrored(copy["requestMirror"]["backendRef"])
            if target is None:
                continue
            copy["requestMirror"]["backendRef"] = target
        result.append(copy)
    return result


def merge_filter(
    filters: Sequence[Mapping[str, Any]], kind: str, action: str, change: Any
) -> list[dict[str, Any]]:
    """Adds a header change to a rule's filters; each kind of filter may be in a rule only once.

    Args:
        filters: The rule's filters.
        kind: `RequestHeaderModifier` or `ResponseHeaderModifier`.
        action: `set`, `add` or `remove`.
        change: `{name, value}`, for `remove` the name.

    Returns:
        New filters. Whatever they did with this header before is dropped.
    """
    field = kind[0].lower() + kind[1:]
    header = str(change["name"] if isinstance(change, Mapping) else change).lower()
    result: list[dict[str, Any]] = []
    merged: dict[str, Any] = {}
    for item in filters:
        if item.get("type") == kind:
            merged = without(item.get(field) or {}, header)
        else:
            result.append(dict(item))
    merged[action] = [*merged.get(action, ()), change]
    return [*result, {"type": kind, field: merged}]


def changes_of(item: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yields what a rule's or a backend's own filters do to the headers of requests.

    Args:
        item: The rule or the backend.
    """
    for found in item.get("filters") or ():
        if found.get("type") == REQUEST_HEADERS:
            yield found.get("requestHeaderModifier") or {}
