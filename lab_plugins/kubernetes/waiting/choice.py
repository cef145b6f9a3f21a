"""Which wait belongs to an object."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lab_plugins.kubernetes import steering
from lab_plugins.kubernetes.objects import annotation
from lab_plugins.kubernetes.session import Session
from lab_plugins.kubernetes.waiting.claim import ClaimWait
from lab_plugins.kubernetes.waiting.deployment import DeploymentWait
from lab_plugins.kubernetes.waiting.job import JobWait
from lab_plugins.kubernetes.waiting.pod import PodWait
from lab_plugins.kubernetes.waiting.service import ServiceWait
from lab_plugins.kubernetes.waiting.stateful_set import StatefulSetWait
from lab_plugins.kubernetes.waiting.wait_for import ExpectationWait, parse_wait_for
from lab_plugins.kubernetes.waiting.waits import Wait

_BUILT_IN: dict[tuple[str, str], Callable[[Session, dict[str, Any]], Wait]] = {
    ("apps/v1", "Deployment"): DeploymentWait,
    ("apps/v1", "StatefulSet"): StatefulSetWait,
    ("batch/v1", "Job"): JobWait,
    ("v1", "Pod"): PodWait,
    ("v1", "PersistentVolumeClaim"): ClaimWait,
    ("v1", "Service"): ServiceWait,
}
# Kinds whose deletion is not awaited under `pulumi.com/skipAwait`; all others are.
_SKIPPED_DELETIONS = frozenset(
    {"Namespace", "Pod", "ReplicationController", "DaemonSet", "Deployment", "StatefulSet", "Job"}
)


def wait_for_ready(session: Session, inputs: dict[str, Any], live: dict[str, Any]) -> Wait | None:
    """Return what to wait for after a create or update; None when the API server's word is enough.

    Raises:
        WaitForError: the annotation `pulumi.com/waitFor` is not valid.
    """
    if steering.is_true(inputs, steering.SKIP_AWAIT):
        return None
    text = annotation(live, steering.WAIT_FOR)
    if text:
        return ExpectationWait(session, live, parse_wait_for(text))
    return _built_in(session, live)


def wait_on_refresh(session: Session, inputs: dict[str, Any], live: dict[str, Any]) -> Wait | None:
    """Return what a refresh looks at; the annotation `pulumi.com/waitFor` plays no part in it."""
    if steering.is_true(inputs, steering.SKIP_AWAIT) or live.get("kind") == "PersistentVolumeClaim":
        return None
    return _built_in(session, live)


def awaits_deletion(inputs: dict[str, Any], kind: str) -> bool:
    """Tell whether a deletion is over only when the object is gone."""
    return not (steering.is_true(inputs, steering.SKIP_AWAIT) and kind in _SKIPPED_DELETIONS)


def _built_in(session: Session, live: dict[str, Any]) -> Wait | None:
    choose = _BUILT_IN.get((live.get("apiVersion", ""), live.get("kind", "")))
    return choose(session, live) if choose else None
