"""Names that the program leaves open: objects' names and field managers' names."""

from __future__ import annotations

import hashlib
import secrets
from typing import Any

from lab_plugins.common.wire import UNKNOWN
from lab_plugins.kubernetes import steering
from lab_plugins.kubernetes.objects import annotation, dig, name_of

_SUFFIX_DIGITS = 8


def unique_name(prefix: str, seed: bytes) -> str:
    """Return the prefix and eight hex digits, the same ones for the same seed.

    Args:
        prefix: what stands before the digits, with its dash.
        seed: the engine's random seed; empty for digits that nobody can foresee.
    """
    digits = hashlib.sha256(seed + prefix.encode()).hexdigest() if seed else secrets.token_hex(_SUFFIX_DIGITS)
    return f"{prefix}{digits[:_SUFFIX_DIGITS]}"


def is_named(inputs: dict[str, Any]) -> bool:
    """Tell whether the inputs carry a name, known or not yet known."""
    return bool(name_of(inputs)) or dig(inputs, "metadata", "name") is UNKNOWN


def is_autonamed(inputs: dict[str, Any]) -> bool:
    """Tell whether the name was given by `assign_name`."""
    return steering.is_true(inputs, steering.AUTONAMED)


def uses_generate_name(inputs: dict[str, Any]) -> bool:
    """Tell whether the API server is asked to choose the name."""
    return not is_named(inputs) and bool(dig(inputs, "metadata", "generateName"))


def assign_name(inputs: dict[str, Any], resource_name: str, seed: bytes, proposed: str = "") -> None:
    """Name an object that has no name, and mark it as named so.

    Args:
        inputs: the object; changed in place.
        resource_name: the resource's name in the program.
        seed: the engine's random seed.
        proposed: the name that the engine's own autonaming proposes, if it does.
    """
    if is_named(inputs) or uses_generate_name(inputs):
        return
    _set_name(inputs, proposed or unique_name(f"{resource_name}-", seed))


def adopt_name(inputs: dict[str, Any], old_inputs: dict[str, Any]) -> None:
    """Keep the name that an earlier run assigned, as long as the program gives none."""
    if not is_named(inputs) and is_autonamed(old_inputs):
        _set_name(inputs, name_of(old_inputs))


def _set_name(inputs: dict[str, Any], name: str) -> None:
    if inputs.setdefault("metadata", {}) is UNKNOWN:
        return
    metadata = inputs["metadata"]
    metadata["name"] = name
    if metadata.setdefault("annotations", {}) is not UNKNOWN:
        metadata["annotations"][steering.AUTONAMED] = "true"


def field_manager(state: dict[str, Any], inputs: dict[str, Any]) -> str:
    """Return the server-side-apply manager: the annotation's, else the state's, else a new random one."""
    return (
        annotation(inputs, steering.PATCH_FIELD_MANAGER)
        or state.get("__fieldManager")
        or unique_name("pulumi-kubernetes-", b"")
    )
