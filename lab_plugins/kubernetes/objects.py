"""Small readings of Kubernetes objects held as plain dicts."""

from __future__ import annotations

from typing import Any

Object = dict[str, Any]


def dig(value: Any, *path: str) -> Any:
    """Follow keys through nested dicts; None where the way ends."""
    for key in path:
        if not isinstance(value, dict):
            return None
        value = value.get(key)
    return value


def name_of(obj: Object) -> str:
    """Return metadata.name, empty if it has none (or one that is not known yet)."""
    name = dig(obj, "metadata", "name")
    return name if isinstance(name, str) else ""


def namespace_of(obj: Object) -> str:
    """Return metadata.namespace, empty if it has none."""
    namespace = dig(obj, "metadata", "namespace")
    return namespace if isinstance(namespace, str) else ""


def identity(obj: Object) -> str:
    """Return the Pulumi id: `namespace/name`, or `name` without a namespace."""
    namespace = namespace_of(obj)
    return f"{namespace}/{name_of(obj)}" if namespace else name_of(obj)


def split_identity(identifier: str) -> tuple[str, str]:
    """Return (namespace, name) of a Pulumi id; the namespace is empty when the id has none."""
    namespace, _, name = identifier.rpartition("/")
    return namespace, name


def annotation(obj: Object, key: str) -> str:
    """Return one annotation's value, empty if absent."""
    value = dig(obj, "metadata", "annotations", key)
    return value if isinstance(value, str) else ""


def group_of(api_version: str) -> str:
    """Return the group of an apiVersion, empty for the core group."""
    return api_version.rpartition("/")[0]


def is_definition(obj: Object) -> bool:
    """Tell whether an object is a CustomResourceDefinition."""
    return (
        obj.get("kind") == "CustomResourceDefinition"
        and group_of(obj.get("apiVersion", "")) == "apiextensions.k8s.io"
    )


def owned_by(obj: Object, owner: Object) -> bool:
    """Tell whether an object names another one as an owner."""
    uid = dig(owner, "metadata", "uid")
    return any(reference.get("uid") == uid for reference in dig(obj, "metadata", "ownerReferences") or [])


def condition(obj: Object, kind: str) -> Object:
    """Return one entry of status.conditions by its type, empty if absent."""
    for entry in dig(obj, "status", "conditions") or []:
        if isinstance(entry, dict) and entry.get("type") == kind:
            return entry
    return {}
