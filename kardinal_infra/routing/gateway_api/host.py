"""Public hosts on a Gateway of the Gateway API."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from kardinal_infra.model.names import ANSWER_FLOW
from kardinal_infra.model.topology import Gateway
from kardinal_infra.observed.live import Object
from kardinal_infra.observed.routes import matches_of, rules_of
from kardinal_infra.routing.gateway_api.filters import REQUEST_HEADERS, RESPONSE_HEADERS, merge_filter
from kardinal_infra.routing.gateway_api.manifest import EVERYTHING, MAX_MATCHES, MAX_RULES, service_backend
from kardinal_infra.routing.gateway_api.rules import flow_rule, naming_fork
from kardinal_infra.routing.key import Key
from kardinal_infra.routing.retarget import Targets

REDIRECT = "RequestRedirect"


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


def production_rule(service: str, port: int) -> dict[str, Any]:
    """Makes the rule of a host that leads to a Service alone.

    Args:
        service: The Service, of the route's namespace.
        port: Its port.
    """
    return {"matches": [{"path": dict(EVERYTHING)}], "backendRefs": [service_backend(service, port)]}


def closed(rule: Mapping[str, Any], key: Key) -> dict[str, Any]:
    """Makes a rule of a production host remove the key: nobody outside reaches a fork by choosing one.

    Args:
        rule: The rule.
        key: What carries flows.
    """
    filters = rule.get("filters") or ()
    for name in key.names:
        filters = merge_filter(filters, REQUEST_HEADERS, "remove", name)
    return {**rule, "filters": filters}


def host_rules(production: Iterable[Object], targets: Targets, port: int) -> list[dict[str, Any]]:
    """Makes the rules of a flow's host.

    Args:
        production: The user's HTTPRoutes of the production host; their rules are copied. Without any, the
            host leads to the service.
        targets: The entry's service and the flow's forks.
        port: Port of the service.

    Returns:
        Rules that lead to forks where there are some, and to production's services everywhere else. Each
        marks its requests with the flow.

    Raises:
        ValueError: They do not fit one object.
    """
    rules = [rule for route in production for rule in rules_of(route)]
    made = []
    for rule in rules or [production_rule(targets.service, port)]:
        copy, forks = flow_rule(rule, targets, port)
        made.append({**copy, "filters": _marked(copy, targets, forks)})
    if len(made) > MAX_RULES or sum(len(matches_of(rule)) for rule in made) > MAX_MATCHES:
        raise ValueError(
            f"the routes of the production host have more rules than one object holds ({len(made)})"
        )
    return made


def is_redirect(rule: Mapping[str, Any]) -> bool:
    """Says whether a rule answers by itself, so that nothing is passed on.

    Args:
        rule: A rule of an HTTPRoute.
    """
    return any(item.get("type") == REDIRECT for item in rule.get("filters") or ())


def _marked(rule: Mapping[str, Any], targets: Targets, forks: Sequence[str]) -> list[dict[str, Any]]:
    filters = naming_fork(rule.get("filters") or (), forks)
    for action, header, value in () if is_redirect(rule) else targets.key.marks(targets.flow):
        filters = merge_filter(filters, REQUEST_HEADERS, action, {"name": header, "value": value})
    # The answer says whose it is, so that a probe can tell the flow's from production's.
    return merge_filter(filters, RESPONSE_HEADERS, "set", {"name": ANSWER_FLOW, "value": targets.flow})
