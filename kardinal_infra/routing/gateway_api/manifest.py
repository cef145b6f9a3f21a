"""The shape of every route object that this package makes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kardinal_infra.model.names import Owner

API_VERSION = "gateway.networking.k8s.io/v1"

MAX_RULES = 16
MAX_MATCHES = 128
"""Limits of one HTTPRoute or GRPCRoute object (the CRDs' validation)."""

MAX_RULE_MATCHES = 64
"""Limit of matches in one rule."""

MAX_HEADERS = 16
"""Limit of header matches in one match."""

EVERYTHING = {"type": "PathPrefix", "value": "/"}
"""The path match that all requests meet."""


def http_route(
    owner: Owner,
    name: str,
    service: str,
    spec: Mapping[str, Any],
) -> dict[str, Any]:
    """Makes an HTTPRoute.

    Args:
        owner: Stack, namespace and flow.
        name: Name of the object.
        service: Service that it is about.
        spec: The specification.

    Returns:
        The manifest.
    """
    return route("HTTPRoute", owner, name, service, spec)


def route(
    kind: str,
    owner: Owner,
    name: str,
    service: str,
    spec: Mapping[str, Any],
) -> dict[str, Any]:
    """Makes an HTTPRoute or GRPCRoute; both have the same shape around their rules.

    Args:
        kind: `HTTPRoute` or `GRPCRoute`.
        owner: As for `http_route`.
        name: As for `http_route`.
        service: As for `http_route`.
        spec: As for `http_route`.

    Returns:
        The manifest.
    """
    return {
        "apiVersion": API_VERSION,
        "kind": kind,
        "metadata": owner.metadata(name, service),
        "spec": dict(spec),
    }


def service_parent(service: str, port: int) -> dict[str, Any]:
    """Makes a parentRef to a Service, always with its port: a route without one silences those with one."""
    return {"group": "", "kind": "Service", "name": service, "port": port}


def service_backend(service: str, port: int) -> dict[str, Any]:
    """Makes a backendRef to a Service of the route's namespace."""
    return {"group": "", "kind": "Service", "name": service, "port": port}
