"""Expressions in routes that are none to the mesh.

Envoy reads expressions as RE2 does. One that it cannot read passes the API server with a green status, and
every proxy that gets it refuses its whole list of routes: running ones keep the old list, in which no new
flow is, and new ones have none (docs/facts/mesh.md#an-invalid-expression-stops-a-port).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kardinal_infra.observed.live import Object, flow_of, namespace_of
from kardinal_infra.observed.routes import matches_of, rules_of, service_parents, title_of
from kardinal_infra.safety.case import Case
from kardinal_infra.safety.findings import Hit, safety_rule
from kardinal_infra.safety.re2 import expression_problem

_EXPRESSION = "RegularExpression"


def expressions_of(match: Mapping[str, Any]) -> Iterator[str]:
    """Yields the regular expressions in a route's match.

    Args:
        match: Of an HTTPRoute or GRPCRoute.
    """
    method = match.get("method")
    parts = [match.get("path") or {}, *(match.get("headers") or ()), *(match.get("queryParams") or ())]
    yield from (part["value"] for part in parts if part.get("type") == _EXPRESSION)
    # An HTTPRoute's method is a word.
    if isinstance(method, Mapping) and method.get("type") == _EXPRESSION:
        yield from (method[key] for key in ("service", "method") if method.get(key))


@safety_rule("broken-expression", "error")
def broken_expression(case: Case) -> Iterator[Hit]:
    """A route that the flow's callers get too has an expression that no proxy can read."""
    for route in case.live.routes:
        if flow_of(route) is not None or not _is_seen(route, case):
            continue
        for rule in rules_of(route):
            for match in matches_of(rule):
                for expression in expressions_of(match):
                    if problem := expression_problem(expression):
                        yield Hit(
                            "cluster",
                            f"the expression {expression} of {title_of(route)} cannot be read ({problem}):"
                            " the proxies refuse all their routes for that, and would never know the flow's;"
                            " correct it",
                            (title_of(route),),
                        )


def _is_seen(route: Object, case: Case) -> bool:
    """Proxies have one list of routes per port number, whatever the Service; a Gateway's have their own."""
    home = namespace_of(route)
    in_mesh = any(
        (port is None or port in case.routed_ports)
        # In another namespace than its Service's it is for callers there.
        and (home == parent.namespace or home in case.topology.namespaces)
        for parent, port in service_parents(route)
    )
    return in_mesh or any(route in host.answering for host in case.production_hosts)
