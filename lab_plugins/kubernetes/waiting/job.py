"""A Job is done when it is complete; a failed one ends the wait at once."""

from __future__ import annotations

from typing import Any

from lab_plugins.kubernetes.objects import condition, dig, name_of, owned_by
from lab_plugins.kubernetes.session import Session
from lab_plugins.kubernetes.waiting.base import ObjectWait
from lab_plugins.kubernetes.waiting.feed import Event
from lab_plugins.kubernetes.waiting.pod_problems import pod_problems


class JobWait(ObjectWait):
    """Waits for the condition Complete."""

    def __init__(self, session: Session, obj: dict[str, Any]) -> None:
        super().__init__(session, obj)
        self.also_follow("v1", "Pod", labels=f"batch.kubernetes.io/job-name={name_of(obj)}")
        self._complaints: dict[str, None] = {}  # in order, each once

    def observe_other(self, event: Event) -> None:
        """Note what the pods complain about; it stays true after they are gone."""
        if owned_by(event.object, self.live) and not event.deleted:
            self._complaints.update(dict.fromkeys(pod_problems(event.object)))

    def done(self) -> bool:
        """Tell whether the Job succeeded."""
        return (
            bool(dig(self.live, "status", "startTime"))
            and condition(self.live, "Complete").get("status") == "True"
        )

    def failed(self) -> bool:
        """Tell whether the Job has given up."""
        return condition(self.live, "Failed").get("status") == "True"

    def status(self) -> str:
        """Return the counts of pods."""
        counts = " | ".join(
            f"{name}: {dig(self.live, 'status', name.lower()) or 0}"
            for name in ("Active", "Succeeded", "Failed")
        )
        return f'Waiting for Job "{name_of(self.live)}" to succeed ({counts})'

    def reasons(self) -> list[str]:
        """Return the Job's own complaint, then the pods'."""
        failed = condition(self.live, "Failed")
        own = (
            [f"[{failed.get('reason', '')}] {failed.get('message', '')}"]
            if failed.get("status") == "True"
            else []
        )
        return [*own, *self._complaints]
