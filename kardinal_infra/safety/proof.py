"""The proof that all rules make together."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from kardinal_infra.safety.case import Case
from kardinal_infra.safety.findings import Finding, Rule
from kardinal_infra.safety.rules import RULES


def prove(case: Case, rules: Iterable[Rule] = RULES) -> list[Finding]:
    """Applies rules.

    Args:
        case: The cluster, and what a flow would add to it.
        rules: Default: all but `REFUSALS`, which a plan says by itself.

    Returns:
        Everything found, sorted, each once; an empty list says that nothing speaks against the flow.
    """
    return sorted({finding for rule in rules for finding in rule.findings(case)})


def refused(findings: Collection[Finding], acknowledged: Collection[str]) -> list[Finding]:
    """Picks the findings that stop a flow.

    Args:
        findings: What was found.
        acknowledged: Names of the rules that the flow's config accepts.

    Returns:
        Errors that are not acknowledged.
    """
    return [item for item in findings if item.severity == "error" and item.rule not in acknowledged]
