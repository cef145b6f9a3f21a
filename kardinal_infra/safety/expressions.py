"""Expressions in routes that are none to the mesh.

Envoy reads expressions as RE2 does. One that it cannot read passes the API server with a green status, and
every proxy that gets it refuses its whole list of routes: running ones keep the old list, in which no new
flow is, and new ones have none (seen on a mesh).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from kardinal_infra.live import Object, flow_of, namespace_of
from kardinal_infra.routing.parents import matches_of, rules_of, service_parents, title_of
from kardinal_infra.routing.public_hosts import production_host
from kardinal_infra.safety.case import Case
from kardinal_infra.safety.findings import Hit, Rule

_SYMBOL = re.compile(
    r"""\\Q.*?(?:\\E|\Z)                            # text between quotation marks
      | \\. | \\\Z                                  # an escape
      | \[\^?\]?(?:\\.|\[:\^?\w+:\]|[^\]\\])*\]     # a class
      | \(\?(?:P?<\w+>|[imsU]*(?:-[imsU]+)?:)       # a group that says what it is
      | \(\?[imsU]*(?:-[imsU]+)?\)                  # flags
      | .""",
    re.VERBOSE | re.DOTALL,
)


def expression_problem(expression: str) -> str | None:
    """Says what makes an expression unreadable to RE2, of the mistakes that people make.

    Only what is wrong for certain; an expression without a problem here may still have one.

    Args:
        expression: The expression.
    """
    depth, before = 0, "("
    for match in _SYMBOL.finditer(expression):
        symbol = match[0]
        if symbol == "\\":
            return "it ends in a backslash"
        if symbol == "[":
            return "a [ has no ]"
        if re.fullmatch(r"\\[1-9]", symbol):
            return f"RE2 has no references to groups ({symbol})"
        if symbol in "*+?" and before in {"(", "|"}:
            return f"there is nothing to repeat before {symbol}"
        if symbol == "(" and expression.startswith("?", match.end()):
            return f"RE2 does not know {expression[match.start() : match.start() + 3]}"
        if symbol.startswith("(") and not symbol.endswith(")"):
            depth += 1
            symbol = "("
        elif symbol == ")":
            depth -= 1
        if depth < 0:
            return "a ) has no ("
        before = symbol
    return "a ( has no )" if depth else None


def expressions_of(match: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yields the parts of a route's match that are regular expressions.

    Args:
        match: Of an HTTPRoute or GRPCRoute.
    """
    parts = [match.get("path") or {}, *_list(match.get("headers")), *_list(match.get("queryParams"))]
    yield from (part for part in parts if part.get("type") == "RegularExpression")


def _list(value: Any) -> list[Mapping[str, Any]]:
    return list(value) if isinstance(value, (list, tuple)) else []


def _broken_expression(case: Case) -> Iterator[Hit]:
    for route in case.live.routes:
        if flow_of(route) is not None or not _is_seen(route, case):
            continue
        for rule in rules_of(route):
            for match in matches_of(rule):
                for part in expressions_of(match):
                    if problem := expression_problem(part["value"]):
                        yield Hit(
                            "cluster",
                            f"the expression {part['value']} of {title_of(route)} cannot be read ({problem}):"
                            " the proxies refuse all their routes for that, and would never know the flow's;"
                            " correct it",
                            (title_of(route),),
                        )


def _is_seen(route: Object, case: Case) -> bool:
    """Proxies have one list of routes per port number, whatever the Service; a Gateway's have their own."""
    ports = {port.port for service in case.forked() for port in case.topology.services[service].routed_ports}
    home = namespace_of(route)
    in_mesh = any(
        (port is None or port in ports)
        # In another namespace than its Service's it is for callers there.
        and (home == namespace or home in case.topology.namespaces)
        for namespace, _, port in service_parents(route)
    )
    return in_mesh or any(
        route in production_host(case.topology, case.live, entry).answering for entry in case.topology.entries
    )


BROKEN_EXPRESSION = Rule("broken-expression", "error", _broken_expression)
