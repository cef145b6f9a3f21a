"""What becomes of a request at a Gateway, in the words that both models of one share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import permutations

KEY = "x-kardinal-flow"
"""Written again here: the models share no code with the library."""

Changes = Mapping[str, Sequence[tuple[str, str]]]
"""What a filter does to headers: name and value by `set`, `add` and `remove`; the latter's value is empty."""


@dataclass(frozen=True, order=True)
class Place:
    """A Service's port, or a subset of it; port 0: its only one, or the one that was called."""

    namespace: str
    name: str
    port: int
    subset: str = ""


@dataclass(frozen=True)
class Way:
    """Where a request may be passed on to, with which weight.

    Attributes:
        place: The Service.
        weight: As written.
        keys: All values of the key that it may carry there, see `keys_after`.
    """

    place: Place
    weight: int
    keys: frozenset[tuple[str, ...]]


@dataclass(frozen=True)
class Outcome:
    """What becomes of a request.

    Attributes:
        answer: What the Gateway answers itself, as `404`; empty when it passes the request on.
        ways: Where else it goes, those of weight 0 left out.
        mirrors: Services that get a copy.
        fork: What the answer's `x-kardinal-fork` says.
        written: All Services that the rule names, those of weight 0 too, in their order.
    """

    answer: str = ""
    ways: tuple[Way, ...] = ()
    mirrors: frozenset[Place] = frozenset()
    fork: str = ""
    written: tuple[Place, ...] = ()

    @property
    def places(self) -> frozenset[Place]:
        return frozenset(way.place for way in self.ways)

    @property
    def shares(self) -> dict[Place, Fraction]:
        """Part of all requests by Service."""
        return shares((way.place, way.weight) for way in self.ways)


def shares(weights: Iterable[tuple[Place, int]]) -> dict[Place, Fraction]:
    """Part of the whole by Service; those of weight 0 are left out."""
    sums: dict[Place, int] = {}
    for place, weight in weights:
        if weight:
            sums[place] = sums.get(place, 0) + weight
    whole = sum(sums.values())
    return {place: Fraction(weight, whole) for place, weight in sums.items()}


def keys_after(sent: Sequence[str], *levels: Changes) -> frozenset[tuple[str, ...]]:
    """All values that the key can have after filters.

    No specification says in which order a filter's `set`, `add` and `remove` apply, nor whether a rule's
    filter comes before its backend's. What must hold has to hold in every order.

    Args:
        sent: What the client sent.
        levels: Changes of the rule, and of the backend.
    """
    found: set[tuple[str, ...]] = set()
    for ordered in permutations(levels):
        for actions in permutations(("set", "add", "remove")):
            values = tuple(sent)
            for changes in ordered:
                for action in actions:
                    values = _after(values, action, changes.get(action, ()))
            found.add(values)
    return frozenset(found)


def _after(values: tuple[str, ...], action: str, entries: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    for name, value in entries:
        if name.lower() != KEY:
            continue
        if action == "remove":
            values = ()
        elif action == "set":
            values = (value,)
        else:
            values = (*values, value)
    return values
