from lab_plugins.common.wire import Secret
from lab_plugins.kubernetes.secrecy import mark_secrets
from lab_plugins.kubernetes.state import read_state, to_manifest, write_state


def test_secrecy_is_copied_key_by_key() -> None:
    outputs = {"spec": {"a": 1, "b": 2}, "status": 3}
    assert mark_secrets(outputs, {"spec": {"a": Secret(1)}}) == {
        "spec": {"a": Secret(1), "b": 2},
        "status": 3,
    }


def test_one_secret_makes_a_list_secret() -> None:
    outputs = {"spec": {"containers": [{"env": "x"}], "replicas": 1}}
    given = {"spec": {"containers": [{"env": Secret("x")}], "replicas": 1}}
    assert mark_secrets(outputs, given) == {"spec": {"containers": Secret([{"env": "x"}]), "replicas": 1}}


def test_the_data_of_a_secret_is_secret_without_being_told() -> None:
    outputs = {"kind": "Secret", "data": {"a": "b"}, "type": "Opaque"}
    assert mark_secrets(outputs, {}) == {"kind": "Secret", "data": Secret({"a": "b"}), "type": "Opaque"}


def test_a_state_can_be_taken_apart_again() -> None:
    inputs = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": {"a": "b"}}
    live = {**inputs, "metadata": {"name": "s", "uid": "1"}}
    written = write_state(inputs, live, {"data": Secret({"a": "b"})}, "v1", "pulumi-kubernetes-1")
    assert written["data"] == Secret({"a": "b"})
    assert written["__inputs"]["data"] == Secret({"a": "b"})
    state = read_state(written)
    assert (state.inputs, state.live) == (inputs, live)
    assert (state.initial_api_version, state.field_manager) == ("v1", "pulumi-kubernetes-1")


def test_dashed_keys_travel_with_underscores() -> None:
    schema = {"x-kubernetes-preserve-unknown-fields": True, "list": [{"x-kubernetes-int-or-string": True}]}
    written = write_state({}, schema, {}, "v1", "m")
    assert written["x_kubernetes_preserve_unknown_fields"] is True
    assert written["list"] == [{"x_kubernetes_int_or_string": True}]
    assert read_state(written).live == schema
    assert to_manifest({"x_kubernetes_list_type": "map"}) == {"x-kubernetes-list-type": "map"}
