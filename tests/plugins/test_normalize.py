import pytest

from lab_plugins.common.wire import UNKNOWN
from lab_plugins.kubernetes.normalize import normalize
from lab_plugins.kubernetes.prune import prune
from lab_plugins.kubernetes.quantities import canonical


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("1000m", "1"),
        ("0.5", "500m"),
        ("1.5", "1500m"),
        ("100m", "100m"),
        ("2", "2"),
        ("0", "0"),
        ("1024Mi", "1Gi"),
        ("128Mi", "128Mi"),
        ("1.5Gi", "1536Mi"),
        ("1000", "1k"),
        ("1000k", "1M"),
        ("500M", "500M"),
        ("0.001", "1m"),
        ("-1.5", "-1500m"),
        ("nonsense", "nonsense"),
    ],
)
def test_quantities_are_spelled_as_the_server_stores_them(given: str, stored: str) -> None:
    assert canonical(given) == stored


def test_string_data_becomes_data() -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "stringData": {"a": "1"}, "data": {"b": "Mg==", "a": "x"}}
    assert normalize(secret) == {"apiVersion": "v1", "kind": "Secret", "data": {"a": "MQ==", "b": "Mg=="}}
    assert "stringData" in secret


def test_an_unknown_anywhere_leaves_values_alone() -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "stringData": {"a": UNKNOWN}}
    assert normalize(secret) == secret


def test_server_set_metadata_goes() -> None:
    obj = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "a", "uid": "1", "managedFields": []},
    }
    assert normalize(obj)["metadata"] == {"name": "a"}


def test_quantities_of_custom_resources_stay() -> None:
    custom = {"apiVersion": "example.dev/v1", "kind": "Thing", "spec": {"limits": {"cpu": "1000m"}}}
    assert normalize(custom) == custom


def test_quantities_of_a_pod_are_respelled() -> None:
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "spec": {"containers": [{"resources": {"limits": {"cpu": 0.5, "memory": "1024Mi"}}}]},
    }
    assert normalize(pod)["spec"]["containers"][0]["resources"]["limits"] == {"cpu": "500m", "memory": "1Gi"}


def test_pruning_keeps_the_shape() -> None:
    live = {"a": 1, "b": {"c": 2, "d": 3}, "l": [{"x": 1, "y": 2}, {"x": 3}], "s": "server"}
    assert prune(live, {"a": 0, "b": {"c": 0}, "l": [{"x": 0}], "gone": 1}) == {
        "a": 1,
        "b": {"c": 2},
        "l": [{"x": 1}],
    }


def test_pruning_keeps_a_value_of_another_type_whole() -> None:
    assert prune({"a": {"b": 1}}, {"a": "text"}) == {"a": {"b": 1}}
