"""Questions about one object of the cluster, a plain dict as the API server serves it (camelCase)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kardinal_infra.model.names import ANNOTATION_STACK, LABEL_FLOW

Object = Mapping[str, Any]
"""A Kubernetes object as a plain dict."""


def name_of(item: Object) -> str:
    """Returns an object's name."""
    return str((item.get("metadata") or {}).get("name", ""))


def namespace_of(item: Object) -> str:
    """Returns an object's namespace."""
    return str((item.get("metadata") or {}).get("namespace", ""))


def flow_of(item: Object) -> str | None:
    """Returns the flow that an object belongs to, None for all others."""
    value = ((item.get("metadata") or {}).get("labels") or {}).get(LABEL_FLOW)
    return None if value is None else str(value)


def owner_of(item: Object) -> str:
    """Returns the stack that an object says it belongs to, empty when it says none."""
    return str(((item.get("metadata") or {}).get("annotations") or {}).get(ANNOTATION_STACK, ""))


def spec_of(item: Object) -> Mapping[str, Any]:
    """Returns what an object or a pod template asks for, empty when it says nothing."""
    spec: Mapping[str, Any] = item.get("spec") or {}
    return spec


def policy_selector(policy: Object) -> Mapping[str, Any]:
    """Returns a policy's pod selector; the empty one selects every pod of the namespace.

    Args:
        policy: A NetworkPolicy or a policy of Istio's, with its kind.

    Returns:
        A LabelSelector.
    """
    spec = spec_of(policy)
    if policy["kind"] == "NetworkPolicy":
        selector: Mapping[str, Any] = spec.get("podSelector") or {}
        return selector
    if "workloadSelector" in spec:
        wanted = spec["workloadSelector"] or {}
        return {"matchLabels": wanted.get("labels") or wanted.get("matchLabels") or {}}
    return {"matchLabels": (spec.get("selector") or {}).get("matchLabels") or {}}


def pod_template(workload: Object) -> Object:
    """Returns a workload's pod template."""
    template: Object = spec_of(workload).get("template") or {}
    return template


def pod_labels(workload: Object) -> Mapping[str, str]:
    """Returns the labels of a workload's pods."""
    return (pod_template(workload).get("metadata") or {}).get("labels") or {}


def containers(template: Object) -> Iterator[Object]:
    """Yields the init containers, then the containers of a pod template."""
    spec = spec_of(template)
    yield from spec.get("initContainers") or ()
    yield from spec.get("containers") or ()
