"""The safety proof: pure rules over the cluster as it is and what a flow would add to it."""

from kardinal_infra.safety.case import Case, ProposedFork
from kardinal_infra.safety.findings import DOCS, Finding, Hit, Rule, Severity, safety_rule
from kardinal_infra.safety.manifests import case_of_manifests
from kardinal_infra.safety.proof import prove, refused
from kardinal_infra.safety.refusals import REFUSALS
from kardinal_infra.safety.rules import RULE_NAMES, RULES

__all__ = [
    "DOCS",
    "REFUSALS",
    "RULES",
    "RULE_NAMES",
    "Case",
    "Finding",
    "Hit",
    "ProposedFork",
    "Rule",
    "Severity",
    "case_of_manifests",
    "prove",
    "refused",
    "safety_rule",
]
