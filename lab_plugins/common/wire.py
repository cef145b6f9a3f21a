"""Property values as the engine sends them, and as plain Python.

A `google.protobuf.Struct` becomes dicts, lists, strings, booleans, None, int (every whole number) and float,
plus two values of our own: `Secret` and `UNKNOWN`. Source of the markers: the Pulumi SDK's
`pulumi.runtime.rpc`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from google.protobuf import struct_pb2

SIGNATURE_KEY = "4dabf18193072939515e22adb298388d"
SECRET_SIGNATURE = "1b47061264138c4ac30d75fd1eb44270"
_RESOURCE_SIGNATURE = "5cf8f73096256a8f31e491e813e4eb8e"
_UNKNOWN_STRING = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
UNKNOWNS = frozenset(
    {
        _UNKNOWN_STRING,
        "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",  # bool
        "3eeb2bf0-c639-47a8-9e75-3b44932eb421",  # number
        "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",  # array
        "030794c1-ac77-496b-92df-f27374a8bd58",  # asset
        "e48ece36-62e2-4504-bad9-02848725956a",  # archive
        "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",  # object
    }
)


class _Unknown:
    """A value that is not known before the update has run. There is one, told by identity, also in copies."""

    def __copy__(self) -> _Unknown:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> _Unknown:
        return self

    def __repr__(self) -> str:
        return "<unknown>"


UNKNOWN = _Unknown()


@dataclass(frozen=True)
class Secret:
    """A value that the engine must keep encrypted; never shown in a representation."""

    value: Any

    def __repr__(self) -> str:
        return "<secret>"


def decode(struct: struct_pb2.Struct | None) -> dict[str, Any]:
    """Turn a property struct into Python values, with `Secret` and `UNKNOWN` kept."""
    if struct is None:
        return {}
    return {key: _decode_value(value) for key, value in struct.fields.items()}


def _decode_value(value: struct_pb2.Value) -> Any:
    kind = value.WhichOneof("kind")
    if kind == "string_value":
        return UNKNOWN if value.string_value in UNKNOWNS else value.string_value
    if kind == "number_value":
        number = value.number_value
        return int(number) if number.is_integer() else number
    if kind == "bool_value":
        return value.bool_value
    if kind == "list_value":
        return [_decode_value(item) for item in value.list_value.values]
    if kind == "struct_value":
        fields = decode(value.struct_value)
        signature = fields.get(SIGNATURE_KEY)
        if signature == SECRET_SIGNATURE:
            return Secret(fields.get("value"))
        if signature == _RESOURCE_SIGNATURE:
            return fields.get("id") or fields.get("urn")
        return fields
    return None


def encode(properties: dict[str, Any]) -> struct_pb2.Struct:
    """Turn Python values (with `Secret` and `UNKNOWN`) back into a property struct."""
    struct = struct_pb2.Struct()
    for key, value in properties.items():
        _encode_into(struct.fields[key], value)
    return struct


def _encode_into(target: struct_pb2.Value, value: Any) -> None:
    if value is None:
        target.null_value = struct_pb2.NULL_VALUE
    elif value is UNKNOWN:
        target.string_value = _UNKNOWN_STRING
    elif isinstance(value, Secret):
        target.struct_value.CopyFrom(encode({SIGNATURE_KEY: SECRET_SIGNATURE, "value": value.value}))
    elif isinstance(value, bool):
        target.bool_value = value
    elif isinstance(value, int | float):
        target.number_value = value
    elif isinstance(value, str):
        target.string_value = value
    elif isinstance(value, dict):
        target.struct_value.CopyFrom(encode(value))
    elif isinstance(value, list | tuple):
        target.list_value.SetInParent()  # an empty list must stay a list
        for item in value:
            _encode_into(target.list_value.values.add(), item)
    else:
        raise TypeError(f"a property value of type {type(value).__name__} cannot be sent to the engine")


def reveal(value: Any) -> Any:
    """Copy a value with every secret replaced by what it holds."""
    if isinstance(value, Secret):
        return reveal(value.value)
    if isinstance(value, dict):
        return {key: reveal(item) for key, item in value.items()}
    if isinstance(value, list):
        return [reveal(item) for item in value]
    return value


def has_unknown(value: Any) -> bool:
    """Tell whether an unknown stands anywhere in a value."""
    if value is UNKNOWN:
        return True
    if isinstance(value, Secret):
        return has_unknown(value.value)
    if isinstance(value, dict):
        return any(has_unknown(item) for item in value.values())
    if isinstance(value, list):
        return any(has_unknown(item) for item in value)
    return False


def has_secret(value: Any) -> bool:
    """Tell whether a secret stands anywhere in a value."""
    if isinstance(value, Secret):
        return True
    if isinstance(value, dict):
        return any(has_secret(item) for item in value.values())
    if isinstance(value, list):
        return any(has_secret(item) for item in value)
    return False
