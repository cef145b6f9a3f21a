"""Which changes cannot be made in place, kind by kind.

Source: the immutable fields of the Kubernetes API, in the selection that the official provider makes
(k8s 1.36, pulumi-kubernetes 4.34).
"""

from __future__ import annotations

from typing import Any

from lab_plugins.kubernetes.objects import group_of

Path = tuple[str | int, ...]

_IDENTITY = ("metadata.name", "metadata.namespace")
_VOLUME_SOURCES = [
    "awsElasticBlockStore",
    "azureDisk",
    "azureFile",
    "cephfs",
    "cinder",
    "csi",
    "fc",
    "flexVolume",
    "flocker",
    "gcePersistentDisk",
    "glusterfs",
    "hostPath",
    "iscsi",
    "local",
    "nfs",
    "photonPersistentDisk",
    "portworxVolume",
    "quobyte",
    "rbd",
    "scaleIO",
    "storageos",
    "vsphereVolume",
]
_POD_FIELDS = [
    "affinity",
    "automountServiceAccountToken",
    "dnsConfig",
    "dnsPolicy",
    "enableServiceLinks",
    "hostAliases",
    "hostIPC",
    "hostNetwork",
    "hostPID",
    "hostname",
    "imagePullSecrets",
    "nodeName",
    "nodeSelector",
    "overhead",
    "preemptionPolicy",
    "priority",
    "priorityClassName",
    "readinessGates",
    "restartPolicy",
    "runtimeClassName",
    "schedulerName",
    "securityContext",
    "serviceAccount",
    "serviceAccountName",
    "shareProcessNamespace",
    "subdomain",
    "terminationGracePeriodSeconds",
    "volumes",
]
_CONTAINER_FIELDS = [
    "args",
    "command",
    "env",
    "image",
    "imagePullPolicy",
    "lifecycle",
    "livenessProbe",
    "ports",
    "readinessProbe",
    "resources",
    "securityContext",
    "stdin",
    "stdinOnce",
    "terminationMessagePath",
    "terminationMessagePolicy",
    "tty",
    "volumeDevices",
    "volumeMounts",
    "workingDir",
]

_RULES: dict[tuple[str, str], tuple[str, ...]] = {
    ("apps", "Deployment"): ("spec.selector",),
    ("apps", "DaemonSet"): ("spec.selector",),
    ("apps", "StatefulSet"): (
        "spec.podManagementPolicy",
        "spec.revisionHistoryLimit",
        "spec.selector",
        "spec.serviceName",
        "spec.volumeClaimTemplates",
    ),
    ("batch", "Job"): ("spec.completions", "spec.parallelism", "spec.selector", "spec.template"),
    ("policy", "PodDisruptionBudget"): ("spec",),
    ("rbac.authorization.k8s.io", "RoleBinding"): ("roleRef",),
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"): ("roleRef",),
    ("storage.k8s.io", "StorageClass"): ("parameters", "provisioner"),
    ("", "PersistentVolume"): tuple(f"spec.{source}" for source in _VOLUME_SOURCES),
    ("", "PersistentVolumeClaim"): (
        "spec.accessModes",
        "spec.selector",
        "spec.storageClassName",
        "spec.volumeName",
    ),
    ("", "Pod"): (
        *(f"spec.{field}" for field in _POD_FIELDS),
        *(
            f"spec.{group}.*.{field}"
            for group in ("containers", "initContainers")
            for field in _CONTAINER_FIELDS
        ),
    ),
    ("", "ResourceQuota"): ("spec.scopes",),
    ("", "Service"): ("spec.clusterIP",),
}


def replacing_fields(inputs: dict[str, Any], *, secret_mutable: bool, config_map_mutable: bool) -> list[Path]:
    """Return the fields of an object whose change asks for a new one.

    Args:
        inputs: the new inputs.
        secret_mutable: the provider's `enableSecretMutable`.
        config_map_mutable: the provider's `enableConfigMapMutable`.

    Returns:
        Paths; `*` stands for any position of a list.
    """
    kind, group = inputs.get("kind", ""), group_of(inputs.get("apiVersion", ""))
    fields = _RULES.get((group, kind), ())
    frozen = inputs.get("immutable") is True
    if (group, kind) == ("", "Secret"):
        fields = ("type",) if secret_mutable and not frozen else ("type", "stringData", "data")
    elif (group, kind) == ("", "ConfigMap") and (frozen or not config_map_mutable):
        fields = ("binaryData", "data")
    return [tuple(field.split(".")) for field in (*_IDENTITY, *fields)]


def forces_replacement(path: Path, value: Any, fields: list[Path]) -> bool:
    """Tell whether a change touches one of the fields.

    Args:
        path: where the change is.
        value: the new value there, None when it goes.
        fields: from `replacing_fields`.
    """
    return any(_touches(path, value, field) for field in fields)


def _touches(path: Path, value: Any, field: Path) -> bool:
    for step, wanted in zip(path, field, strict=False):
        if wanted != "*" and step != wanted:
            return False
    return len(path) >= len(field) or _holds(value, field[len(path) :])


def _holds(value: Any, rest: Path) -> bool:
    """Tell whether a value that comes as a whole brings the field along."""
    if not rest:
        return True
    if rest[0] == "*":
        return isinstance(value, list) and any(_holds(item, rest[1:]) for item in value)
    return isinstance(value, dict) and rest[0] in value and _holds(value[rest[0]], rest[1:])
