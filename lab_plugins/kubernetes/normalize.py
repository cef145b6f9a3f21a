"""Inputs in the form in which the API server will show them, so that equal things compare equal."""

from __future__ import annotations

import base64
import copy
from typing import Any

from lab_plugins.common.wire import has_unknown
from lab_plugins.kubernetes.objects import group_of
from lab_plugins.kubernetes.quantities import canonicalize

# The groups whose types every API server has; in all others a value is stored as it was sent.
_BUILT_IN_GROUPS = frozenset(
    {"", "apps", "autoscaling", "batch", "policy", "extensions"}
    | {
        f"{name}.k8s.io"
        for name in (
            "admissionregistration",
            "apiextensions",
            "apiregistration",
            "authentication",
            "authorization",
            "certificates",
            "coordination",
            "discovery",
            "events",
            "flowcontrol.apiserver",
            "networking",
            "node",
            "rbac.authorization",
            "resource",
            "scheduling",
            "storage",
        )
    }
)
_SERVER_SET = (
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "generation",
    "managedFields",
    "resourceVersion",
    "uid",
)


def is_built_in(api_version: str) -> bool:
    """Tell whether an apiVersion belongs to Kubernetes itself."""
    return group_of(api_version) in _BUILT_IN_GROUPS


def normalize(inputs: dict[str, Any]) -> dict[str, Any]:
    """Return a copy of the inputs in the API server's form.

    `stringData` of a Secret becomes base64 `data`, quantities get their canonical spelling, server-set
    metadata goes. While anything is unknown only the metadata is cleaned, as in the official provider.
    """
    result = copy.deepcopy(inputs)
    if not has_unknown(inputs) and is_built_in(str(inputs.get("apiVersion", ""))):
        result = canonicalize(result)
        if result.get("kind") == "Secret" and result.get("apiVersion") == "v1":
            _encode_string_data(result)
    metadata = result.get("metadata")
    if isinstance(metadata, dict):
        for key in _SERVER_SET:
            metadata.pop(key, None)
    return result


def _encode_string_data(secret: dict[str, Any]) -> None:
    string_data = secret.pop("stringData", None)
    if not isinstance(string_data, dict):
        return
    encoded = {key: base64.b64encode(str(text).encode()).decode() for key, text in string_data.items()}
    secret["data"] = {**(secret.get("data") or {}), **encoded}
