"""From a live workload to its fork."""

from __future__ import annotations

import json
from copy import deepcopy
from dataclasses import replace

import pytest

from kardinal_infra.forking import (
    SecretText,
    fork_service,
    fork_warnings,
    fork_workload,
)
from tests.pure.forked import BRANCH_REF, VOTES, fork, pod, spec
from tests.pure.samples import NAMESPACE, STACK, secret_env, service, workload


def test_a_fork_keeps_the_pod_and_drops_what_the_server_and_other_owners_wrote() -> None:
    assert fork() == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": "web-dev",
            "namespace": NAMESPACE,
            "labels": {
                "app.kubernetes.io/managed-by": "kardinal",
                "kardinal.dev/flow": "dev",
                "kardinal.dev/service": "web",
            },
            "annotations": {"team": "voting", "kardinal.dev/stack": STACK},
        },
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"kardinal.dev/fork": "web-dev"}},
            "template": {
                "metadata": {
                    "labels": {
                        "tier": "web",
                        "app.kubernetes.io/managed-by": "kardinal",
                        "kardinal.dev/flow": "dev",
                        "kardinal.dev/service": "web",
                        "kardinal.dev/fork": "web-dev",
                    },
                    "annotations": {"prometheus.io/scrape": "true"},
                },
                "spec": {
                    "serviceAccountName": "voting-app",
                    "terminationGracePeriodSeconds": 10,
                    "containers": [
                        {
                            "name": "web",
                            "image": "web:1.0",
                            "imagePullPolicy": "IfNotPresent",
                            "env": [],
                            "ports": [{"containerPort": 8000, "protocol": "TCP"}],
                            "readinessProbe": {"httpGet": {"path": "/readyz", "port": 8000}},
                        }
                    ],
                },
            },
        },
    }


def test_the_live_object_is_left_alone() -> None:
    item = workload("web", env=[{"name": "A", "value": "1"}, secret_env("DATABASE_URL")])
    before = deepcopy(item)
    fork(item, image="new", env={"A": "2"}, databases=(VOTES,))
    assert item == before


def test_image_env_and_command_go_to_the_application_container_alone() -> None:
    item = workload("web", env=[{"name": "A", "value": "1"}])
    pod(item)["containers"][0]["args"] = ["--old"]
    pod(item)["containers"].append({"name": "helper", "image": "helper:1", "args": ["x"]})
    web, helper = pod(fork(item, image="web:pr", env={"A": "2", "B": "3"}, command=("run", "it")))[
        "containers"
    ]
    assert web["image"] == "web:pr"
    assert web["command"] == ["run", "it"]
    assert "args" not in web
    assert web["env"] == [{"name": "A", "value": "2"}, {"name": "B", "value": "3"}]
    assert helper == {"name": "helper", "image": "helper:1", "args": ["x"]}


def test_every_literal_env_value_is_marked_and_shown_by_no_repr() -> None:
    item = workload("web", env=[{"name": "PASSWORD", "value": "hunter2"}])
    pod(item)["initContainers"] = [{"name": "init", "image": "i", "env": [{"name": "P", "value": "hunter3"}]}]
    made = fork(item, env={"KEY": "hunter4"})
    values = [
        entry["value"]
        for part in ("initContainers", "containers")
        for c in pod(made)[part]
        for entry in c["env"]
    ]
    assert values == ["hunter3", "hunter2", "hunter4"]
    assert all(isinstance(value, SecretText) for value in values)
    assert "hunter" not in repr(made)
    assert "hunter" not in repr(spec(item, env={"KEY": "hunter4"}))
    assert "hunter3" in json.dumps(made)


def test_the_database_env_is_replaced_in_place_wherever_it_is() -> None:
    item = workload(
        "web",
        env=[
            {"name": "A", "value": "1"},
            secret_env("DATABASE_URL"),
            {"name": "B", "value": "$(DATABASE_URL)"},
        ],
    )
    pod(item)["initContainers"] = [{"name": "migrate", "image": "m", "env": [secret_env("DATABASE_URL")]}]
    pod(item)["containers"].append({"name": "helper", "image": "h"})
    made = pod(fork(item, databases=(VOTES,)))
    assert made["containers"][0]["env"][1] == BRANCH_REF
    assert [entry["name"] for entry in made["containers"][0]["env"]] == ["A", "DATABASE_URL", "B"]
    assert made["initContainers"][0]["env"] == [BRANCH_REF]
    assert "env" not in made["containers"][1]
    assert "votes-database" not in json.dumps(made)


def test_a_database_env_of_envfrom_is_overridden_before_what_refers_to_it() -> None:
    item = workload("web", env=[{"name": "B", "value": "$(DATABASE_URL)"}])
    pod(item)["containers"][0]["envFrom"] = [{"secretRef": {"name": "votes-database"}}]
    container = pod(fork(item, databases=(VOTES,)))["containers"][0]
    assert container["env"] == [BRANCH_REF, {"name": "B", "value": "$(DATABASE_URL)"}]
    assert container["envFrom"] == [{"secretRef": {"name": "votes-database"}}]


def test_the_hand_over_sidecar_leaves_the_env_alone() -> None:
    item = workload("web", env=[secret_env("DATABASE_URL")])
    made = fork_workload(spec(item, databases=(replace(VOTES, handover="sidecar"),)), {})
    assert pod(made)["containers"][0]["env"] == [secret_env("DATABASE_URL")]


def test_a_secrets_name_may_be_anything_that_stands_for_one() -> None:
    marker = object()
    item = workload("web", env=[secret_env("DATABASE_URL")])
    made = fork_workload(spec(item, databases=(VOTES,)), {"votes": marker})
    assert pod(made)["containers"][0]["env"][0]["valueFrom"]["secretKeyRef"]["name"] is marker


def test_a_statefulset_whose_volumes_are_emptied_becomes_a_deployment() -> None:
    item = workload("web")
    item["spec"] |= {
        "serviceName": "web",
        "podManagementPolicy": "OrderedReady",
        "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"]}}],
    }
    pod(item)["volumes"] = [{"name": "config", "configMap": {"name": "c"}}]
    made = spec({"kind": "StatefulSet", **item}, volumes={"data": "empty"})
    assert fork_workload(made, {})["kind"] == "Deployment"
    assert "serviceName" not in fork_workload(made, {})["spec"]
    assert pod(fork_workload(made, {}))["volumes"] == [
        {"name": "config", "configMap": {"name": "c"}},
        {"name": "data", "emptyDir": {}},
    ]
    assert fork_warnings(made) == [
        'StatefulSet web: the fork starts with an empty volume instead of "data", lost with its pod'
    ]


def test_containers_that_istioctl_injected_are_dropped() -> None:
    item = workload("web")
    template = item["spec"]["template"]
    template["metadata"]["annotations"] |= {"sidecar.istio.io/status": "{}"}
    pod(item)["initContainers"] = [{"name": "istio-init", "image": "p"}, {"name": "own", "image": "o"}]
    pod(item)["containers"].append({"name": "istio-proxy", "image": "p"})
    pod(item)["volumes"] = [{"name": "istio-envoy", "emptyDir": {}}, {"name": "own", "emptyDir": {}}]
    made = fork(item)
    assert [c["name"] for c in pod(made)["containers"]] == ["web"]
    assert [c["name"] for c in pod(made)["initContainers"]] == ["own"]
    assert pod(made)["volumes"] == [{"name": "own", "emptyDir": {}}]
    assert made["spec"]["template"]["metadata"]["annotations"] == {}


def test_an_istio_proxy_that_the_user_customised_is_kept() -> None:
    item = workload("web")
    pod(item)["containers"].append({"name": "istio-proxy", "image": "auto"})
    assert [c["name"] for c in pod(fork(item))["containers"]] == ["web", "istio-proxy"]


@pytest.mark.parametrize(("own", "expected"), [(None, 10), (5, 5), (600, 10)])
def test_the_grace_period_is_capped(own: int | None, expected: int) -> None:
    item = workload("web")
    pod(item).pop("terminationGracePeriodSeconds")
    if own is not None:
        pod(item)["terminationGracePeriodSeconds"] = own
    assert pod(fork(item))["terminationGracePeriodSeconds"] == expected


@pytest.mark.parametrize(("own", "expected"), [(None, 5), (2, 5), (30, 30)])
def test_without_a_readiness_probe_a_fork_must_survive_some_seconds(own: int | None, expected: int) -> None:
    item = workload("web")
    pod(item)["containers"][0].pop("readinessProbe")
    if own is not None:
        item["spec"]["minReadySeconds"] = own
    assert fork(item)["spec"]["minReadySeconds"] == expected
    assert "minReadySeconds" not in fork()["spec"]


def test_host_ports_and_spreading_by_the_baselines_labels_are_dropped() -> None:
    item = workload("web")
    pod(item)["containers"][0]["ports"][0]["hostPort"] = 8000
    pod(item)["topologySpreadConstraints"] = [{"maxSkew": 1}]
    made = spec(item)
    assert pod(fork(item))["containers"][0]["ports"] == [{"containerPort": 8000, "protocol": "TCP"}]
    assert "topologySpreadConstraints" not in pod(fork(item))
    assert fork_warnings(made) == ["Deployment web: the fork does not get the baseline's host ports"]


def test_the_forks_service_copies_ports_and_nothing_that_orders_something() -> None:
    item = service("web", clusterIP="None", type="NodePort")
    item["metadata"]["annotations"] = {"external-dns.alpha.kubernetes.io/hostname": "x"}
    item["spec"]["ports"][0] |= {"nodePort": 30080, "appProtocol": "http"}
    assert fork_service(spec(live_service=item)) == {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": "web-dev",
            "namespace": NAMESPACE,
            "labels": {
                "app.kubernetes.io/managed-by": "kardinal",
                "kardinal.dev/flow": "dev",
                "kardinal.dev/service": "web",
            },
            "annotations": {"pulumi.com/skipAwait": "true", "kardinal.dev/stack": STACK},
        },
        "spec": {
            "type": "ClusterIP",
            "selector": {"kardinal.dev/fork": "web-dev"},
            "ports": [
                {"name": "http", "port": 80, "targetPort": 8000, "protocol": "TCP", "appProtocol": "http"}
            ],
        },
    }
