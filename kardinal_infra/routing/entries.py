"""The public host of a flow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kardinal_infra.live import Object
from kardinal_infra.names import BAGGAGE_KEY, HEADER_FLOW, HEADER_FORK, Owner, entry_route_name
from kardinal_infra.routing.edge import flow_rules, is_redirect
from kardinal_infra.routing.filters import REQUEST_HEADERS, RESPONSE_HEADERS, merge_filter
from kardinal_infra.routing.istio_edge import flow_entries_of_host, marked, to_service, virtual_service
from kardinal_infra.routing.manifest import EVERYTHING, MAX_MATCHES, MAX_RULES, http_route, service_backend
from kardinal_infra.routing.parents import matches_of
from kardinal_infra.topology import Gateway


def gateway_parents(gateway: Gateway, listeners: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Makes the parentRefs to the application's Gateway.

    Args:
        gateway: The Gateway.
        listeners: Names of the listeners to hang on; default: all that allow it.
    """
    parent = {
        "group": "gateway.networking.k8s.io",
        "kind": "Gateway",
        "name": gateway.name,
        "namespace": gateway.namespace,
    }
    return [{**parent, "sectionName": name} for name in listeners] or [parent]


def entry_route(
    owner: Owner,
    gateway: Gateway,
    service: str,
    host: str,
    port: int,
    fork: str | None,
    part: int = 1,
    *,
    production: Sequence[Object] = (),
    forks: Mapping[str, str] | None = None,
    homes: Mapping[str, str] | None = None,
    listeners: Sequence[str] = (),
) -> dict[str, Any]:
    """Makes the route of a flow's host: it marks every request with the flow.

    The header is set, which overrides what a client sent; the baggage member is added, which leaves the
    members of others alone.

    Args:
        owner: Stack, namespace of the service, and flow.
        gateway: Where the host is.
        service: Service of the entry.
        host: The flow's host.
        port: Port of the service.
        fork: The service's fork; None sends requests to the baseline, which calls the flow's forks.
        part: Counted from 1 among the entries of one service.
        production: The user's own routes of the production host; their rules are copied. Without any, the
            host leads to the service.
        forks: Fork by service, for `production`.
        homes: Namespace by service, for `production`; default: the owner's for all.
        listeners: As for `gateway_parents`.

    Returns:
        The manifest of an HTTPRoute, or of a VirtualService where the Gateway is Istio's.

    Raises:
        ValueError: The rules of the production host do not fit one object.
    """
    assert owner.flow is not None
    name = entry_route_name(service, owner.flow, part)
    if gateway.kind == "istio":
        entries = flow_entries_of_host(production, gateway, owner.namespace, forks or {}, homes)
        marks = marked(entries or to_service(fork or service, port), owner.flow, None if entries else fork)
        return virtual_service(owner, gateway, name, service, host, marks)
    rules = flow_rules(production, owner.namespace, forks or {}, homes)
    if rules:
        fork = None  # each rule says itself where it leads
    else:
        backend = service_backend(fork or service, port)
        rules = [{"matches": [{"path": dict(EVERYTHING)}], "backendRefs": [backend]}]
    if len(rules) > MAX_RULES or sum(len(matches_of(rule)) for rule in rules) > MAX_MATCHES:
        raise ValueError(
            f"the routes of the production host have more rules than one object holds ({len(rules)})"
        )
    return http_route(
        owner,
        name,
        service,
        {
            "parentRefs": gateway_parents(gateway, listeners),
            "hostnames": [host],
            "rules": [_marked(rule, owner.flow, fork) for rule in rules],
        },
    )


def _marked(rule: Mapping[str, Any], flow: str, fork: str | None) -> dict[str, Any]:
    filters: Sequence[Mapping[str, Any]] = rule.get("filters") or ()
    # The answer says whose it is, so that a probe can tell the flow's from production's.
    mark = {"name": HEADER_FLOW, "value": flow}
    if not is_redirect(rule):
        filters = merge_filter(filters, REQUEST_HEADERS, "set", mark)
        baggage = {"name": "baggage", "value": f"{BAGGAGE_KEY}={flow}"}
        filters = merge_filter(filters, REQUEST_HEADERS, "add", baggage)
    filters = merge_filter(filters, RESPONSE_HEADERS, "set", mark)
    if fork is not None:
        filters = merge_filter(filters, RESPONSE_HEADERS, "set", {"name": HEADER_FORK, "value": fork})
    return {**rule, "filters": filters}
