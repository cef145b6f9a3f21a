"""Which request shows that a public host answers: the host's own rules may leave `/` to nobody."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kardinal_infra.model.names import HEADER_FORK
from kardinal_infra.observed.live import Object
from kardinal_infra.observed.routes import matches_of, rules_of
from kardinal_infra.routing.gateway_api.host import is_redirect
from kardinal_infra.routing.gateway_api.manifest import EVERYTHING

BELOW = "/kardinal-probe"
"""A path that no rule names."""


@dataclass(frozen=True)
class Question:
    """A GET that one rule of a host takes.

    Attributes:
        path: Its path; empty for `/`.
        fork: The fork that the rule's answers name; None where it leads to none.
    """

    path: str
    fork: str | None


@dataclass(frozen=True)
class _Way:
    """A match that a GET without any headers can meet."""

    exact: bool
    path: str
    method: bool
    passes: bool
    fork: str | None

    def takes(self, path: str) -> bool:
        return path == self.path or (not self.exact and path.startswith(self.path.rstrip("/") + "/"))

    @property
    def rank(self) -> tuple[bool, int, bool]:
        """Gateway API's precedence; Istio's is the order of the list."""
        return self.exact, len(self.path), self.method


def question(route: Object) -> Question | None:
    """Finds a request that a flow's host must answer.

    Args:
        route: The HTTPRoute or VirtualService of the host, as `entry_route` makes it.

    Returns:
        A GET of `/` where a rule passes it on, else of the first path that one does; None when all rules want
        more than a path, so that nobody can tell from outside which request they would take.
    """
    istio = route["kind"] == "VirtualService"
    ways = [*(_http(route) if istio else _rules(route))]
    # Below a prefix whose own path is redirected: a 404 of the application's says as well who answers.
    below = (way.path.rstrip("/") + BELOW for way in ways if not way.exact)
    for path in ("/", *(way.path for way in ways), *below):
        taking = [way for way in ways if way.takes(path)]
        if not taking:
            continue
        taker = taking[0] if istio else max(taking, key=lambda way: way.rank)
        if taker.passes:
            return Question("" if path == "/" else path, taker.fork)
    return None


def _rules(route: Object) -> Iterator[_Way]:
    for rule in rules_of(route):
        for match in matches_of(rule):
            path = {**EVERYTHING, **(match.get("path") or {})}
            plain = match.keys() <= {"path", "method"} and path["type"] in ("Exact", "PathPrefix")
            if plain and match.get("method", "GET") == "GET":
                exact = path["type"] == "Exact"
                yield _Way(exact, path["value"], "method" in match, not is_redirect(rule), _fork_of(rule))


def _http(route: Object) -> Iterator[_Way]:
    for rule in route["spec"]["http"]:
        fork = rule.get("headers", {}).get("response", {}).get("set", {}).get(HEADER_FORK)
        matches: list[dict[str, Any]] = list(rule.get("match") or ({},))
        for match in matches:
            uri = match.get("uri") or {"prefix": "/"}
            if match.keys() <= {"uri", "name"} and "regex" not in uri:
                [(kind, path)] = uri.items()
                yield _Way(kind == "exact", path, False, bool(rule.get("route")), fork)


def _fork_of(rule: Mapping[str, Any]) -> str | None:
    for item in rule.get("filters") or ():
        for header in (item.get("responseHeaderModifier") or {}).get("set") or ():
            if header["name"] == HEADER_FORK:
                return str(header["value"])
    return None
