"""What a safety rule finds, and what a rule is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from kardinal_infra.safety.case import Case

Severity = Literal["error", "warning"]
"""`error`: `up` refuses unless the flow acknowledges the rule by name. `warning`: it is said, no more."""

DOCS = "docs/safety.md"
"""Where every rule has a heading of its own name."""


@dataclass(frozen=True, order=True)
class Finding:
    """One thing that is not safe.

    Attributes:
        path: Where in config or topology, e.g. `kardinal:flow.services.web`; as in `errors.Problem`.
        rule: Name of the rule, a heading of docs/safety.md.
        severity: What it stops.
        message: What, and what to do about it; one sentence without end mark.
        objects: The cluster's objects concerned, as `Kind name` or `Kind namespace/name`.
    """

    path: str
    rule: str
    severity: Severity
    message: str
    objects: tuple[str, ...] = ()

    @property
    def link(self) -> str:
        """Where the rule is explained."""
        return f"{DOCS}#{self.rule}"

    def __str__(self) -> str:
        return f"{self.message} [{self.link}]"

    def to_plain(self) -> dict[str, Any]:
        """Returns the finding as plain JSON data, as outputs and policy packs show it."""
        return {
            "rule": self.rule,
            "severity": self.severity,
            "path": self.path,
            "message": self.message,
            "objects": list(self.objects),
        }


@dataclass(frozen=True)
class Hit:
    """What a rule's check reports; the rule adds its name and severity.

    Attributes:
        path: As in `Finding`.
        message: As in `Finding`.
        objects: As in `Finding`.
    """

    path: str
    message: str
    objects: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rule:
    """One safety rule; `safety_rule` makes them.

    Attributes:
        name: In lower case with hyphens; stable, because configs acknowledge it and docs/safety.md has it as
            a heading.
        severity: Of its findings.
        check: Reports every case of it. Pure.
    """

    name: str
    severity: Severity
    check: Callable[[Case], Iterator[Hit]]

    def findings(self, case: Case) -> Iterator[Finding]:
        """Applies the rule.

        Args:
            case: The cluster, and what a flow would add to it.
        """
        for hit in self.check(case):
            yield Finding(hit.path, self.name, self.severity, hit.message, hit.objects)


def safety_rule(name: str, severity: Severity) -> Callable[[Callable[[Case], Iterator[Hit]]], Rule]:
    """Makes a rule of the function below it.

    Rules of one name are parts of one: for example one for each dialect.

    Args:
        name: As in `Rule`.
        severity: As in `Rule`.
    """
    return partial(Rule, name, severity)
