"""The public host of a flow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kardinal_infra.model.names import entry_route_name
from kardinal_infra.model.topology import Gateway
from kardinal_infra.observed.live import Object
from kardinal_infra.routing.gateway_api import host as gateway_api
from kardinal_infra.routing.gateway_api.manifest import http_route
from kardinal_infra.routing.istio import host as istio
from kardinal_infra.routing.retarget import Targets


def entry_route(
    targets: Targets,
    gateway: Gateway,
    host: str,
    port: int,
    part: int = 1,
    *,
    production: Sequence[Object] = (),
    listeners: Sequence[str] = (),
) -> dict[str, Any]:
    """Makes the route of a flow's host: it marks every request with the flow.

    What is done to requests `Key.marks` says.

    Args:
        targets: The entry's service and the flow's forks. Without a fork of its own the service answers, and
            calls the flow's forks.
        gateway: Where the host is.
        host: The flow's host.
        port: Port of the service.
        part: Counted from 1 among the entries of one service.
        production: The user's own routes of the production host, in the service's namespace; their rules are
            copied. Without any, the host leads to the service.
        listeners: Names of the listeners to hang on; default: all that allow it.

    Returns:
        The manifest of an HTTPRoute, or of a VirtualService where the Gateway is Istio's.

    Raises:
        ValueError: The rules of the production host do not fit one object.
    """
    owner, service = targets.owner, targets.service
    name = entry_route_name(service, targets.flow, part)
    if gateway.kind == "istio":
        http = istio.host_rules(production, gateway, targets, port)
        return istio.virtual_service(owner, gateway, name, service, host, http)
    spec = {
        "parentRefs": gateway_api.gateway_parents(gateway, listeners),
        "hostnames": [host],
        "rules": gateway_api.host_rules(production, targets, port),
    }
    return http_route(owner, name, service, spec)
