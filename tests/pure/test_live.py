"""Questions about a snapshot of the cluster."""

from __future__ import annotations

from typing import Any

import pytest

from kardinal_infra.observed.live import name_of
from kardinal_infra.observed.selectors import matches
from tests.pure.samples import INJECTOR, NAMESPACE, live, service, workload


@pytest.mark.parametrize(
    ("selector", "labels", "expected"),
    [
        ({}, {"a": "1"}, True),
        ({"matchLabels": {"a": "1"}}, {"a": "1", "b": "2"}, True),
        ({"matchLabels": {"a": "1", "b": "1"}}, {"a": "1", "b": "2"}, False),
        ({"matchLabels": {"a": "1"}}, {}, False),
        ({"matchExpressions": [{"key": "a", "operator": "In", "values": ["1"]}]}, {"a": "1"}, True),
        ({"matchExpressions": [{"key": "a", "operator": "In", "values": ["1"]}]}, {}, False),
        ({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["1"]}]}, {}, True),
        ({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["1"]}]}, {"a": "1"}, False),
        ({"matchExpressions": [{"key": "a", "operator": "Exists"}]}, {"a": ""}, True),
        ({"matchExpressions": [{"key": "a", "operator": "Exists"}]}, {}, False),
        ({"matchExpressions": [{"key": "a", "operator": "DoesNotExist"}]}, {"b": ""}, True),
        ({"matchExpressions": [{"key": "a", "operator": "DoesNotExist"}]}, {"a": ""}, False),
        (
            {"matchLabels": {"b": "2"}, "matchExpressions": [{"key": "a", "operator": "Exists"}]},
            {"a": "1"},
            False,
        ),
    ],
)
def test_label_selectors_mean_what_kubernetes_says(
    selector: dict[str, Any], labels: dict[str, str], expected: bool
) -> None:
    assert matches(selector, labels) is expected


def test_the_workloads_behind_a_service_are_those_whose_pods_it_selects() -> None:
    fork = workload("web")
    fork["metadata"]["labels"] = {"kardinal.dev/flow": "dev"}
    snapshot = live(
        deployments=[workload("web"), workload("other"), fork], statefulsets=[workload("web") | {}]
    )
    behind = snapshot.workloads_behind(service("web"))
    assert [(item["kind"], name_of(item)) for item in behind] == [
        ("Deployment", "web"),
        ("StatefulSet", "web"),
    ]
    assert snapshot.workloads_behind(service("web", selector=None)) == []


def _template(labels: dict[str, str] | None = None, **annotations: str) -> dict[str, Any]:
    named = {f"sidecar.istio.io/{key}": value for key, value in annotations.items()}
    return {"metadata": {"labels": labels or {}, "annotations": named}, "spec": {}}


def test_injection_follows_the_webhooks_and_the_pods_own_word() -> None:
    snapshot = live()
    assert snapshot.injected(_template())
    assert not snapshot.injected(_template({"sidecar.istio.io/inject": "false"}))
    assert not snapshot.injected(_template(inject="false"))
    assert not snapshot.injected({"spec": {"hostNetwork": True}})
    assert not live(namespace_labels={}).injected(_template())
    assert not live(injectors=[]).injected(_template())


def test_injection_by_revision_and_by_the_pods_label() -> None:
    by_revision = {
        "webhooks": [
            {"namespaceSelector": {"matchLabels": {"istio.io/rev": "canary"}}},
            {
                "namespaceSelector": {
                    "matchExpressions": [{"key": "istio-injection", "operator": "DoesNotExist"}]
                },
                "objectSelector": {"matchLabels": {"sidecar.istio.io/inject": "true"}},
            },
        ]
    }
    labels = {"kubernetes.io/metadata.name": NAMESPACE}
    assert live(namespace_labels={**labels, "istio.io/rev": "canary"}, injectors=[by_revision]).injected(
        _template()
    )
    plain = live(namespace_labels=labels, injectors=[INJECTOR, by_revision])
    assert not plain.injected(_template())
    assert plain.injected(_template({"sidecar.istio.io/inject": "true"}))


def test_a_snapshot_shows_no_objects_in_its_repr() -> None:
    item = workload("web", env=[{"name": "P", "value": "hunter2"}])
    assert "hunter2" not in repr(live(deployments=[item]))


def test_objects_of_a_flow_are_found_among_all_kinds() -> None:
    def marked(name: str, flow: str, namespace: str = NAMESPACE) -> dict[str, Any]:
        labels = {"kardinal.dev/flow": flow}
        return {"metadata": {"name": name, "namespace": namespace, "labels": labels}}

    snapshot = live(
        services=[service("web"), marked("s", "dev")],
        http_routes=[marked("r", "dev"), marked("r2", "other"), marked("r3", "dev", "blog")],
        flow_objects=[{"kind": "Secret", **marked("x", "dev")}],
    )
    assert [(item["kind"], name_of(item)) for item in snapshot.of_flow("dev")] == [
        ("Service", "s"),
        ("HTTPRoute", "r"),
        ("Secret", "x"),
    ]
