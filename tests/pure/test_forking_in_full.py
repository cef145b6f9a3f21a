"""StatefulSets, several containers, volumes and references to Secrets."""

from __future__ import annotations

from typing import Any

import pytest

from kardinal_infra.config import ContainerPatch, EnvReference
from kardinal_infra.forking import SecretText, fork_problems, fork_service, fork_warnings, fork_workload
from kardinal_infra.model.names import fork_name
from tests.pure.forked import BRANCH_REF, VOTES, fork, pod, spec
from tests.pure.samples import live, service, workload

SECRET = EnvReference.model_validate({"secretKeyRef": {"name": "stripe-dev", "key": "api-key"}})


def stateful_set() -> dict[str, Any]:
    item = workload("web")
    item["spec"] |= {
        "serviceName": "web",
        "podManagementPolicy": "OrderedReady",
        "updateStrategy": {"type": "RollingUpdate"},
        "volumeClaimTemplates": [
            {
                "metadata": {"name": "data", "creationTimestamp": None},
                "spec": {
                    "accessModes": ["ReadWriteOnce"],
                    "storageClassName": "fast",
                    "volumeName": "productions-volume",
                    "resources": {"requests": {"storage": "10Gi"}},
                },
                "status": {"phase": "Bound"},
            }
        ],
    }
    pod(item)["containers"][0]["volumeMounts"] = [{"name": "data", "mountPath": "/data"}]
    return {**item, "kind": "StatefulSet"}


def test_a_statefulset_with_claims_becomes_one_with_new_claims_that_go_with_it() -> None:
    made = spec(stateful_set())
    result = fork_workload(made, {})
    assert (result["kind"], result["metadata"]["name"]) == ("StatefulSet", "web-dev")
    assert result["spec"]["serviceName"] == "web-dev"
    assert result["spec"]["selector"] == {"matchLabels": {"kardinal.dev/fork": "web-dev"}}
    assert result["spec"]["persistentVolumeClaimRetentionPolicy"] == {
        "whenDeleted": "Delete",
        "whenScaled": "Delete",
    }
    [claim] = result["spec"]["volumeClaimTemplates"]
    assert claim["metadata"]["labels"]["kardinal.dev/flow"] == "dev"
    # Nothing that would bind production's volume.
    assert claim["spec"] == {
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": "fast",
        "resources": {"requests": {"storage": "10Gi"}},
    }
    assert "volumes" not in result["spec"]["template"]["spec"]
    assert fork_warnings(made) == [
        'StatefulSet web: the fork gets a new empty volume for "data" (10Gi), deleted with the fork'
    ]


def test_a_statefulset_without_claims_becomes_a_deployment() -> None:
    item = stateful_set()
    item["spec"]["volumeClaimTemplates"] = []
    result = fork_workload(spec(item), {})
    assert result["kind"] == "Deployment"
    assert not {"serviceName", "podManagementPolicy", "updateStrategy"} & result["spec"].keys()


def test_the_name_of_a_forked_statefulset_leaves_room_for_its_pods_labels() -> None:
    name = fork_name("web", "a" * 60)
    [problem] = fork_problems(spec(stateful_set(), name=name), live())
    assert "more than 52 characters" in problem
    assert fork_problems(spec(stateful_set(), name=name, volumes={"data": "empty"}), live()) == []


def test_a_headless_service_is_forked_to_one_with_an_address_and_all_ports() -> None:
    item = service("web", clusterIP="None", publishNotReadyAddresses=True)
    item["spec"]["ports"].append({"name": "admin", "port": 9000, "targetPort": "admin"})
    made = fork_service(spec(live_service=item))["spec"]
    assert "clusterIP" not in made
    assert [port["port"] for port in made["ports"]] == [80, 9000]
    assert made["ports"][1]["targetPort"] == "admin"


def test_the_image_also_goes_to_containers_of_the_same_image() -> None:
    item = workload("web")
    pod(item)["initContainers"] = [
        {"name": "migrate", "image": "web:1.0"},
        {"name": "wait", "image": "busybox"},
    ]
    pod(item)["containers"].append({"name": "second", "image": "web:1.0"})
    made = pod(fork(item, image="web:pr"))
    assert [one["image"] for one in made["initContainers"]] == ["web:pr", "busybox"]
    assert [one["image"] for one in made["containers"]] == ["web:pr", "web:pr"]


def test_further_containers_are_changed_by_name() -> None:
    item = workload("web")
    pod(item)["initContainers"] = [{"name": "wait", "image": "busybox", "args": ["x"]}]
    patch = ContainerPatch(image="busybox:2", env={"A": "hunter2", "KEY": SECRET}, command=("true",))
    [wait] = pod(fork(item, patches={"wait": patch}))["initContainers"]
    assert wait == {
        "name": "wait",
        "image": "busybox:2",
        "command": ["true"],
        "env": [
            {"name": "A", "value": "hunter2"},
            {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "stripe-dev", "key": "api-key"}}},
        ],
    }
    assert isinstance(wait["env"][0]["value"], SecretText)
    assert "hunter2" not in repr(wait)


def test_a_reference_replaces_a_literal_and_the_other_way_round() -> None:
    item = workload("web", env=[{"name": "KEY", "value": "live"}])
    reference = {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "stripe-dev", "key": "api-key"}}}
    assert pod(fork(item, env={"KEY": SECRET}))["containers"][0]["env"] == [reference]
    item = workload("web", env=[reference])
    assert pod(fork(item, env={"KEY": "test"}))["containers"][0]["env"] == [{"name": "KEY", "value": "test"}]


def test_of_entries_with_one_name_none_is_left_behind_the_new_one() -> None:
    names = ("KEY", "DATABASE_URL", "KEY", "DATABASE_URL")
    item = workload("web", env=[{"name": name, "value": "live"} for name in names])
    [made] = pod(fork(item, env={"KEY": "test"}, databases=(VOTES,)))["containers"]
    assert made["env"] == [{"name": "KEY", "value": "test"}, BRANCH_REF]


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ({"stripe-dev": frozenset({"api-key"})}, None),
        (None, None),
        (
            {"stripe-dev": frozenset({"key"})},
            'env.KEY: Secret "stripe-dev" has no key "api-key" (it has: key)',
        ),
        ({"stripe": frozenset()}, 'env.KEY: there is no Secret "stripe-dev"; did you mean "stripe"?'),
    ],
)
def test_a_reference_must_lead_somewhere(keys: Any, problem: str | None) -> None:
    made = spec(env={"KEY": SECRET})
    assert fork_problems(made, live(secret_keys=keys)) == ([problem] if problem else [])


def test_volumes_are_emptied_or_made_read_only_by_name() -> None:
    item = workload("web")
    pod(item)["volumes"] = [
        {"name": "uploads", "persistentVolumeClaim": {"claimName": "uploads"}},
        {"name": "fonts", "persistentVolumeClaim": {"claimName": "fonts"}},
    ]
    mounts = [{"name": "uploads", "mountPath": "/u"}, {"name": "fonts", "mountPath": "/f"}]
    pod(item)["containers"][0]["volumeMounts"] = mounts
    made = pod(fork(item, volumes={"uploads": "empty", "fonts": "readOnly"}))
    assert made["volumes"] == [
        {"name": "uploads", "emptyDir": {}},
        {"name": "fonts", "persistentVolumeClaim": {"claimName": "fonts"}},
    ]
    assert made["containers"][0]["volumeMounts"] == [
        {"name": "uploads", "mountPath": "/u"},
        {"name": "fonts", "mountPath": "/f", "readOnly": True},
    ]


@pytest.mark.parametrize(("choice", "problems"), [("empty", 0), ("readOnly", 1), (None, 1)])
def test_a_claim_of_one_node_can_only_be_emptied(choice: Any, problems: int) -> None:
    item = workload("web")
    pod(item)["volumes"] = [{"name": "data", "persistentVolumeClaim": {"claimName": "uploads"}}]
    claim = {"metadata": {"name": "uploads"}, "spec": {"accessModes": ["ReadWriteOnce"]}}
    made = spec(item, volumes={"data": choice} if choice else {})
    assert len(fork_problems(made, live(claims=[claim]))) == problems


def test_names_that_the_workload_does_not_have_are_told() -> None:
    made = spec(stateful_set(), volumes={"dat": "empty", "data": "readOnly"}, patches={"x": ContainerPatch()})
    assert fork_problems(made, live()) == [
        'volumes.dat: StatefulSet web has no volume "dat" (it has: data)',
        'volumes.data: the fork gets a volume of its own; "readOnly" would leave it empty',
        'containers.x: StatefulSet web has no container "x" (it has: web)',
    ]
