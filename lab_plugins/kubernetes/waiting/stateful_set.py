"""A StatefulSet is ready when all its pods are, in the newest revision."""

from __future__ import annotations

from typing import Any

from lab_plugins.kubernetes.objects import dig, name_of, owned_by
from lab_plugins.kubernetes.session import Session
from lab_plugins.kubernetes.waiting.base import ObjectWait
from lab_plugins.kubernetes.waiting.feed import Event, label_query
from lab_plugins.kubernetes.waiting.pod_problems import pod_problems


class StatefulSetWait(ObjectWait):
    """Waits for a rollout; with the strategy `OnDelete` only for the pods."""

    def __init__(self, session: Session, obj: dict[str, Any]) -> None:
        super().__init__(session, obj)
        self.also_follow("v1", "Pod", labels=label_query(dig(obj, "spec", "selector")))
        self._pods: dict[str, dict[str, Any]] = {}

    def observe_other(self, event: Event) -> None:
        """Keep the pods."""
        if event.deleted:
            self._pods.pop(name_of(event.object), None)
        else:
            self._pods[name_of(event.object)] = event.object

    def _count(self, field: str) -> int:
        return dig(self.live, "status", field) or 0

    @property
    def _wanted(self) -> int:
        wanted = dig(self.live, "spec", "replicas")
        return 1 if wanted is None else wanted

    @property
    def _on_delete(self) -> bool:
        return bool(dig(self.live, "spec", "updateStrategy", "type") == "OnDelete")

    @property
    def _revision_ready(self) -> bool:
        current = dig(self.live, "status", "currentRevision")
        return self._on_delete or (bool(current) and current == dig(self.live, "status", "updateRevision"))

    @property
    def _replicas_ready(self) -> bool:
        fields = (
            ("replicas", "readyReplicas")
            if self._on_delete
            else ("replicas", "readyReplicas", "currentReplicas")
        )
        return all(self._count(field) == self._wanted for field in fields)

    def done(self) -> bool:
        """Tell whether all pods are ready in the newest revision."""
        return self.observed and self._revision_ready and self._replicas_ready

    def status(self) -> str:
        """Return the count of pods."""
        ready = self._count("readyReplicas")
        return f"Waiting for StatefulSet to create Pods ({ready}/{self._wanted} Pods ready)"

    def reasons(self) -> list[str]:
        """Return the counts and the pods' complaints."""
        reasons = []
        if not self._replicas_ready:
            reasons.append(
                f"{self._count('readyReplicas')} out of {self._wanted} replicas succeeded readiness checks"
            )
        if not self._revision_ready:
            current, target = (
                dig(self.live, "status", name) or "" for name in ("currentRevision", "updateRevision")
            )
            reasons.append(
                f'StatefulSet controller failed to advance from revision "{current}" to revision "{target}"'
            )
        for pod in self._pods.values():
            if owned_by(pod, self.live):
                reasons += pod_problems(pod)
        return reasons
