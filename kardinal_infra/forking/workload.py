"""The workload of a fork, derived from the live one."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from kardinal_infra.config import ContainerPatch
from kardinal_infra.forking.containers import INJECTED, INJECTED_STATUS, all_containers, is_injected
from kardinal_infra.forking.env import hide_values, point_to_branches, point_to_stores, set_requested
from kardinal_infra.forking.spec import BranchSecret, ForkSpec
from kardinal_infra.forking.volumes import choose_volumes, own_claims
from kardinal_infra.observed.live import pod_template, spec_of

MAX_GRACE_SECONDS = 10
"""Longest wait after SIGTERM; a process that ignores it would cost 30 s on every destroy
(docs/facts/kubernetes-plugin.md#deletion-waits-for-the-pods)."""

MIN_READY_SECONDS = 5
"""Without a readiness probe a crash-looping pod counts as ready; it must survive this long
(docs/facts/kubernetes-plugin.md#a-crash-loop-passes-as-ready)."""

NATIVE_SIDECAR = "sidecar.istio.io/nativeSidecar"
"""Annotation that starts the sidecar before the init containers."""

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


def fork_workload(spec: ForkSpec, secrets: Mapping[str, Any]) -> dict[str, Any]:
    """Derives the workload of a fork.

    A Deployment; a StatefulSet where the baseline's has volume claims of its own, so that the fork gets new
    ones that are deleted with it. Kept are the pod's whole specification, probes, mounts, service account and
    annotations. Dropped is what the API server or another owner put there, and every label by which something
    in the namespace counts or reaches pods.

    Args:
        spec: The fork.
        secrets: Name of the Secret that holds each branched database's connection, by database; its keys are
            the names of the environment variables. A name may be anything that stands for one (a
            `BranchSecret`, an output). Databases with the hand-over `sidecar` need none.

    Returns:
        The manifest. Literal env values are `SecretText`.
    """
    live = spec.workload
    claims = own_claims(spec)
    template = fork_template(spec, secrets)
    result: dict[str, Any] = {
        "replicas": spec.replicas,
        "selector": {"matchLabels": spec.selector},
        "template": template,
    }
    if claims:
        result |= {
            "serviceName": spec.name,
            "podManagementPolicy": "Parallel",
            "volumeClaimTemplates": claims,
            "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Delete", "whenScaled": "Delete"},
        }
    application = _container(template["spec"], spec.container)
    ready = spec_of(live).get("minReadySeconds") or 0
    if "readinessProbe" not in application:
        ready = max(ready, MIN_READY_SECONDS)
    if ready:
        result["minReadySeconds"] = ready
    annotations = _unowned((live.get("metadata") or {}).get("annotations") or {})
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet" if claims else "Deployment",
        "metadata": spec.owner.metadata(spec.name, spec.service, annotations),
        "spec": result,
    }


def fork_template(spec: ForkSpec, secrets: Mapping[str, Any]) -> dict[str, Any]:
    """Derives the pod template of a fork.

    Args:
        spec: The fork.
        secrets: As for `fork_workload`.
    """
    template = deepcopy(dict(pod_template(spec.workload)))
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
    choose_volumes(pod, spec)
    for container in all_containers(pod):
        for port in container.get("ports") or ():
            port.pop("hostPort", None)  # taken by the baseline's pod on the same node
        hide_values(container)
        point_to_branches(container, spec.databases, secrets)
        point_to_stores(container, spec.stores)
    _patch_containers(pod, spec)
    annotations = {
        key: value
        for key, value in _unowned(metadata.get("annotations") or {}).items()
        if not (injected and key in {INJECTED_STATUS, *_INJECTED_ANNOTATIONS})
    }
    if spec.locked:
        # An init container that runs before the sidecar would pass by the lock.
        annotations[NATIVE_SIDECAR] = "true"
    labels = {
        **kept_labels(metadata.get("labels") or {}, spec.selected_keys),
        **spec.owner.labels(spec.service),
        **spec.selector,
    }
    return {"metadata": {"labels": labels, "annotations": annotations}, "spec": pod}


def name_secrets(manifest: Any, secrets: Mapping[str, Any]) -> Any:
    """Puts the names of the branches' Secrets into a fork's manifest.

    Args:
        manifest: The manifest, or a part of one.
        secrets: As for `fork_workload`, of every database that a `BranchSecret` in it stands for.

    Returns:
        A copy; everything else is as it was.
    """
    if isinstance(manifest, BranchSecret):
        return secrets[manifest.database]
    if isinstance(manifest, Mapping):
        return {key: name_secrets(item, secrets) for key, item in manifest.items()}
    if isinstance(manifest, list):
        return [name_secrets(item, secrets) for item in manifest]
    return manifest


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


def _container(pod: Mapping[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(item for item in pod["containers"] if item["name"] == name)
    return found


def _patch_containers(pod: dict[str, Any], spec: ForkSpec) -> None:
    application = _container(pod, spec.container)
    if spec.image is not None:
        # Init containers and helpers of the same image (migrations, a second process) are the application
        # too.
        baseline = application["image"]
        for container in all_containers(pod):
            if container.get("image") == baseline:
                container["image"] = spec.image
    _patch(application, ContainerPatch(env=dict(spec.env), command=spec.command))
    for container in all_containers(pod):
        if container["name"] in spec.patches:
            _patch(container, spec.patches[container["name"]])


def _patch(container: dict[str, Any], patch: ContainerPatch) -> None:
    if patch.image is not None:
        container["image"] = patch.image
    if patch.command is not None:
        container["command"] = list(patch.command)
        container.pop("args", None)
    set_requested(container, patch.env)
