"""A cluster for the safety rules to judge, and what they say."""

from __future__ import annotations

from typing import Any

from kardinal_infra.observed.live import LiveObjects
from kardinal_infra.safety import Case, prove
from tests.pure.samples import live, service, workload

DATABASES = {
    "votes": {"project": "p", "database": "votes", "role": "r", "host": "votes-db.internal"},
}


def found(shown: Case, rule: str) -> list[str]:
    return [item.message for item in prove(shown) if item.rule == rule]


def cluster(**changes: Any) -> LiveObjects:
    return live(services=[service("web")], deployments=[workload("web")], http_routes=[], **changes)
