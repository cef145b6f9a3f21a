"""Who owns which field: moving ownership to our server-side-apply manager before its first apply.

A create is a plain POST, so the fields belong to `pulumi-kubernetes` with operation Update. An apply by
another manager would neither remove fields that the program dropped nor get past the conflicts with that one.
"""

from __future__ import annotations

import copy
from typing import Any

from lab_plugins.kubernetes.objects import Object, dig

_TAKEN_OVER = (
    ("kubectl", "Apply"),
    ("kubectl", "Update"),
    ("before-first-apply", "Update"),
    ("pulumi-kubernetes", "Update"),
    ("pulumi-resource-kubernetes", "Update"),
)


def take_over(live: Object, manager: str) -> list[Object]:
    """Return the JSON patch that gives the fields of earlier tools to a manager; empty if none is to move.

    Fields that were set through a subresource (`kubectl scale`) stay with whoever set them.

    Args:
        live: the object with its managedFields.
        manager: the new owner.
    """
    entries = dig(live, "metadata", "managedFields") or []
    moved = [entry for entry in entries if _is_taken_over(entry)]
    if not moved:
        return []
    kept = [entry for entry in entries if not _is_taken_over(entry)]
    ours = next((entry for entry in kept if _is_applied_by(entry, manager)), None)
    target = copy.deepcopy(ours or moved[0])
    target.update(manager=manager, operation="Apply")
    for entry in moved:
        _merge(target.setdefault("fieldsV1", {}), entry.get("fieldsV1") or {})
    result = [target, *(entry for entry in kept if entry is not ours)]
    return [
        {"op": "replace", "path": "/metadata/managedFields", "value": result},
        # The API server then refuses the patch if the object changed in between.
        {"op": "replace", "path": "/metadata/resourceVersion", "value": live["metadata"]["resourceVersion"]},
    ]


def owned_paths(live: Object, manager: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the fields of a manager, and those of all others, each as one FieldsV1 tree."""
    ours: dict[str, Any] = {}
    theirs: dict[str, Any] = {}
    for entry in dig(live, "metadata", "managedFields") or []:
        _merge(
            ours if entry.get("manager") == manager else theirs, copy.deepcopy(entry.get("fieldsV1") or {})
        )
    return ours, theirs


def owns(fields: dict[str, Any], path: list[str]) -> bool:
    """Tell whether a FieldsV1 tree holds a field, given as plain keys."""
    for key in path:
        if f"f:{key}" not in fields:
            return False
        fields = fields[f"f:{key}"]
    return True


def _is_taken_over(entry: Object) -> bool:
    return not entry.get("subresource") and any(
        entry.get("manager", "").startswith(name) and entry.get("operation") == operation
        for name, operation in _TAKEN_OVER
    )


def _is_applied_by(entry: Object, manager: str) -> bool:
    return (
        entry.get("manager") == manager and entry.get("operation") == "Apply" and not entry.get("subresource")
    )


def _merge(target: dict[str, Any], source: dict[str, Any]) -> None:
    for key, value in source.items():
        _merge(target.setdefault(key, {}), value)
