"""Why a pod is not ready, in the official provider's words."""

from __future__ import annotations

from typing import Any

from lab_plugins.kubernetes.objects import condition, dig, name_of, namespace_of


def pod_ready(pod: dict[str, Any]) -> bool:
    """Tell whether a pod is scheduled, initialized and ready (or has run to its end)."""
    if dig(pod, "status", "phase") == "Succeeded":
        return True
    return all(
        condition(pod, kind).get("status") == "True" for kind in ("PodScheduled", "Initialized", "Ready")
    )


def pod_problems(pod: dict[str, Any]) -> list[str]:
    """Return what is wrong with a pod: at most one line, for the first stage that it has not passed."""
    for kind in ("PodScheduled", "Initialized", "Ready"):
        stage = condition(pod, kind)
        if not stage or stage.get("status") == "True":
            continue
        if dig(pod, "status", "phase") == "Succeeded":
            return []
        message = stage.get("message", "") if stage.get("reason") else ""
        statuses = dig(pod, "status", "containerStatuses") or []
        if kind == "Initialized":
            statuses = [*(dig(pod, "status", "initContainerStatuses") or []), *statuses]
        details = [detail for status in statuses for detail in _container_problems(status)]
        if not message and not details:
            return []
        return [f"[Pod {_full_name(pod)}]: {message}{chr(10).join(details)}"]
    return []


def _container_problems(status: dict[str, Any]) -> list[str]:
    if status.get("ready"):
        return []
    problems = []
    waiting = dig(status, "state", "waiting") or {}
    if waiting and waiting.get("reason") != "ContainerCreating":
        problems.append(f"[{waiting.get('reason', '')}] {waiting.get('message', '')}")
    ended = dig(status, "state", "terminated") or {}
    if ended.get("reason"):
        problems.append(
            f"[{ended['reason']}] {ended['message']}"
            if ended.get("message")
            else f'container "{status.get("name")}" completed with exit code {ended.get("exitCode")}'
        )
    last = dig(status, "lastState", "terminated") or {}
    if last:
        problems.append(
            f'container "{status.get("name")}" terminated at {last.get("finishedAt")} '
            f"({last.get('reason')}: exit code {last.get('exitCode')})"
        )
        if last.get("message"):
            problems.append(last["message"])
    return problems


def _full_name(pod: dict[str, Any]) -> str:
    namespace = namespace_of(pod)
    return name_of(pod) if namespace in ("", "default") else f"{namespace}/{name_of(pod)}"
