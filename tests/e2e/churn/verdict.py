"""Counts what was heard, and says what of it is wrong."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Literal

from rich.table import Table

from tests.e2e.churn.answers import OWN, PRODUCTION

Kind = Literal[
    "untagged",
    "untagged, inside",
    "forged headers",
    "unknown key",
    "rising",
    "rising, inside",
    "up",
    "up, inside",
    "falling",
    "falling, inside",
    "gone, inside",
]
"""What was asked: without a flow, or of a flow by what was done to it; from outside, or inside the mesh."""

ALLOWED: dict[Kind, str] = {
    "untagged": PRODUCTION,
    "untagged, inside": PRODUCTION,
    "forged headers": PRODUCTION,
    "unknown key": PRODUCTION,
    "up": OWN,
    "up, inside": OWN,
    "gone, inside": PRODUCTION,
}
"""The one outcome that is right; of a flow that is being made or destroyed, each that is not wrong."""

UNTAGGED: tuple[Kind, ...] = ("untagged", "untagged, inside")
TAGGED: tuple[Kind, ...] = (
    *("rising", "rising, inside", "up", "up, inside"),
    *("falling", "falling, inside", "gone, inside"),
)
LEAST: dict[Kind, int] = {"up": 2, "up, inside": 2, "gone, inside": 1}
"""Requests that every cycle has to have of a kind, or nothing was seen of its flow."""

MOST_UP = 2
"""So many flows have to be up at one time."""

REFUSED: dict[Kind, str] = {"falling": "failed: HTTP 404", "falling, inside": "failed: HTTP 422"}
"""The failure that is no loss while a flow is destroyed: no host left, or no such option in production."""

WRONG = "WRONG"


@dataclass
class Tally:
    """Outcomes by kind of request."""

    outcomes: Counter[tuple[Kind, str]] = field(default_factory=Counter)
    first: dict[tuple[Kind, str], str] = field(default_factory=dict)

    def add(self, kind: Kind, outcome: str, of: str) -> None:
        """Counts one.

        Args:
            kind: What was asked.
            outcome: What was heard.
            of: Which request it was; kept of the first one of its sort.
        """
        self.outcomes[kind, outcome] += 1
        self.first.setdefault((kind, outcome), of)

    def count(self, *kinds: Kind) -> int:
        """How many requests of these kinds there were."""
        return sum(number for (kind, _), number in self.outcomes.items() if kind in kinds)

    def wrong(self) -> dict[tuple[Kind, str], int]:
        """The outcomes that must not be, with their numbers."""
        return {key: number for key, number in self.outcomes.items() if not _right(*key)}


def _right(kind: Kind, outcome: str) -> bool:
    if kind in ALLOWED:
        return outcome == ALLOWED[kind]
    lost = outcome.startswith("failed") and outcome != REFUSED.get(kind, outcome)
    return not outcome.startswith(WRONG) and not lost


@dataclass
class Verdict:
    """What came of a run.

    Attributes:
        seed: Of the order of creates and destroys.
        wanted_cycles: How many there were to be.
        wanted_untagged: How many untagged requests there were to be.
        cycles: Flows made, seen up and destroyed again.
        tally: All answers.
        votes: Votes that forks took.
        engine: Runs of the engine that failed, with what they printed.
        left: What was left of flows in the cluster, the database service and the list of stacks, and what
            changed in production.
        seconds: How long it took.
        up_seconds: Durations of `pulumi up`.
        destroy_seconds: Durations of `pulumi destroy`.
        most_up: Most flows that were up at one time.
    """

    seed: int
    wanted_cycles: int
    wanted_untagged: int
    cycles: int = 0
    tally: Tally = field(default_factory=Tally)
    votes: int = 0
    engine: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    seconds: float = 0.0
    up_seconds: list[float] = field(default_factory=list)
    destroy_seconds: list[float] = field(default_factory=list)
    most_up: int = 0

    @property
    def untagged(self) -> int:
        """Requests without anything that names a flow."""
        return self.tally.count(*UNTAGGED)

    @property
    def enough(self) -> bool:
        """Whether as much was done as was wanted."""
        return self.cycles >= self.wanted_cycles and self.untagged >= self.wanted_untagged

    def problems(self) -> list[str]:
        """Everything that must not be; empty when all is well."""
        found = [
            f"{number} x {kind}: {outcome}; first: {self.tally.first[kind, outcome]}"
            for (kind, outcome), number in self.tally.wrong().items()
        ]
        found += [f"pulumi: {text}" for text in self.engine]
        found += [f"left: {text}" for text in self.left]
        if not self.enough:
            found.append(
                f"{self.cycles} of {self.wanted_cycles} cycles and {self.untagged} of"
                f" {self.wanted_untagged} untagged requests were done"
            )
        # A run in which flows were not asked, or never beside each other, proves nothing.
        for kind in ALLOWED:
            least, seen = max(1, LEAST.get(kind, 0) * self.cycles), self.tally.count(kind)
            if seen < least:
                found.append(
                    f"{seen} requests of the kind {kind!r} in {self.cycles} cycles, fewer than {least}"
                )
        if self.wanted_cycles > 1 and self.most_up < MOST_UP:
            found.append("no two flows were up at one time")
        return found + ([] if self.votes else ["no fork took a vote"])

    def to_json(self) -> dict[str, Any]:
        """For `artifacts/churn.json`."""
        return {
            "seed": self.seed,
            "cycles": self.cycles,
            "untagged": self.untagged,
            "seconds": round(self.seconds, 1),
            "most flows up at one time": self.most_up,
            "votes": self.votes,
            "requests": {
                kind: {outcome: n for (of, outcome), n in sorted(self.tally.outcomes.items()) if of == kind}
                for kind in Kind.__args__  # type: ignore[attr-defined]
            },
            "up seconds": _spread(self.up_seconds),
            "destroy seconds": _spread(self.destroy_seconds),
            "problems": self.problems(),
        }

    def line(self) -> str:
        """How it stands, in one line."""
        tally = self.tally
        wrong = tally.wrong()
        kinds = f" ({'; '.join(f'{kind}: {outcome}' for kind, outcome in wrong)})" if wrong else ""
        tagged = tally.count(*TAGGED)
        return (
            f"{self.cycles} cycles, {self.untagged} untagged and {tagged} tagged requests, {self.votes}"
            f" votes, {sum(wrong.values())} wrong or failed{kinds}, {len(self.engine)} failed engine runs"
        )

    def table(self) -> Table:
        """All outcomes."""
        table = Table(title=f"{self.line()} in {self.seconds:.0f} s (seed {self.seed})")
        table.add_column("request")
        table.add_column("answer")
        table.add_column("number", justify="right")
        for (kind, outcome), number in sorted(self.tally.outcomes.items()):
            style = "" if _right(kind, outcome) else "bold red"
            table.add_row(kind, outcome, str(number), style=style)
        return table


def _spread(seconds: list[float]) -> dict[str, float]:
    ordered = sorted(seconds) or [0.0]
    return {
        "least": round(ordered[0], 1),
        "median": round(ordered[len(ordered) // 2], 1),
        "most": round(ordered[-1], 1),
    }
