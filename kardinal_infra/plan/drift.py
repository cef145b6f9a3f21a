"""What of the baseline has moved since a flow was last brought up."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from kardinal_infra.observed.live import Object, pod_template
from kardinal_infra.plan.forks import image_of
from kardinal_infra.plan.model import FlowPlan, ForkPlan

_DIGITS = 12


def template_versions(plan: FlowPlan) -> dict[str, str]:
    """Identifies the live pod template behind each fork, the application's image left aside.

    Args:
        plan: The plan.

    Returns:
        12 hexadecimal digits by forked service.
    """
    return {
        fork.service: _template_version(fork.spec.workload, plan.baseline_images.get(fork.service))
        for fork in plan.forks
    }


def drift(earlier: Mapping[str, Any], plan: FlowPlan) -> list[str]:
    """Compares the baseline of a plan with the one that the flow's stack remembers.

    What only one of the two knows has not moved: a flow that forks other services than before, or an
    application that has got another service.

    Args:
        earlier: The outputs of the stack's last `up`; empty before the first one.
        plan: The plan, from the baseline as it is now.

    Returns:
        Lines for people; none when nothing has moved.
    """
    version = earlier.get("baselineVersion")
    if version is None or version == plan.baseline_version:
        return []
    images = _moved(_images(earlier), plan.baseline_images)
    # A flow of an earlier version of this package does not remember them.
    templates = _moved(earlier.get("baselineTemplates") or {}, template_versions(plan))
    if not images and not templates:
        return []  # the version changes with the set of forks, too
    followed = templates or any(_follows(fork, plan) for fork in plan.forks if fork.service in images)
    effect = "`pulumi up` brings the forks to it" if followed else "the forks stay as they are"
    return [
        f"The baseline has moved since this flow was last brought up ({version} -> {plan.baseline_version});"
        f" {effect}",
        *(f"  {service}: image {old} -> {new}" for service, (old, new) in images.items()),
        *(f"  {service}: its pod template, besides the images named here" for service in templates),
    ]


def _moved(before: Mapping[str, str], now: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """What differs, before and now, among what both sides know."""
    both = sorted(name for name in before.keys() & now.keys() if before[name] and now[name])
    return {name: (before[name], now[name]) for name in both if before[name] != now[name]}


def _images(earlier: Mapping[str, Any]) -> dict[str, str]:
    nodes = (earlier.get("topology") or {}).get("nodes") or ()
    return {node["name"]: node["versions"][0].get("image", "") for node in nodes if node["kind"] == "service"}


def _follows(fork: ForkPlan, plan: FlowPlan) -> bool:
    """Whether a fork runs the baseline's image, which its flow may have replaced, or another container's."""
    replaced = image_of(fork.spec.workload, fork.spec.container, fork.service)
    return fork.spec.image is None or replaced != plan.baseline_images[fork.service]


def _template_version(workload: Object, image: str | None) -> str:
    """Identifies a pod template without the image that is compared by itself.

    Containers of the application's own image change with it, in a fork too; the image of any other container
    belongs to the template.
    """
    template: dict[str, Any] = deepcopy(dict(pod_template(workload)))
    spec = template.get("spec") or {}
    for container in (*(spec.get("initContainers") or ()), *(spec.get("containers") or ())):
        if container.get("image") == image:
            container.pop("image", None)
    return hashlib.sha256(json.dumps(template, sort_keys=True, default=str).encode()).hexdigest()[:_DIGITS]
