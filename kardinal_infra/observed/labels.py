"""Many label selectors, or many sets of labels, of which few meet: asked without looking at each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Generic, TypeVar

from kardinal_infra.observed.selectors import matches

T = TypeVar("T")

_Mark = tuple[str, str | None]
"""A label's key with a value that it must have, or with None where any will do."""


class BySelector(Generic[T]):
    """Things that select by label, to be asked by the labels of what they may select."""

    def __init__(self, things: Iterable[tuple[Mapping[str, Any], T]]) -> None:
        """Files things under the rarest of their requirements.

        Args:
            things: LabelSelector and thing; the order is kept in all answers.
        """
        self._things = list(things)
        self._filed: dict[_Mark, list[int]] = {}
        self._open: list[int] = []
        required = [list(_requirements(selector)) for selector, _ in self._things]
        common: dict[_Mark, int] = {}
        for requirement in required:
            for marks in requirement:
                for mark in marks:
                    common[mark] = common.get(mark, 0) + 1
        for place, requirement in enumerate(required):
            if not requirement:
                self._open.append(place)
                continue
            for mark in min(requirement, key=lambda marks: sum(common[mark] for mark in marks)):
                self._filed.setdefault(mark, []).append(place)

    def selecting(self, labels: Mapping[str, str]) -> list[T]:
        """Finds the things that select an object.

        Args:
            labels: The object's.
        """
        places = [*self._open]
        for mark in _marks(labels):
            places += self._filed.get(mark, ())
        found = (self._things[place] for place in sorted(places))
        return [thing for selector, thing in found if matches(selector, labels)]


class ByLabels(Generic[T]):
    """Things with labels, to be asked by a selector."""

    def __init__(self, things: Iterable[tuple[Mapping[str, str], T]]) -> None:
        """Files things under each of their labels.

        Args:
            things: Labels and thing; the order is kept in all answers.
        """
        self._things = list(things)
        self._filed: dict[_Mark, list[int]] = {}
        for place, (labels, _) in enumerate(self._things):
            for mark in _marks(labels):
                self._filed.setdefault(mark, []).append(place)

    def selected(self, selector: Mapping[str, Any]) -> list[T]:
        """Finds the things that a selector selects.

        Args:
            selector: A LabelSelector.
        """
        filed = [
            [place for mark in marks for place in self._filed.get(mark, ())]
            for marks in _requirements(selector)
        ]
        fewest = min(filed, key=len) if filed else range(len(self._things))
        found = (self._things[place] for place in sorted(fewest))
        return [thing for labels, thing in found if matches(selector, labels)]


def _requirements(selector: Mapping[str, Any]) -> Iterator[Sequence[_Mark]]:
    """Marks of which whatever is selected has exactly one, for each requirement that can be told by marks."""
    for key, value in (selector.get("matchLabels") or {}).items():
        yield [(key, value)]
    for expression in selector.get("matchExpressions") or ():
        if expression["operator"] == "In":
            yield [(expression["key"], value) for value in dict.fromkeys(expression.get("values") or ())]
        elif expression["operator"] == "Exists":
            yield [(expression["key"], None)]


def _marks(labels: Mapping[str, str]) -> Iterator[_Mark]:
    for key, value in labels.items():
        yield key, value
        yield key, None
