"""What becomes of a rule of an HTTPRoute or GRPCRoute for a flow, inside the mesh and at a host."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

from kardinal_infra.model.names import HEADER_FORK, ServiceRef, shorten
from kardinal_infra.observed.virtual_services import beside, service_named
from kardinal_infra.routing.gateway_api.filters import RESPONSE_HEADERS, for_flow, merge_filter
from kardinal_infra.routing.retarget import Backend, Chosen, Targets

_HOSTNAME = "networking.istio.io", "Hostname"
_MAX_SESSION_NAME = 128


def flow_rule(rule: Mapping[str, Any], targets: Targets, called: int) -> tuple[dict[str, Any], Sequence[str]]:
    """Copies a rule for a flow.

    Args:
        rule: The baseline's.
        targets: Where its requests go.
        called: Port of the Service that requests are for.

    Returns:
        The copy, with the same matches; and the forks that it leads to. Without any it leads where the rule
        does. Nothing in it touches the key or sends copies of requests to production's services.
    """
    # A rule's name is for policies that attach to it, and would not be unique any more.
    copy = {key: deepcopy(value) for key, value in rule.items() if key not in {"name", "filters"}}
    written: Sequence[Mapping[str, Any]] = rule.get("backendRefs") or ()
    chosen = targets.chosen(backends_of(rule, targets.owner.namespace, called), called)
    if chosen:
        copy["backendRefs"] = [_led(_cleaned(written[item.backend], targets), item) for item in chosen]
    elif written:
        copy["backendRefs"] = [_cleaned(item, targets) for item in written]
    if filters := _filters(rule, targets):
        copy["filters"] = filters
    if session := (copy.get("sessionPersistence") or {}).get("sessionName"):
        # A session of production's must not pin a flow's requests, nor the other way round.
        copy["sessionPersistence"]["sessionName"] = shorten(f"{session}-{targets.flow}", _MAX_SESSION_NAME)
    return copy, [item.fork for item in chosen]


def naming_fork(filters: Sequence[Mapping[str, Any]], forks: Sequence[str]) -> list[dict[str, Any]]:
    """Makes answers say which fork gave them.

    Args:
        filters: A rule's.
        forks: The forks that it leads to, if any.
    """
    if not forks:
        return [dict(item) for item in filters]
    return merge_filter(filters, RESPONSE_HEADERS, "set", {"name": HEADER_FORK, "value": forks[0]})


def service_of(backend: Mapping[str, Any], home: str) -> ServiceRef | None:
    """Returns the Service that a backendRef names; None when it is to anything else.

    Args:
        backend: Of a rule or a mirror; also Istio's `Hostname`, where it is the full name of a Service.
        home: Namespace of the route.
    """
    what = backend.get("group", ""), backend.get("kind", "Service")
    if what == ("", "Service"):
        return ServiceRef(backend.get("namespace") or home, backend["name"])
    # Unlike in a VirtualService a name without dots is none of the route's namespace.
    return service_named(backend["name"], home) if what == _HOSTNAME and "." in backend["name"] else None


def backends_of(rule: Mapping[str, Any], home: str, called: int) -> list[Backend]:
    """Returns all backends of a rule, in their order.

    Args:
        rule: The rule.
        home: Namespace of its route.
        called: Port of the Service that requests are for.
    """
    return [
        Backend(service_of(item, home), item.get("port", called), item.get("weight", 1))
        for item in rule.get("backendRefs") or ()
    ]


def _cleaned(backend: Mapping[str, Any], targets: Targets) -> dict[str, Any]:
    """What a backend's own filters do to the key would undo what the rule does."""
    plain = {key: deepcopy(value) for key, value in backend.items() if key != "filters"}
    filters = _filters(backend, targets)
    return {**plain, "filters": filters} if filters else plain


def _led(backend: dict[str, Any], chosen: Chosen) -> dict[str, Any]:
    plain = {key: value for key, value in backend.items() if key != "weight"}
    weight = {} if chosen.weight is None else {"weight": chosen.weight}
    return {**plain, "name": beside(backend["name"], chosen.fork), "port": chosen.port, **weight}


def _filters(item: Mapping[str, Any], targets: Targets) -> list[dict[str, Any]]:
    def mirrored(backend: Mapping[str, Any]) -> dict[str, Any] | None:
        fork = targets.mirror_fork(service_of(backend, targets.owner.namespace))
        return None if fork is None else {**backend, "name": beside(backend["name"], fork)}

    return for_flow(item.get("filters") or (), targets.key, mirrored)
