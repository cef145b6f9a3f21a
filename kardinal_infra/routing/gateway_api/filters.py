"""What a copied rule's filters become.

A filter of the baseline may do what a flow's requests must not suffer: change the routing header, or send a
copy of every request to a service of production's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import deepcopy
from typing import Any

from kardinal_infra.names import HEADER_FLOW

Retarget = Callable[[Mapping[str, Any]], dict[str, Any] | None]
"""From a backendRef to the one that a flow's requests may go to instead; None: to none."""

REQUEST_HEADERS = "RequestHeaderModifier"
RESPONSE_HEADERS = "ResponseHeaderModifier"
MIRROR = "RequestMirror"


def for_flow(filters: Iterable[Mapping[str, Any]], mirrored: Retarget) -> list[dict[str, Any]]:
    """Makes the filters of a copied rule.

    Args:
        filters: The baseline's, of a rule or of a backend.
        mirrored: Says where a mirror's requests go instead. A mirror without a target is left out: nobody
            waits for its answer, so nothing of the flow is lost, and production's services are not sent
            requests of a flow behind its back.

    Returns:
        Copies, in their order; whatever they did to the routing header is left out.
    """
    result: list[dict[str, Any]] = []
    for item in filters:
        copy = deepcopy(dict(item))
        if copy.get("type") == REQUEST_HEADERS:
            modifier = without_header(copy.get("requestHeaderModifier") or {}, HEADER_FLOW)
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
    filters: Sequence[Mapping[str, Any]], kind: str, action: str, entry: Any
) -> list[dict[str, Any]]:
    """Adds a header change to a rule's filters; each kind of filter may be in a rule only once.

    Args:
        filters: The rule's filters.
        kind: `RequestHeaderModifier` or `ResponseHeaderModifier`.
        action: `set`, `add` or `remove`.
        entry: `{name, value}`, for `remove` the name.

    Returns:
        New filters. Whatever they did with this header before is dropped.
    """
    field = kind[0].lower() + kind[1:]
    result: list[dict[str, Any]] = []
    merged: dict[str, Any] = {}
    for item in filters:
        if item.get("type") == kind:
            merged = without_header(item.get(field) or {}, _header_name(entry))
        else:
            result.append(dict(item))
    merged[action] = [*merged.get(action, ()), entry]
    return [*result, {"type": kind, field: merged}]


def without_header(modifier: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Removes everything that a header modifier does to one header.

    Args:
        modifier: With the lists `set`, `add` and `remove`.
        name: Name of the header, in lower case.

    Returns:
        A new modifier, without empty lists.
    """
    return {
        action: kept
        for action, entries in modifier.items()
        if (kept := [entry for entry in entries or () if _header_name(entry) != name])
    }


def _header_name(entry: Any) -> str:
    return str(entry["name"] if isinstance(entry, Mapping) else entry).lower()
