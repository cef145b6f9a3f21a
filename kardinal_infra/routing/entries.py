"""The public host of a flow."""

from __future__ import annotations

from typing import Any

from kardinal_infra.names import BAGGAGE_KEY, HEADER_FLOW, HEADER_FORK, Owner, entry_route_name
from kardinal_infra.routing.filters import merge_filter
from kardinal_infra.routing.manifest import EVERYTHING, http_route, service_backend
from kardinal_infra.topology import Gateway


def gateway_parent(gateway: Gateway) -> dict[str, Any]:
    """Makes a parentRef to the application's Gateway."""
    parent = {
        "group": "gateway.networking.k8s.io",
        "kind": "Gateway",
        "name": gateway.name,
        "namespace": gateway.namespace,
    }
    if gateway.listener is not None:
        parent["sectionName"] = gateway.listener
    return parent


def entry_route(
    owner: Owner, gateway: Gateway, service: str, host: str, port: int, fork: str | None, part: int = 1
) -> dict[str, Any]:
    """Makes the HTTPRoute of a flow's host: it marks every request with the flow.

    The header is set, which overrides what a client sent; the baggage member is added, which leaves the
    members of others alone.

    Args:
        owner: Stack, namespace and flow.
        gateway: Where the host is.
        service: Service of the entry.
        host: The flow's host.
        port: Port of the service.
        fork: The service's fork; None sends requests to the baseline, which calls the flow's forks.
        part: Counted from 1 among the entries of one service.

    Returns:
        The manifest.
    """
    assert owner.flow is not None
    filters = merge_filter((), "RequestHeaderModifier", "set", {"name": HEADER_FLOW, "value": owner.flow})
    baggage = {"name": "baggage", "value": f"{BAGGAGE_KEY}={owner.flow}"}
    filters = merge_filter(filters, "RequestHeaderModifier", "add", baggage)
    # The answer says whose it is, so that a probe can tell the flow's from production's.
    mark = {"name": HEADER_FLOW, "value": owner.flow}
    filters = merge_filter(filters, "ResponseHeaderModifier", "set", mark)
    if fork is not None:
        filters = merge_filter(filters, "ResponseHeaderModifier", "set", {"name": HEADER_FORK, "value": fork})
    rule = {
        "matches": [{"path": dict(EVERYTHING)}],
        "filters": filters,
        "backendRefs": [service_backend(fork or service, port)],
    }
    return http_route(
        owner,
        entry_route_name(service, owner.flow, part),
        service,
        {"parentRefs": [gateway_parent(gateway)], "hostnames": [host], "rules": [rule]},
    )
