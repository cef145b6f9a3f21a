"""A Deployment is ready when its newest ReplicaSet is, and the Deployment is available."""

from __future__ import annotations

from typing import Any

from lab_plugins.kubernetes.objects import annotation, condition, dig, name_of, owned_by
from lab_plugins.kubernetes.session import Session
from lab_plugins.kubernetes.waiting.base import ObjectWait
from lab_plugins.kubernetes.waiting.feed import Event, label_query
from lab_plugins.kubernetes.waiting.pod_problems import pod_problems

_REVISION = "deployment.kubernetes.io/revision"


class DeploymentWait(ObjectWait):
    """Waits for a rollout. Old pods may still be there when it is over."""

    def __init__(self, session: Session, obj: dict[str, Any]) -> None:
        super().__init__(session, obj)
        labels = label_query(dig(obj, "spec", "selector"))
        self.also_follow("apps/v1", "ReplicaSet", labels=labels)
        self.also_follow("v1", "Pod", labels=labels)
        self._replica_sets: dict[str, dict[str, Any]] = {}
        self._pods: dict[str, dict[str, Any]] = {}

    def observe_other(self, event: Event) -> None:
        """Keep the ReplicaSets and pods."""
        known = self._replica_sets if event.kind == "ReplicaSet" else self._pods
        if event.deleted:
            known.pop(name_of(event.object), None)
        else:
            known[name_of(event.object)] = event.object

    @property
    def _replica_set(self) -> dict[str, Any]:
        """The newest ReplicaSet; empty until it is there."""
        revision = annotation(self.live, _REVISION)
        for candidate in self._replica_sets.values():
            if revision and owned_by(candidate, self.live) and annotation(candidate, _REVISION) == revision:
                return candidate
        return {}

    @property
    def _replicas_ready(self) -> bool:
        replica_set = self._replica_set
        wanted = dig(replica_set, "spec", "replicas")
        return bool(replica_set) and (dig(replica_set, "status", "readyReplicas") or 0) >= (
            1 if wanted is None else wanted
        )

    @property
    def _available(self) -> bool:
        return condition(self.live, "Available").get("status") == "True"

    @property
    def _rolled_out(self) -> bool:
        if annotation(self.live, _REVISION) == "1":
            return True
        progressing = condition(self.live, "Progressing")
        return progressing.get("status") == "True" and progressing.get("reason") == "NewReplicaSetAvailable"

    def done(self) -> bool:
        """Tell whether the newest ReplicaSet serves."""
        return self.observed and self._available and self._rolled_out and self._replicas_ready

    def status(self) -> str:
        """Return the count of pods."""
        replica_set = self._replica_set
        if not replica_set:
            return "Waiting for app ReplicaSet to be created"
        ready, wanted = dig(replica_set, "status", "readyReplicas") or 0, dig(replica_set, "spec", "replicas")
        return f"Waiting for app ReplicaSet to be available ({ready}/{wanted} Pods available)"

    def reasons(self) -> list[str]:
        """Return the Deployment's own complaints, then the pods'."""
        reasons = []
        for kind in ("Progressing", "Available"):
            entry = condition(self.live, kind)
            if entry and entry.get("status") != "True" and entry.get("reason"):
                reasons.append(f"[{entry['reason']}] {entry.get('message', '')}")
        if not self._available:
            reasons.append("Minimum number of live Pods was not attained")
        elif not self._rolled_out:
            reasons.append("Minimum number of Pods to consider the application live was not attained")
        elif not self._replicas_ready:
            reasons.append(
                "Attempted to roll forward to new ReplicaSet, but minimum number of Pods did not become live"
            )
        replica_set = self._replica_set
        for pod in self._pods.values():
            if replica_set and owned_by(pod, replica_set):
                reasons += pod_problems(pod)
        return reasons
