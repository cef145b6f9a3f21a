"""Which routes hang on which Service."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from kardinal_infra.model.names import ServiceRef
from kardinal_infra.observed.live import Object, flow_of, name_of, namespace_of, spec_of


def service_parents(route: Object) -> Iterator[tuple[ServiceRef, int | None]]:
    """Yields the Services that a route is attached to, each with the port; None stands for all ports.

    Args:
        route: An HTTPRoute or GRPCRoute.
    """
    for parent in spec_of(route).get("parentRefs") or ():
        # The group defaults to Gateway API's own, so a Service is always written with the empty group.
        if parent.get("kind") == "Service" and parent.get("group") == "":
            service = ServiceRef(parent.get("namespace") or namespace_of(route), parent["name"])
            yield service, parent.get("port")


def is_attached(route: Object, namespace: str, service: str) -> bool:
    """Says whether a route is attached to a Service.

    Args:
        route: An HTTPRoute or GRPCRoute.
        namespace: Namespace of the Service.
        service: Its name.
    """
    return any(parent == (namespace, service) for parent, _ in service_parents(route))


def kind_of(route: Object) -> str:
    """Returns a route's kind; items of a list carry none, and are HTTPRoutes here unless they say otherwise.

    Args:
        route: An HTTPRoute or GRPCRoute.
    """
    return str(route.get("kind") or "HTTPRoute")


def title_of(route: Object) -> str:
    """Names a route for a message, as `Kind namespace/name`.

    Args:
        route: An HTTPRoute or GRPCRoute.
    """
    return f"{kind_of(route)} {namespace_of(route)}/{name_of(route)}"


def routes_of(routes: Iterable[Object], namespace: str, service: str) -> list[Object]:
    """Finds the baseline's routes of a Service, those of flows left out.

    Args:
        routes: HTTPRoutes and GRPCRoutes of any namespace.
        namespace: Namespace of the Service.
        service: Its name.

    Returns:
        Routes in the order in which Gateway API breaks ties: oldest first, then by name.
    """
    found = (route for route in routes if flow_of(route) is None and is_attached(route, namespace, service))
    return sorted(found, key=age)


def age(route: Object) -> tuple[str, str, str]:
    """Sort key: creation time (RFC 3339 sorts as text), namespace, name."""
    created = str(route.get("metadata", {}).get("creationTimestamp") or "")
    return created, namespace_of(route), name_of(route)


def parent_ports(route: Object, namespace: str, service: str) -> set[int | None]:
    """Ports of a Service that a route is attached to; None stands for an attachment without port.

    Args:
        route: An HTTPRoute or GRPCRoute.
        namespace: Namespace of the Service.
        service: Its name.
    """
    return {port for parent, port in service_parents(route) if parent == (namespace, service)}


def has_baseline_route(routes: Iterable[Object], namespace: str, service: str, port: int) -> bool:
    """Says whether a Service's port is routed without any flow.

    Where it is not, the first flow's route would take all other requests to 404.

    Args:
        routes: HTTPRoutes and GRPCRoutes of any namespace.
        namespace: Namespace of the Service.
        service: Its name.
        port: Its port.

    Returns:
        True when there is a route in the Service's namespace, not of a flow, attached to exactly this port
        and not refused.
    """
    return any(
        namespace_of(route) == namespace
        and port in parent_ports(route, namespace, service)
        and not _refused(route, service, port)
        for route in routes_of(routes, namespace, service)
    )


def rules_of(route: Object) -> Sequence[Object]:
    """Returns a route's rules; the default is one without conditions."""
    return spec_of(route).get("rules") or [{}]


def takes_everything(route: Object) -> bool:
    """Says whether a route has a rule that every request meets.

    Args:
        route: An HTTPRoute or GRPCRoute.
    """
    return any(meets_everything(match) for rule in rules_of(route) for match in matches_of(rule))


def meets_everything(match: Object) -> bool:
    """Says whether every request meets a match.

    Args:
        match: Of a rule of an HTTPRoute or GRPCRoute.
    """
    path = match.get("path") or {"value": "/"}
    alone = path.get("type", "PathPrefix") == "PathPrefix" and path.get("value", "/") == "/"
    return alone and not any(match.get(key) for key in ("method", "headers", "queryParams"))


def matches_of(rule: Object) -> Sequence[Object]:
    """Returns a rule's matches; the default is one that all requests meet."""
    return rule.get("matches") or [{}]


def _refused(route: Object, service: str, port: int) -> bool:
    """Says whether nobody accepts a route on a Service's port; what a Gateway says of it does not count."""
    verdicts: list[Any] = [
        condition.get("status")
        for parent in (route.get("status") or {}).get("parents") or ()
        if _is_parent(parent.get("parentRef") or {}, service, port)
        for condition in parent.get("conditions") or ()
        if condition.get("type") == "Accepted"
    ]
    return bool(verdicts) and set(verdicts) == {"False"}


def _is_parent(parent: Object, service: str, port: int) -> bool:
    return (parent.get("kind"), parent.get("name"), parent.get("port")) == ("Service", service, port)
