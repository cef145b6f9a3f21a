from typing import Any

import pytest

from lab_plugins.kubernetes.property_paths import parse
from lab_plugins.kubernetes.replace_rules import forces_replacement, replacing_fields


def replaces(
    api_version: str,
    kind: str,
    path: str,
    value: object = "x",
    secret_mutable: bool = False,
    config_map_mutable: bool = False,
    **inputs: Any,
) -> bool:
    obj = {"apiVersion": api_version, "kind": kind, **inputs}
    fields = replacing_fields(obj, secret_mutable=secret_mutable, config_map_mutable=config_map_mutable)
    return forces_replacement(parse(path), value, fields)


@pytest.mark.parametrize(
    ("api_version", "kind", "path"),
    [
        ("example.dev/v1", "Thing", "metadata.name"),
        ("v1", "ConfigMap", "metadata.namespace"),
        ("apps/v1", "Deployment", "spec.selector.matchLabels.run"),
        ("apps/v1", "StatefulSet", "spec.serviceName"),
        ("apps/v1", "StatefulSet", "spec.volumeClaimTemplates[0].spec"),
        ("batch/v1", "Job", "spec.template.spec.containers[0].image"),
        ("batch/v1", "Job", "spec.completions"),
        ("v1", "Service", "spec.clusterIP"),
        ("v1", "ConfigMap", "data.key"),
        ("v1", "ConfigMap", "binaryData"),
        ("v1", "Secret", "data.key"),
        ("v1", "Secret", "type"),
        ("v1", "Pod", "spec.containers[1].image"),
        ("v1", "PersistentVolumeClaim", "spec.storageClassName"),
        ("rbac.authorization.k8s.io/v1", "RoleBinding", "roleRef.name"),
        ("policy/v1", "PodDisruptionBudget", "spec.minAvailable"),
    ],
)
def test_a_new_object_is_needed(api_version: str, kind: str, path: str) -> None:
    assert replaces(api_version, kind, path)


@pytest.mark.parametrize(
    ("api_version", "kind", "path"),
    [
        ("apps/v1", "Deployment", "spec.template.spec.containers[0].image"),
        ("apps/v1", "Deployment", "spec.replicas"),
        ("apps/v1", "Deployment", "metadata.labels.app"),
        ("apps/v1", "StatefulSet", "spec.template"),
        ("batch/v1", "Job", "spec.backoffLimit"),
        ("v1", "Service", "spec.selector.app"),
        ("v1", "Service", "spec.ports[0].port"),
        ("v1", "ConfigMap", "metadata.annotations.x"),
        ("v1", "Pod", "spec.activeDeadlineSeconds"),
        ("gateway.networking.k8s.io/v1", "HTTPRoute", "spec.rules[0].matches"),
        ("networking.k8s.io/v1", "NetworkPolicy", "spec.podSelector"),
        ("example.dev/v1", "Deployment", "spec.selector"),
    ],
)
def test_the_object_is_updated(api_version: str, kind: str, path: str) -> None:
    assert not replaces(api_version, kind, path)


def test_mutable_data_is_updated_unless_the_object_is_immutable() -> None:
    assert not replaces("v1", "ConfigMap", "data.a", config_map_mutable=True)
    assert replaces("v1", "ConfigMap", "data.a", config_map_mutable=True, immutable=True)
    assert not replaces("v1", "Secret", "data.a", secret_mutable=True)
    assert replaces("v1", "Secret", "type", secret_mutable=True)
    assert replaces("v1", "Secret", "data.a", secret_mutable=True, immutable=True)


def test_a_whole_that_brings_the_field_along() -> None:
    assert replaces("apps/v1", "Deployment", "spec", {"selector": {"matchLabels": {}}})
    assert not replaces("apps/v1", "Deployment", "spec", {"replicas": 1})
    assert replaces("v1", "Pod", "spec.containers", [{"name": "a", "image": "b"}])
