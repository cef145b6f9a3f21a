"""Divides rules among route objects so that it does not matter which object wins a tie.

Of two matches of equal rank that one request meets, the older object's wins, then the first by name, and
within an object the first rule's. Objects of one flow are made within a second, a single one of them may be
made again later, and Istio compares other names than the specification says. So matches that could tie stay
in one object, in their order; matches of different objects never tie, and their order is of no account.

Fact: docs/facts/mesh.md#the-older-route-wins-a-tie.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from kardinal_infra.routing.gateway_api.manifest import EVERYTHING, MAX_MATCHES, MAX_RULE_MATCHES, MAX_RULES

Place = tuple[int, int]
"""Index of a rule, and of a match in it."""


def split(rules: Sequence[Mapping[str, Any]]) -> list[list[dict[str, Any]]]:
    """Divides rules at the limits of one HTTPRoute or GRPCRoute object.

    Args:
        rules: Rules, each with its `matches`, in the order in which they win ties. A rule may have more
            matches than an object allows: a key on several carriers multiplies them.

    Returns:
        The rules of each object. When one object holds them all, they are as they were. Otherwise a rule can
        be in several objects, each time with other matches, and a match that an equal earlier one hides is
        left out.

    Raises:
        ValueError: Rules that can tie are too many for one object.
    """
    rules = [part for rule in rules for part in _parts(rule)]
    if len(rules) <= MAX_RULES and sum(len(rule["matches"]) for rule in rules) <= MAX_MATCHES:
        return [[dict(rule) for rule in rules]] if rules else []
    objects: list[set[Place]] = []
    for group in _tie_groups(rules):
        if not _fits(group):
            raise ValueError(
                f"{len(_rules_in(group))} rules that a request can meet with the same precedence do not fit"
                f" one route object ({MAX_RULES} rules, {MAX_MATCHES} matches)"
            )
        if objects and _fits(objects[-1] | group):
            objects[-1] |= group
        else:
            objects.append(group)
    return [list(_rules(rules, places)) for places in objects]


def _parts(rule: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """A rule, as several in a row where it has more matches than one may have."""
    for start in range(0, len(rule["matches"]), MAX_RULE_MATCHES):
        yield {**rule, "matches": rule["matches"][start : start + MAX_RULE_MATCHES]}


def _rules(rules: Sequence[Mapping[str, Any]], places: set[Place]) -> Iterator[dict[str, Any]]:
    for index in sorted(_rules_in(places)):
        matches = rules[index]["matches"]
        yield {
            **rules[index],
            "matches": [match for place, match in enumerate(matches) if (index, place) in places],
        }


def _rules_in(places: Iterable[Place]) -> set[int]:
    return {index for index, _ in places}


def _fits(places: set[Place]) -> bool:
    return len(_rules_in(places)) <= MAX_RULES and len(places) <= MAX_MATCHES


def _tie_groups(rules: Sequence[Mapping[str, Any]]) -> list[set[Place]]:
    """Matches that could tie, directly or through others, in the order of their first."""
    ranks: dict[tuple[Any, ...], list[tuple[Place, Mapping[str, Any]]]] = {}
    seen: set[str] = set()
    for index, rule in enumerate(rules):
        for place, match in enumerate(rule["matches"]):
            text = json.dumps(match, sort_keys=True)
            if text not in seen:
                seen.add(text)
                ranks.setdefault(_rank(match), []).append(((index, place), match))
    groups: list[set[Place]] = []
    for members in ranks.values():
        clusters: list[list[tuple[Place, Mapping[str, Any]]]] = []
        for member in members:
            met = [cluster for cluster in clusters if any(_overlap(member[1], other) for _, other in cluster)]
            clusters = [cluster for cluster in clusters if cluster not in met]
            clusters.append([*(item for cluster in met for item in cluster), member])
        groups += [{place for place, _ in cluster} for cluster in clusters]
    return sorted(groups, key=min)


def _rank(match: Mapping[str, Any]) -> tuple[Any, ...]:
    """Equal for all matches that can meet one request with the same precedence, or nearly so.

    Two exact paths, or two prefixes of equal length, that one path meets are equal. Regular expressions tell
    nothing of the kind and are taken together.
    """
    path = match.get("path") or EVERYTHING
    kind, value = path.get("type", "PathPrefix"), path.get("value", "/")
    if kind == "PathPrefix":
        value = value.rstrip("/")
    elif kind != "Exact":
        value = ""
    method = match.get("method")
    if isinstance(method, Mapping):
        # Of a GRPCRoute. A method without its service is a regular expression to Istio.
        exact = method.get("type", "Exact") == "Exact" and "service" in method
        method = (method["service"], method.get("method")) if exact else ()
    return kind, value, method, len(match.get("headers") or ()), len(match.get("queryParams") or ())


def _overlap(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """False when no request meets both, for one value cannot be two."""
    for field in ("headers", "queryParams"):
        values = _exact_values(one, field)
        if any(values.get(name, value) != value for name, value in _exact_values(other, field).items()):
            return False
    return True


def _exact_values(match: Mapping[str, Any], field: str) -> dict[str, str]:
    return {
        item["name"].lower() if field == "headers" else item["name"]: item["value"]
        for item in match.get(field) or ()
        if item.get("type", "Exact") == "Exact"
    }
