"""A provider process and the fake Neon it talks to."""

from __future__ import annotations

from dataclasses import dataclass
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


@dataclass
class Ring:
    """A provider process and the fake Neon it talks to."""

    neon: FakeNeon
    plugin: Plugin
    host: str


def changes(diff: Any) -> bool:
    return diff.changes == diff.DIFF_SOME
