"""What a branch's role and database say about it: a JSON object as their comment.

The role's comment counts: its owner cannot change it, while the owner of a database may comment on that as it
likes. So a branch is recognised by a role with our comment that owns the database of the same name.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any

VERSION = 1
"""Of the comment's form; part of what is on the server, so an older form stays readable."""


@dataclass(frozen=True)
class Marks:
    """What is known of a branch besides its data. No secrets: everybody on the server can read comments.

    Attributes:
        branch: Name of the branch.
        parent: Database that it was copied from.
        init: `data` or `schema-only`.
        annotations: Ownership marks.
        ready: False until everything is made; such a branch was never handed out.
        expires_at: RFC 3339; None lives until it is deleted.
        protected: Its deletion is refused.
        created_at: RFC 3339.
        copied_by: How its data came: `wal_log`, `file_copy`, `clone` or `dump`.
    """

    branch: str
    parent: str
    annotations: Mapping[str, str]
    init: str = "data"
    ready: bool = False
    expires_at: str | None = None
    protected: bool = False
    created_at: str | None = None
    copied_by: str | None = None
    kardinal: int = field(default=VERSION)

    def text(self) -> str:
        """Returns the comment."""
        present = {name: value for name, value in asdict(self).items() if value is not None}
        return json.dumps({**present, "annotations": dict(self.annotations)}, sort_keys=True)

    def carries(self, annotations: Mapping[str, str]) -> bool:
        """Says whether all of these annotations are there; of none at all nothing is ever ours.

        Args:
            annotations: Our marks.
        """
        return bool(annotations) and all(self.annotations.get(key) == annotations[key] for key in annotations)

    def expired(self, now: datetime) -> bool:
        """Says whether its time is over.

        Args:
            now: Time of day, with a zone.
        """
        return self.expires_at is not None and datetime.fromisoformat(self.expires_at) <= now

    def with_(self, **changes: Any) -> Marks:
        """Returns a copy with some fields changed."""
        return replace(self, **changes)


def read_marks(comment: str | None) -> Marks | None:
    """Reads a comment.

    Args:
        comment: Of a role or database.

    Returns:
        The marks, or None when the comment is not one of ours.
    """
    try:
        found = json.loads(comment or "")
    except ValueError:
        return None
    if not isinstance(found, dict) or found.get("kardinal") != VERSION:
        return None
    known = {name: found[name] for name in Marks.__dataclass_fields__ if name in found}
    try:
        marks = Marks(**known)
        if marks.expires_at is not None:
            datetime.fromisoformat(marks.expires_at)
    except (TypeError, ValueError):
        return None
    return marks if isinstance(marks.annotations, Mapping) else None
