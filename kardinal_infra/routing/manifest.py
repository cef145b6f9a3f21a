"""The shape of every route object that this package makes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from kardinal_infra.names import Owner

API_VERSION = "gateway.networking.k8s.io/v1"

_CONDITION = 'jsonpath={{.status.parents[0].conditions[?(@.type=="{type}")].status}}=True'

WAIT_FOR = json.dumps([_CONDITION.format(type=kind) for kind in ("Accepted", "ResolvedRefs")])
"""Value of the provider's `pulumi.com/waitFor`: a JSON list of conditions that must all hold."""

MAX_RULES = 16
MAX_MATCHES = 128
"""Limits of one HTTPRoute or GRPCRoute object (the CRDs' validation)."""

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
    return route("HTTPRoute", owner, name, service, spec, annotations)


def route(
    kind: str,
    owner: Owner,
    name: str,
    service: str,
    spec: Mapping[str, Any],
    annotations: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Makes an HTTPRoute or GRPCRoute; both have the same shape around their rules.

    Args:
        kind: `HTTPRoute` or `GRPCRoute`.
        owner: As for `http_route`.
        name: As for `http_route`.
        service: As for `http_route`.
        spec: As for `http_route`.
        annotations: As for `http_route`.

    Returns:
        The manifest.
    """
    return {
        "apiVersion": API_VERSION,
        "kind": kind,
        "metadata": owner.metadata(name, service, {**(annotations or {}), "pulumi.com/waitFor": WAIT_FOR}),
        "spec": dict(spec),
    }


def service_parent(service: str, port: int) -> dict[str, Any]:
    """Makes a parentRef to a Service, always with its port: a route without one silences those with one."""
    return {"group": "", "kind": "Service", "name": service, "port": port}


def service_backend(service: str, port: int) -> dict[str, Any]:
    """Makes a backendRef to a Service of the route's namespace."""
    return {"group": "", "kind": "Service", "name": service, "port": port}
