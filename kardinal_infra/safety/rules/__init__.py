"""Every safety rule: whatever is under `@safety_rule` in a module of this folder is in force."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pkgutil import iter_modules

from kardinal_infra.safety.findings import Rule


def _rules() -> Iterator[Rule]:
    for module in iter_modules(__path__, f"{__name__}."):
        for item in vars(import_module(module.name)).values():
            if isinstance(item, Rule):
                yield item


RULES: tuple[Rule, ...] = tuple(_rules())
"""Every rule; docs/safety.md explains each under its name."""

RULE_NAMES = frozenset(rule.name for rule in RULES)
"""What a flow's config may acknowledge."""
