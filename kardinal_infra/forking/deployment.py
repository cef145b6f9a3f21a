"""The Deployment of a fork, derived from the live workload."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from kardinal_infra.forking.containers import INJECTED, INJECTED_STATUS, is_injected
from kardinal_infra.forking.spec import DatabaseEnv, ForkSpec, SecretText
from kardinal_infra.live import pod_template

MAX_GRACE_SECONDS = 10
"""Longest wait after SIGTERM; a process that ignores it would cost 30 s on every destroy."""

MIN_READY_SECONDS = 5
"""Without a readiness probe a crash-looping pod counts as ready; it must survive this long."""

# Who else claims an object. Keys equal to one of these, or beginning with it when it ends with "/".
_OWNERSHIP = (
    "kubectl.kubernetes.io/last-applied-configuration",
    "kubectl.kubernetes.io/restartedAt",
    "deployment.kubernetes.io/",
    "argocd.argoproj.io/",
    "argoproj.io/",
    "meta.helm.sh/",
    "helm.sh/",
    "pulumi.com/",
    "kustomize.toolkit.fluxcd.io/",
    "helm.toolkit.fluxcd.io/",
    "fluxcd.io/",
    "config.k8s.io/",
    "config.kubernetes.io/",
    "kapp.k14s.io/",
    "objectset.rio.cattle.io/",
    "cnrm.cloud.google.com/",
    "app.kubernetes.io/managed-by",
    "app.kubernetes.io/instance",
    "pod-template-hash",
    "controller-revision-hash",
    "statefulset.kubernetes.io/",
    "apps.kubernetes.io/pod-index",
    "kardinal.dev/",
)
_INJECTED_VOLUMES = frozenset(
    {
        "istio-envoy",
        "istio-data",
        "istio-podinfo",
        "istio-token",
        "istiod-ca-cert",
        "istio-ca-crl",
        "workload-socket",
        "workload-certs",
        "credential-socket",
    }
)
_INJECTED_ANNOTATIONS = ("prometheus.io/path", "prometheus.io/port", "prometheus.io/scrape")


def fork_deployment(spec: ForkSpec, secrets: Mapping[str, Any]) -> dict[str, Any]:
    """Derives the Deployment of a fork.

    Kept are the pod's whole specification, probes, mounts, service account and annotations. Dropped is what
    the API server or another owner put there, and every label by which something in the namespace selects
    pods.

    Args:
        spec: The fork.
        secrets: Name of the Secret that holds each branched database's connection, by database; its keys are
            the names of the environment variables. A name may be anything that stands for one (an output).
            Databases with the hand-over `sidecar` need none.

    Returns:
        The manifest. Literal env values are `SecretText`.
    """
    live = spec.workload
    template = deepcopy(dict(pod_template(live)))
    injected = is_injected(template)
    metadata = template.get("metadata") or {}
    pod = template["spec"]
    if injected:
        _drop_injected(pod)
    pod.pop("topologySpreadConstraints", None)  # they count pods by the baseline's labels
    pod.pop("serviceAccount", None)  # the API server's copy of serviceAccountName
    pod["terminationGracePeriodSeconds"] = min(
        pod.get("terminationGracePeriodSeconds", MAX_GRACE_SECONDS), MAX_GRACE_SECONDS
    )
    for claim in live.get("spec", {}).get("volumeClaimTemplates") or ():
        pod["volumes"] = [
            *(volume for volume in pod.get("volumes") or () if volume["name"] != claim["metadata"]["name"]),
            {"name": claim["metadata"]["name"], "emptyDir": {}},
        ]
    for container in (*(pod.get("initContainers") or ()), *pod["containers"]):
        for port in container.get("ports") or ():
            port.pop("hostPort", None)  # taken by the baseline's pod on the same node
        _patch_env(container, spec, secrets)
    application = next(item for item in pod["containers"] if item["name"] == spec.container)
    _patch_application(application, spec)
    result: dict[str, Any] = {
        "replicas": spec.replicas,
        "selector": {"matchLabels": spec.selector},
        "template": {
            "metadata": {
                "labels": {
                    **kept_labels(metadata.get("labels") or {}, spec.selected_keys),
                    **spec.owner.labels(spec.service),
                    **spec.selector,
                },
                "annotations": {
                    key: value
                    for key, value in _unowned(metadata.get("annotations") or {}).items()
                    if not (injected and key in {INJECTED_STATUS, *_INJECTED_ANNOTATIONS})
                },
            },
            "spec": pod,
        },
    }
    ready = live.get("spec", {}).get("minReadySeconds") or 0
    if "readinessProbe" not in application:
        ready = max(ready, MIN_READY_SECONDS)
    if ready:
        result["minReadySeconds"] = ready
    annotations = _unowned(live.get("metadata", {}).get("annotations") or {})
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": spec.owner.metadata(spec.name, spec.service, annotations),
        "spec": result,
    }


def kept_labels(labels: Mapping[str, str], selected_keys: frozenset[str]) -> dict[str, str]:
    """Labels of a baseline's pods that a fork's pods may carry.

    Args:
        labels: Labels of the baseline's pod template.
        selected_keys: Keys by which anything in the namespace selects pods.

    Returns:
        Those that nobody selects by and that claim no owner.
    """
    return {key: value for key, value in _unowned(labels).items() if key not in selected_keys}


def _unowned(marks: Mapping[str, str]) -> dict[str, str]:
    return {
        key: value
        for key, value in marks.items()
        if not any(key == mark or (mark.endswith("/") and key.startswith(mark)) for mark in _OWNERSHIP)
    }


def _drop_injected(pod: dict[str, Any]) -> None:
    for part in ("initContainers", "containers"):
        if part in pod:
            pod[part] = [item for item in pod[part] if item["name"] not in INJECTED]
    pod["volumes"] = [
        volume for volume in pod.get("volumes") or () if volume["name"] not in _INJECTED_VOLUMES
    ]


def _patch_application(container: dict[str, Any], spec: ForkSpec) -> None:
    if spec.image is not None:
        container["image"] = spec.image
    if spec.command is not None:
        container["command"] = list(spec.command)
        container.pop("args", None)
    for name, value in spec.env.items():
        # New ones last, so that they may refer to all others as $(NAME).
        _set_env(
            container, {"name": name, "value": SecretText(value)}, new_at=len(container.get("env") or ())
        )


def _patch_env(container: dict[str, Any], spec: ForkSpec, secrets: Mapping[str, Any]) -> None:
    for entry in container.get("env") or ():
        if "value" in entry:
            entry["value"] = SecretText(entry["value"])
    own = {entry["name"] for entry in container.get("env") or ()}
    for use in spec.databases:
        if use.handover == "env":
            _point_to_branch(container, use, own, secrets)


def _point_to_branch(
    container: dict[str, Any], use: DatabaseEnv, own: set[str], secrets: Mapping[str, Any]
) -> None:
    for name in use.environment:
        # A variable of envFrom is overridden without asking whether it is there: an unused one does no harm.
        if name in own or container.get("envFrom"):
            reference = {"secretKeyRef": {"name": secrets[use.database], "key": name}}
            # First, so that later values that refer to it get the branch's.
            _set_env(container, {"name": name, "valueFrom": reference}, new_at=0)


def _set_env(container: dict[str, Any], entry: dict[str, Any], *, new_at: int) -> None:
    entries = container.get("env") or []
    container["env"] = entries
    for index, other in enumerate(entries):
        if other["name"] == entry["name"]:
            entries[index] = entry
            return
    entries.insert(new_at, entry)
