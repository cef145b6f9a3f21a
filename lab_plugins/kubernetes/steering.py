"""The annotations through which a user steers the provider."""

from __future__ import annotations

from typing import Any

from lab_plugins.kubernetes.objects import annotation

AUTONAMED = "pulumi.com/autonamed"
DELETION_PROPAGATION = "pulumi.com/deletionPropagationPolicy"
PATCH_FIELD_MANAGER = "pulumi.com/patchFieldManager"
PATCH_FORCE = "pulumi.com/patchForce"
REPLACE_UNREADY = "pulumi.com/replaceUnready"
SKIP_AWAIT = "pulumi.com/skipAwait"
TIMEOUT_SECONDS = "pulumi.com/timeoutSeconds"
WAIT_FOR = "pulumi.com/waitFor"

_DEFAULT_TIMEOUT_SECONDS = 600.0


def is_true(obj: dict[str, Any], key: str) -> bool:
    """Tell whether an annotation is set to `true`."""
    return annotation(obj, key) == "true"


def timeout_seconds(requested: float, inputs: dict[str, Any]) -> float:
    """Return how long to wait: the resource option, else the annotation, else ten minutes.

    Args:
        requested: `custom_timeouts` in seconds as the engine sends it; 0 when not set.
        inputs: the resource's inputs.
    """
    if requested:
        return requested
    text = annotation(inputs, TIMEOUT_SECONDS)
    return float(text) if text.isdigit() else _DEFAULT_TIMEOUT_SECONDS


def propagation(inputs: dict[str, Any]) -> str:
    """Return how a deletion treats dependents; foreground unless asked otherwise."""
    return {"orphan": "Orphan", "background": "Background"}.get(
        annotation(inputs, DELETION_PROPAGATION).lower(), "Foreground"
    )
