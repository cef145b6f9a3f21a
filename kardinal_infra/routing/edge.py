"""What the user's own routes say about a public host, and what a flow's host makes of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import deepcopy
from typing import Any

from kardinal_infra.live import Object
from kardinal_infra.names import HEADER_FORK
from kardinal_infra.routing.filters import RESPONSE_HEADERS, for_flow, merge_filter
from kardinal_infra.routing.parents import rules_of

REDIRECT = "RequestRedirect"


def flow_rules(
    routes: Iterable[Object], namespace: str, forks: Mapping[str, str], homes: Mapping[str, str] | None = None
) -> list[dict[str, Any]]:
    """Copies the rules of a production host for a flow's host.

    Args:
        routes: The user's HTTPRoutes of the host.
        namespace: Their namespace.
        forks: Fork by service.
        homes: Namespace by service; those that are not in it are in `namespace`.

    Returns:
        Rules that lead to forks where there are some, and to production's services everywhere else.
    """
    return [_flow_rule(rule, namespace, forks, homes or {}) for route in routes for rule in rules_of(route)]


def _flow_rule(
    rule: Mapping[str, Any], namespace: str, forks: Mapping[str, str], homes: Mapping[str, str]
) -> dict[str, Any]:
    def forked(backend: Mapping[str, Any]) -> dict[str, Any] | None:
        plain = backend.get("kind", "Service") == "Service" and backend.get("group", "") == ""
        here = (backend.get("namespace") or namespace) == homes.get(backend["name"], namespace)
        fork = forks.get(backend["name"]) if plain and here else None
        return {**deepcopy(dict(backend)), "name": fork} if fork is not None else None

    def marked(backend: Mapping[str, Any]) -> dict[str, Any]:
        # What a backend's own filters do to the key would undo what the rule does.
        filters = for_flow(backend.get("filters") or (), forked)
        plain = {key: deepcopy(value) for key, value in backend.items() if key != "filters"}
        return {**plain, **({"filters": filters} if filters else {})}

    copy = {key: deepcopy(value) for key, value in rule.items() if key not in {"name", "filters"}}
    filters = for_flow(rule.get("filters") or (), forked)
    if "backendRefs" in copy:
        copy["backendRefs"] = [marked(backend) for backend in rule.get("backendRefs") or ()]
    backends = [
        found
        for backend in copy.get("backendRefs") or ()
        if backend.get("weight", 1) > 0 and (found := forked(backend)) is not None
    ]
    if backends:
        copy["backendRefs"] = backends
        mark = {"name": HEADER_FORK, "value": backends[0]["name"]}
        filters = merge_filter(filters, RESPONSE_HEADERS, "set", mark)
    if filters:
        copy["filters"] = filters
    return copy


def is_redirect(rule: Mapping[str, Any]) -> bool:
    """Says whether a rule answers by itself, so that nothing is passed on.

    Args:
        rule: A rule of an HTTPRoute.
    """
    return any(item.get("type") == REDIRECT for item in rule.get("filters") or ())


def _spec(item: Object) -> Mapping[str, Any]:
    spec: Mapping[str, Any] = item.get("spec", {})
    return spec
