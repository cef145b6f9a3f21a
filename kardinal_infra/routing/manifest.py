"""The shape of every HTTPRoute that this package makes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from kardinal_infra.names import Owner

API_VERSION = "gateway.networking.k8s.io/v1"

_CONDITION = 'jsonpath={{.status.parents[0].conditions[?(@.type=="{type}")].status}}=True'

WAIT_FOR = json.dumps([_CONDITION.format(type=kind) for kind in ("Accepted", "ResolvedRefs")])
"""Value of the provider's `pulumi.com/waitFor`: a JSON list of conditions that must all hold."""

MAX_RULES = 16
MAX_MATCHES = 128
"""Limits of one HTTPRoute object (the CRD's validation)."""

MAX_HEADERS = 16
"""Limit of header matches in one match."""

EVERYTHING = {"type": "PathPrefix", "value": "/"}
"""The path match that all requests meet."""


def http_route(
    owner: Owner,
    name: str,
    service: str,
    spec: Mapping[str, Any],
    annotations: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Makes an HTTPRoute that a Pulumi resource waits for.

    Args:
        owner: Stack, namespace and flow.
        name: Name of the object.
        service: Service that it is about.
        spec: The specification.
        annotations: More annotations.

    Returns:
        The manifest.
    """
    return {
        "apiVersion": API_VERSION,
        "kind": "HTTPRoute",
        "metadata": owner.metadata(name, service, {**(annotations or {}), "pulumi.com/waitFor": WAIT_FOR}),
        "spec": dict(spec),
    }


def service_parent(service: str, port: int) -> dict[str, Any]:
    """Makes a parentRef to a Service, always with its port: a route without one silences those with one."""
    return {"group": "", "kind": "Service", "name": service, "port": port}


def service_backend(service: str, port: int) -> dict[str, Any]:
    """Makes a backendRef to a Service of the route's namespace."""
    return {"group": "", "kind": "Service", "name": service, "port": port}


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
    name = _header_name(entry)
    result: list[dict[str, Any]] = []
    merged: dict[str, Any] = {}
    for item in filters:
        if item.get("type") == kind:
            merged = {
                key: kept
                for key, entries in item.get(field, {}).items()
                if (kept := [other for other in entries or () if _header_name(other) != name])
            }
        else:
            result.append(dict(item))
    merged[action] = [*merged.get(action, ()), entry]
    return [*result, {"type": kind, field: merged}]


def _header_name(entry: Any) -> str:
    return str(entry["name"] if isinstance(entry, Mapping) else entry).lower()
