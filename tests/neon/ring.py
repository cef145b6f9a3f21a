"""A provider process and the fake Neon it talks to."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.neon.fake import FakeNeon
from tests.neon.plugin import Plugin

INPUTS: dict[str, Any] = {
    "project": "voting",
    "name": "kardinal/voting/dev/votes",
    "parent": "main",
    "database": "votes",
    "role": "votes_owner",
    "ttl": "24h",
    "annotations": {"kardinal-stack": "organization/kardinal/dev"},
}

LATER = (datetime.now(UTC) + timedelta(days=20)).strftime("%Y-%m-%dT%H:%M:%SZ")

RULES = [{"table": "voter", "column": "email", "function": "anon.fake_email()"}]
FULL = {
    **{name: value for name, value in INPUTS.items() if name != "ttl"},
    "parent_timestamp": "2026-11-23T11:00:00Z",
    "expires_at": LATER,
    "compute": {"min_units": 0.5, "max_units": 1, "suspend_after": "10m"},
    "databases": {"audit": "reader"},
    "roles": ["reader", "writer"],
}
MASKED = {**FULL, "init": "masked", "masking_rules": RULES}


@dataclass
class Ring:
    """A provider process and the fake Neon it talks to."""

    neon: FakeNeon
    plugin: Plugin
    host: str


def changes(diff: Any) -> bool:
    return bool(diff.changes == diff.DIFF_SOME)


def ready_for(ring: Ring, inputs: dict[str, Any]) -> dict[str, Any]:
    """The inputs, and a service that can fulfil them."""
    columns = [{"name": "email"}]
    ring.neon.tables = [{"schema": "public", "name": "voter", "columns": columns, "constraints": []}]
    # The fake's time of day stands still, the provider's does not.
    ring.neon.history_seconds = None
    return inputs
