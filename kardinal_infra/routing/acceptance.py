"""What the status of a route says, parent by parent.

A parent that does not exist leaves no trace in the status, and the order of the status is not that of the
`parentRefs`: each has to be looked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kardinal_infra.observed.live import Object, namespace_of, spec_of
from kardinal_infra.observed.routes import title_of

_GROUP = "gateway.networking.k8s.io"
_WANTED = ("Accepted", "ResolvedRefs")


def acceptance_problems(route: Object) -> Iterator[str]:
    """Says what keeps a route from being in effect at each of its parents.

    Args:
        route: A live HTTPRoute or GRPCRoute.

    Yields:
        Sentences, each naming the route, the parent and the condition's own words; none once all parents have
        accepted the route as it is now, with everything that it refers to.
    """
    namespace = namespace_of(route)
    parents = (route.get("status") or {}).get("parents") or ()
    for reference in spec_of(route).get("parentRefs") or ():
        told = [item for item in parents if _key(item["parentRef"], namespace) == _key(reference, namespace)]
        # Several controllers may look at one parent; one that takes the route is enough.
        problems = [problem for item in told if (problem := _problem(item, route))]
        if not told or len(problems) == len(told):
            reason = problems[0] if problems else "nobody has looked at it: does that parent exist?"
            yield f"{title_of(route)} is not in effect at {_title(reference, namespace)}: {reason}"


def _problem(status: Mapping[str, Any], route: Object) -> str | None:
    conditions = {item["type"]: item for item in status.get("conditions") or ()}
    generation = route.get("metadata", {}).get("generation", 0)
    for kind in _WANTED:
        found = conditions.get(kind)
        if found is None or found.get("observedGeneration", generation) < generation:
            return f"{kind} is not decided yet"
        if found["status"] != "True":
            return f"{found.get('reason', kind)}: {found.get('message') or 'no reason given'}"
    return None


def _key(reference: Mapping[str, Any], namespace: str) -> tuple[Any, ...]:
    return (
        reference.get("group", _GROUP),
        reference.get("kind", "Gateway"),
        reference.get("namespace") or namespace,
        reference["name"],
        reference.get("sectionName"),
        reference.get("port"),
    )


def _title(reference: Mapping[str, Any], namespace: str) -> str:
    _, kind, where, name, section, port = _key(reference, namespace)
    part = f" listener {section}" if section else f" port {port}" if port else ""
    return f"{kind} {where}/{name}{part}"
