"""The state that the engine keeps of a resource: the live object, with the inputs beside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lab_plugins.common.wire import reveal
from lab_plugins.kubernetes.objects import Object
from lab_plugins.kubernetes.secrecy import mark_secrets

_INPUTS = "__inputs"
_INITIAL_API_VERSION = "__initialApiVersion"
FIELD_MANAGER = "__fieldManager"

# Keys that Python programs spell with underscores (CustomResourceDefinition schemas).
_DASHED = {
    name.replace("-", "_"): name
    for name in (
        "x-kubernetes-embedded-resource",
        "x-kubernetes-int-or-string",
        "x-kubernetes-list-map-keys",
        "x-kubernetes-list-type",
        "x-kubernetes-map-type",
        "x-kubernetes-preserve-unknown-fields",
        "x-kubernetes-validations",
    )
}
_UNDERSCORED = {dashed: underscored for underscored, dashed in _DASHED.items()}


@dataclass(frozen=True)
class State:
    """What an earlier run left, without secrecy.

    Attributes:
        inputs: the inputs of that run.
        live: the object as the API server last showed it.
        initial_api_version: the apiVersion it was created with, empty if unknown.
        field_manager: its server-side-apply manager, empty if none was recorded.
    """

    inputs: Object
    live: Object
    initial_api_version: str
    field_manager: str


def to_manifest(properties: dict[str, Any]) -> Object:
    """Turn resource properties into what is sent to the API server: no secrecy, its own spelling of keys."""
    return dict(_rename(reveal(properties), _DASHED))


def read_state(properties: dict[str, Any]) -> State:
    """Take a recorded state apart."""
    live = to_manifest(properties)
    inputs = live.pop(_INPUTS, None) or {}
    initial = live.pop(_INITIAL_API_VERSION, "") or inputs.get("apiVersion", "")
    return State(inputs, live, initial, live.pop(FIELD_MANAGER, "") or "")


def write_state(
    inputs: Object, live: Object, given: dict[str, Any], initial_api_version: str, field_manager: str
) -> dict[str, Any]:
    """Build the state to record.

    Args:
        inputs: the inputs to remember.
        live: the object as the API server shows it.
        given: the properties as the engine sent them; their secrecy is carried over.
        initial_api_version: the apiVersion at creation.
        field_manager: the server-side-apply manager.
    """
    return {
        **mark_secrets(_rename(live, _UNDERSCORED), given),
        _INPUTS: mark_secrets(_rename(inputs, _UNDERSCORED), given),
        _INITIAL_API_VERSION: initial_api_version,
        FIELD_MANAGER: field_manager,
    }


def to_properties(manifest: Object, given: dict[str, Any]) -> dict[str, Any]:
    """Turn a manifest into resource inputs, secret where the given ones were."""
    return mark_secrets(_rename(manifest, _UNDERSCORED), given)


def _rename(value: Any, names: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {names.get(key, key): _rename(item, names) for key, item in value.items()}
    if isinstance(value, list):
        return [_rename(item, names) for item in value]
    return value
