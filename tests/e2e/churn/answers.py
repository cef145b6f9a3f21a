"""Judges one answer: who gave it, with whose rows, and whether that may be. Pure.

Every branch of a flow holds an option to vote for that bears the flow's mark, from before its first fork
starts. So the rows of an answer say which branch they come from, and `x-kardinal-fork` says which fork
answered, wherever a route of the mesh sets it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

PRODUCTION = "production"
OWN = "own fork"
NOT_WRONG = (PRODUCTION, OWN)

ANOTHER_FORK = "WRONG: another flow's fork"
ANOTHER_ROWS = "WRONG: another flow's rows"
ANOTHER_HOST = "WRONG: another flow's host"
A_FORK = "WRONG: a fork"
FORK_ON_PRODUCTION = "WRONG: own fork on production's rows"
UNMARKED = "WRONG: own rows without the fork's mark"
MISCOUNTED = "WRONG: rows that were not written, or lost"


@dataclass(frozen=True)
class Heard:
    """One answer as it came.

    Attributes:
        status: HTTP status; None when there was no answer.
        counts: Votes per option; None when the answer has none.
        fork: Response header `x-kardinal-fork`.
        flow: Response header `x-kardinal-flow`.
        error: Kind of the failure when there was no answer.
        cause: The failure in full.
    """

    status: int | None
    counts: Mapping[str, int] | None = None
    fork: str | None = None
    flow: str | None = None
    error: str = ""
    cause: str = ""

    @property
    def failure(self) -> str:
        """What is to be said of it besides who answered."""
        return f"failed: {self.error or f'HTTP {self.status}'}"


@dataclass(frozen=True)
class Expected:
    """What a request of a flow may find.

    Attributes:
        flow: The flow's id.
        fork: Its fork of the service.
        mark: The option that only its branch has.
        least: Votes for the mark that were taken before the request was sent.
        most: Votes for the mark that were sent before the answer came.
        inside: Sent inside the mesh, where the route to a fork says so in a header.
    """

    flow: str
    fork: str
    mark: str
    least: int
    most: int
    inside: bool


def without_key(heard: Heard, rows: Mapping[str, int]) -> str:
    """Judges the answer to a request that belongs to no flow.

    Args:
        heard: The answer.
        rows: Production's votes per option, which never change.
    """
    if heard.fork is not None or heard.flow is not None:
        return A_FORK
    if heard.counts is None:
        return heard.failure
    if heard.counts.keys() - rows.keys():
        return ANOTHER_ROWS
    return PRODUCTION if heard.counts == rows else MISCOUNTED


def with_key(heard: Heard, expected: Expected, rows: Mapping[str, int]) -> str:
    """Judges the answer to a request with a flow's key.

    Args:
        heard: The answer.
        expected: The flow.
        rows: Production's votes per option, which never change.

    Returns:
        `OWN`, `PRODUCTION`, a failure, or what is wrong. Whether production or a failure may be depends on
        what is being done to the flow.
    """
    if heard.fork not in (None, expected.fork):
        return ANOTHER_FORK
    if heard.flow not in (None, expected.flow):
        return ANOTHER_HOST
    if heard.counts is None:
        return heard.failure
    if heard.counts.keys() - rows.keys() - {expected.mark}:
        return ANOTHER_ROWS
    own = heard.counts.get(expected.mark)
    if {option: votes for option, votes in heard.counts.items() if option != expected.mark} != rows:
        return MISCOUNTED
    if own is None:
        return PRODUCTION if heard.fork is None else FORK_ON_PRODUCTION
    if expected.inside and heard.fork is None:
        return UNMARKED
    return OWN if expected.least <= own <= expected.most else MISCOUNTED
