import copy
from typing import Any

import pulumi
import pytest
from google.protobuf import json_format
from hypothesis import given
from hypothesis import strategies as st
from pulumi.runtime import rpc

from lab_plugins.common import wire
from lab_plugins.common.wire import UNKNOWN, Secret

_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.just(UNKNOWN),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | inner.map(Secret),
    max_leaves=20,
)


@given(st.dictionaries(st.text(), _values))
def test_what_is_sent_comes_back(properties: dict[str, Any]) -> None:
    struct = wire.encode(properties)
    again = type(struct).FromString(struct.SerializeToString())
    assert wire.decode(again) == properties


def test_the_sdk_reads_our_secrets_and_unknowns() -> None:
    struct = wire.encode({"plain": [1, {"a": "b"}], "secret": Secret("s"), "later": UNKNOWN})
    read = rpc.deserialize_properties(struct, keep_unknowns=True)
    assert read["plain"] == [1, {"a": "b"}]
    assert rpc.is_rpc_secret(read["secret"])
    assert rpc.unwrap_rpc_secret(read["secret"]) == "s"
    assert isinstance(read["later"], pulumi.output.Unknown)


def test_the_markers_are_the_sdks() -> None:
    assert rpc._special_sig_key == wire.SIGNATURE_KEY
    assert rpc._special_secret_sig == wire.SECRET_SIGNATURE
    assert rpc.UNKNOWN in wire.UNKNOWNS


def test_an_empty_list_stays_a_list() -> None:
    assert json_format.MessageToDict(wire.encode({"a": []})) == {"a": []}


def test_a_secret_is_not_shown() -> None:
    assert "hunter2" not in repr({"a": Secret("hunter2")})


@pytest.mark.parametrize(
    ("value", "unknown", "secret"),
    [
        ({"a": [{"b": UNKNOWN}]}, True, False),
        ({"a": Secret({"b": UNKNOWN})}, True, True),
        ({"a": [Secret(1)]}, False, True),
        ({"a": [1, None, "x"]}, False, False),
    ],
)
def test_what_stands_inside_a_value(value: Any, unknown: bool, secret: bool) -> None:
    assert wire.has_unknown(value) is unknown
    assert wire.has_secret(value) is secret
    assert not wire.has_secret(wire.reveal(value))


def test_other_values_are_refused() -> None:
    with pytest.raises(TypeError, match="object"):
        wire.encode({"a": object()})


def test_there_is_one_unknown() -> None:
    assert copy.deepcopy({"a": UNKNOWN})["a"] is UNKNOWN
    assert copy.copy(UNKNOWN) is UNKNOWN
