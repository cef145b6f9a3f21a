"""What becomes of a rule of a VirtualService for a flow, inside the mesh and at a host.

A rule is an item of `spec.http`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any, Literal

from kardinal_infra.model.names import HEADER_FORK
from kardinal_infra.observed.virtual_services import beside, service_named
from kardinal_infra.routing.headers import without
from kardinal_infra.routing.key import Change
from kardinal_infra.routing.retarget import Backend, Chosen, Targets

MIRRORS = ("mirror", "mirrors", "mirrorPercent", "mirrorPercentage")
"""Fields of a rule about copies of its requests; the last two are the share that `mirror` gets."""


def flow_rule(
    rule: Mapping[str, Any], targets: Targets, called: int | None
) -> tuple[dict[str, Any], Sequence[str]]:
    """Copies a rule for a flow.

    Args:
        rule: The baseline's, of a VirtualService in the namespace of the targets' Service.
        targets: Where its requests go.
        called: Port of the Service that requests are for; None leaves it to the mesh.

    Returns:
        The copy, without name and matches; and the forks that it leads to. Without any it leads where the
        rule does. Nothing in it touches the key or sends copies of requests to production's services.
    """
    copy = deepcopy({key: value for key, value in rule.items() if key not in {"name", "match", *MIRRORS}})
    _clean(copy, targets)
    copy |= _mirrors(rule, targets)
    routes: list[dict[str, Any]] = [_clean(item, targets) for item in copy.get("route") or ()]
    single = len(routes) == 1
    chosen = targets.chosen([_backend(item, targets, single=single) for item in routes], called)
    if chosen:
        copy["route"] = [_led(routes[item.backend], item, targets) for item in chosen]
        copy["headers"] = with_change(copy, "response", Change("set", HEADER_FORK, chosen[0].fork))
    return copy, [item.fork for item in chosen]


def with_change(
    item: Mapping[str, Any], of: Literal["request", "response"], change: Change
) -> dict[str, Any]:
    """Changes a header besides those that a rule changes.

    Args:
        item: The rule.
        of: Whose header it is.
        change: What becomes of it; whatever was done to it before is dropped.

    Returns:
        The rule's new `headers`.
    """
    headers = item.get("headers") or {}
    action, name, value = change
    others = without(headers.get(of) or {}, name)
    return {**headers, of: {**others, action: {**others.get(action, {}), name: value}}}


def changes_of(item: Mapping[str, Any]) -> Mapping[str, Any]:
    """Returns what a rule or a destination does to the headers of requests.

    Args:
        item: The rule or the destination.
    """
    changes: Mapping[str, Any] = (item.get("headers") or {}).get("request") or {}
    return changes


def _backend(item: Mapping[str, Any], targets: Targets, *, single: bool) -> Backend:
    destination = item["destination"]
    service = service_named(destination["host"], targets.owner.namespace)
    port = (destination.get("port") or {}).get("number")
    return Backend(service, port, 1 if single else item.get("weight", 0))


def _led(item: Mapping[str, Any], chosen: Chosen, targets: Targets) -> dict[str, Any]:
    plain = {key: value for key, value in item.items() if key != "weight"}
    weight = {} if chosen.weight is None else {"weight": chosen.weight}
    return {
        **plain,
        "destination": _destination(item["destination"]["host"], chosen.fork, chosen.port, targets),
        **weight,
    }


def _destination(host: str, fork: str, port: int | None, targets: Targets) -> dict[str, Any]:
    """A fork has a Service of its own and no subsets; a name alone is resolved in the object's namespace."""
    home = targets.owner.namespace
    named = service_named(host, home)
    foreign = named is not None and named.namespace != home
    found: dict[str, Any] = {"host": beside(host, fork) if foreign else fork}
    return found if port is None else {**found, "port": {"number": port}}


def _mirrors(rule: Mapping[str, Any], targets: Targets) -> dict[str, Any]:
    """The rule's mirrors that lead to forks."""
    result: dict[str, Any] = {}
    if "mirror" in rule and (target := _mirror(rule["mirror"], targets)):
        result["mirror"] = target
        result |= {key: deepcopy(rule[key]) for key in MIRRORS[2:] if key in rule}
    several = [
        {**deepcopy(item), "destination": target}
        for item in rule.get("mirrors") or ()
        if (target := _mirror(item["destination"], targets))
    ]
    if several:
        result["mirrors"] = several
    return result


def _mirror(destination: Mapping[str, Any], targets: Targets) -> dict[str, Any] | None:
    fork = targets.mirror_fork(service_named(destination["host"], targets.owner.namespace))
    port = (destination.get("port") or {}).get("number")
    return None if fork is None else _destination(destination["host"], fork, port, targets)


def _clean(item: dict[str, Any], targets: Targets) -> dict[str, Any]:
    """Leaves out whatever a rule or a destination does to the key of requests; changes it in place."""
    headers = item.get("headers") or {}
    if request := headers.get("request"):
        kept = targets.key.left_alone(request)
        rest = {key: value for key, value in headers.items() if key != "request"}
        item["headers"] = {**rest, "request": kept} if kept else rest
        if not item["headers"]:
            del item["headers"]
    return item
