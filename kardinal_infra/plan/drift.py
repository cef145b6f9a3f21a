"""What of the baseline has moved since a flow was last brought up."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any

from kardinal_infra.live import Object, pod_template
from kardinal_infra.plan.model import FlowPlan

_DIGITS = 12


def template_versions(plan: FlowPlan) -> dict[str, str]:
    """Identifies the live pod template behind each fork, its images left aside.

    Args:
        plan: The plan.

    Returns:
        12 hexadecimal digits by forked service.
    """
    return {fork.service: _template_version(fork.spec.workload) for fork in plan.forks}


def drift(earlier: Mapping[str, Any], plan: FlowPlan) -> list[str]:
    """Compares the baseline of a plan with the one that the flow's stack remembers.

    Args:
        earlier: The outputs of the stack's last `up`; empty before the first one.
        plan: The plan, from the baseline as it is now.

    Returns:
        Lines for people; none when nothing has moved.
    """
    version = earlier.get("baselineVersion")
    if version is None or version == plan.baseline_version:
        return []
    moved = [*_moved_images(_images(earlier), plan.baseline_images), *_moved_templates(earlier, plan)]
    if not moved and "baselineTemplates" in earlier:
        return []  # the version changes with the set of forks, too
    forked = {fork.service for fork in plan.forks}
    touched = not moved or any(service in forked for service, _ in moved)
    effect = "`pulumi up` brings the forks to it" if touched else "the forks stay as they are"
    return [
        f"The baseline has moved since this flow was last brought up ({version} -> {plan.baseline_version});"
        f" {effect}",
        *(f"  {service}: {what}" for service, what in moved),
    ]


def _moved_images(before: Mapping[str, str], now: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for service in sorted(before.keys() | now.keys()):
        old, new = before.get(service, ""), now.get(service, "")
        if old != new:
            yield service, f"image {old or '(none)'} -> {new or '(none)'}"


def _moved_templates(earlier: Mapping[str, Any], plan: FlowPlan) -> Iterator[tuple[str, str]]:
    # A flow of an earlier version of this package does not remember them, a new fork has none before.
    before: Mapping[str, str] = earlier.get("baselineTemplates") or {}
    for service, version in template_versions(plan).items():
        if service in before and before[service] != version:
            yield service, "its pod template, besides the images"


def _images(earlier: Mapping[str, Any]) -> dict[str, str]:
    nodes = (earlier.get("topology") or {}).get("nodes") or ()
    return {
        node["name"]: node["versions"][0].get("image", "")
        for node in nodes
        if node["kind"] == "service" and node["versions"][0].get("image")
    }


def _template_version(workload: Object) -> str:
    template: dict[str, Any] = deepcopy(dict(pod_template(workload)))
    spec = template.get("spec") or {}
    for container in (*(spec.get("initContainers") or ()), *(spec.get("containers") or ())):
        container.pop("image", None)
    return hashlib.sha256(json.dumps(template, sort_keys=True, default=str).encode()).hexdigest()[:_DIGITS]
