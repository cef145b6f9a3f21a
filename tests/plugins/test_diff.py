from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab_plugins.common.wire import UNKNOWN
from lab_plugins.kubernetes.diff import ChangeKind, changes
from lab_plugins.kubernetes.property_paths import covers, parse, spell
from lab_plugins.kubernetes.state import State

ADD, DELETE, UPDATE = ChangeKind.ADD, ChangeKind.DELETE, ChangeKind.UPDATE


def diff(inputs: dict[str, Any], live: dict[str, Any], news: dict[str, Any], namespaced: bool = True) -> Any:
    found = changes(State(inputs, live, "", ""), news, namespaced=namespaced)
    return {spell(change.path): change.kind for change in found}


def deployment(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "d", "namespace": "n"},
        "spec": spec,
    }


def test_defaults_that_the_server_added_are_no_change() -> None:
    inputs = deployment(template={"c": [{"image": "a"}]})
    live = deployment(template={"c": [{"image": "a", "pull": "Always"}]}, replicas=1) | {"status": {"x": 1}}
    assert diff(inputs, live, inputs) == {}


def test_changes_carry_their_place() -> None:
    inputs = deployment(replicas=1, c=[{"image": "a", "env": [{"name": "X"}]}], gone="x")
    news = deployment(replicas=2, c=[{"image": "b", "env": [{"name": "X"}, {"name": "Y"}]}], new={"a.b": 1})
    assert diff(inputs, inputs, news) == {
        "spec.replicas": UPDATE,
        "spec.c[0].image": UPDATE,
        "spec.c[0].env[1]": ADD,
        "spec.gone": DELETE,
        "spec.new": ADD,
    }


def test_drift_is_invisible_but_the_recorded_object_counts() -> None:
    inputs, live = deployment(replicas=1), deployment(replicas=2)
    assert diff(inputs, live, deployment(replicas=1)) == {"spec.replicas": UPDATE}
    assert diff(inputs, live, deployment(replicas=2)) == {}


def test_what_somebody_appended_to_a_list_is_not_seen() -> None:
    inputs = deployment(env=[{"name": "A"}])
    assert diff(inputs, deployment(env=[{"name": "A"}, {"name": "B"}]), inputs) == {}


def test_what_the_server_drops_is_asked_for_once() -> None:
    inputs = deployment(portz=1)
    assert diff(inputs, deployment(), inputs) == {}
    assert diff(inputs, deployment(), deployment(portz=2)) == {"spec.portz": ADD}


def test_empty_values_that_the_server_leaves_out() -> None:
    news = deployment(labels={}, args=[], c=[{"env": [{"name": "X", "value": ""}]}])
    live = deployment(c=[{"env": [{"name": "X"}]}])
    assert diff(live, live, news) == {}


def test_a_false_that_means_something_is_a_change() -> None:
    live = deployment()
    assert diff(live, live, deployment(automountServiceAccountToken=False)) == {
        "spec.automountServiceAccountToken": ADD
    }


def test_custom_resources_keep_empty_values() -> None:
    thing = {"apiVersion": "example.dev/v1", "kind": "Thing", "metadata": {"name": "t", "namespace": "n"}}
    assert diff(thing, thing, thing | {"spec": {}}) == {"spec": ADD}


def test_an_unknown_is_a_change() -> None:
    live = deployment(a="x")
    assert diff(live, live, deployment(a=UNKNOWN, b=UNKNOWN)) == {"spec.a": UPDATE, "spec.b": ADD}


def test_metadata_that_is_unknown_as_a_whole() -> None:
    live = deployment(a="x")
    assert diff(live, live, {**live, "metadata": UNKNOWN}) == {"metadata": UPDATE}


def test_numbers_are_compared_by_value_and_booleans_are_none() -> None:
    live = deployment(a=1, b=True)
    assert diff(live, live, deployment(a=1.0, b=1)) == {"spec.b": UPDATE}


def test_the_default_namespace_may_be_left_out() -> None:
    live = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "default"}}
    news = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}}
    assert diff(live, live, news) == {}
    assert diff(live, live, {**news, "metadata": {"name": "c", "namespace": "x"}}) == {
        "metadata.namespace": UPDATE
    }


def test_a_cluster_scoped_object_has_no_namespace() -> None:
    live = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "c"}}
    news = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "c", "namespace": "x"}}
    assert diff(live, live, news, namespaced=False) == {}


_json = st.recursive(
    st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.text(), _json))
def test_nothing_changes_when_nothing_changes(spec: dict[str, Any]) -> None:
    obj = deployment(**{f"k{key}": value for key, value in spec.items()})
    assert diff(obj, obj, obj) == {}


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (("spec", "ports", 0, "name"), "spec.ports[0].name"),
        (("data", "a.b"), 'data["a.b"]'),
        (("data", 'q"x'), 'data["q\\"x"]'),
        (("metadata", "annotations", "pulumi.com/waitFor"), 'metadata.annotations["pulumi.com/waitFor"]'),
    ],
)
def test_paths_are_spelled_as_pulumi_spells_them(path: tuple[str | int, ...], text: str) -> None:
    assert spell(path) == text
    assert parse(text) == path


def test_a_star_covers_every_position() -> None:
    assert covers(parse("spec.ports[*].name"), ("spec", "ports", 3, "name", "x"))
    assert not covers(parse("spec.ports[1]"), ("spec", "ports", 3))
    assert not covers(("spec", "ports"), ("spec",))
