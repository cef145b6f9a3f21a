"""Rules about volumes, Secrets and the egress lock."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from kardinal_infra.forking import ForkSpec
from tests.pure.forked import VOTES, case, pod, spec
from tests.pure.judged import DATABASES, cluster, found
from tests.pure.samples import secret_env, workload


def shared(made: ForkSpec, **volume: Any) -> list[str]:
    item = dict(made.workload)
    pod(item)["volumes"] = [{"name": "data", **volume}]
    pod(item)["containers"][0]["volumeMounts"] = [{"name": "data", "mountPath": "/data"}]
    return found(case(cluster(), replace(made, workload=item)), "shared-writable-volume")


def test_shared_writable_volume() -> None:
    claim = {"persistentVolumeClaim": {"claimName": "uploads"}}
    assert len(shared(spec(), **claim)) == 1
    assert len(shared(spec(), hostPath={"path": "/var"})) == 1
    assert shared(spec(), persistentVolumeClaim={"claimName": "uploads", "readOnly": True}) == []
    assert shared(spec(), configMap={"name": "c"}) == []
    assert shared(spec(volumes={"data": "empty"}), **claim) == []
    assert shared(spec(volumes={"data": "readOnly"}), **claim) == []


def secret_found(env: list[Any], *, keys: tuple[str, ...] = ("DATABASE_URL",), **parts: Any) -> list[str]:
    item = workload("web", env=env)
    pod(item)["containers"][0] |= {key: value for key, value in parts.items() if key != "volumes"}
    pod(item)["volumes"] = parts.get("volumes", [])
    snapshot = cluster(secret_keys={"votes-database": frozenset(keys)})
    return found(case(snapshot, spec(item, databases=(VOTES,)), databases=DATABASES), "parent-secret")


def test_parent_secret_by_another_variable_of_the_same_secret() -> None:
    assert secret_found([secret_env("DATABASE_URL")]) == []
    [message] = secret_found([secret_env("DATABASE_URL"), secret_env("PGPASSWORD")])
    assert message.startswith(
        'variable PGPASSWORD of container "web" in the fork of Deployment web still comes'
    )


def test_parent_secret_by_keys_of_envfrom_that_nothing_overrides() -> None:
    source = [{"secretRef": {"name": "votes-database"}}]
    assert secret_found([], envFrom=source) == []
    [message] = secret_found([], keys=("DATABASE_URL", "PGPASSWORD"), envFrom=source)
    assert message.startswith("variable PGPASSWORD")


@pytest.mark.parametrize(
    "volume",
    [
        {"name": "v", "secret": {"secretName": "votes-database"}},
        {"name": "v", "projected": {"sources": [{"secret": {"name": "votes-database"}}]}},
    ],
)
def test_parent_secret_by_a_volume(volume: dict[str, Any]) -> None:
    [message] = secret_found([secret_env("DATABASE_URL")], volumes=[volume])
    assert message.startswith('volume "v"')


def test_parent_secret_by_a_literal_host_which_is_not_shown() -> None:
    literal = {"name": "REPORTS", "value": "postgresql://u:hunter2@votes-db.internal/votes"}
    [message] = secret_found([secret_env("DATABASE_URL"), literal])
    assert message.startswith("variable REPORTS")
    assert "hunter2" not in message


def test_parent_secret_learns_the_host_from_the_baselines_own_variable() -> None:
    env = [
        {"name": "DATABASE_URL", "value": "postgresql://u:p@10.1.2.3:5432/votes"},
        {"name": "COPY", "value": "tcp:10.1.2.3:5432"},
    ]
    [message] = secret_found(env)
    assert message.startswith("variable COPY")


def test_parent_credential_kept_only_without_the_lock() -> None:
    use = replace(VOTES, handover="sidecar")
    made = spec(workload("web", env=[secret_env("DATABASE_URL")]), databases=(use,))
    shown = case(cluster(), made, databases=DATABASES)
    assert len(found(shown, "parent-credential-kept")) == 1
    assert found(replace(shown, locked=frozenset({"web"})), "parent-credential-kept") == []
    assert found(shown, "parent-secret") == []


@pytest.mark.parametrize(
    ("annotations", "content"),
    [
        ({"traffic.sidecar.istio.io/excludeOutboundPorts": "5432"}, {}),
        ({"traffic.sidecar.istio.io/excludeOutboundIPRanges": "10.0.0.0/8"}, {}),
        ({"traffic.sidecar.istio.io/includeOutboundIPRanges": "10.96.0.0/12"}, {}),
        ({"sidecar.istio.io/interceptionMode": "NONE"}, {}),
        ({}, {"securityContext": {"runAsUser": 1337}}),
    ],
)
def test_lock_bypassed(annotations: dict[str, str], content: dict[str, Any]) -> None:
    item = workload("web")
    item["spec"]["template"]["metadata"]["annotations"] |= annotations
    pod(item).update(content)
    shown = case(cluster(), spec(item, locked=True), locked=frozenset({"web"}))
    assert len(found(shown, "lock-bypassed")) == 1
    assert found(replace(shown, locked=frozenset()), "lock-bypassed") == []


def test_a_locked_fork_starts_its_sidecar_before_its_init_containers() -> None:
    item = workload("web")
    pod(item)["initContainers"] = [{"name": "migrate", "image": "m"}]
    locked = case(cluster(), spec(item, locked=True), locked=frozenset({"web"}))
    assert found(locked, "lock-bypassed") == []
    unlocked = case(cluster(), spec(item), locked=frozenset({"web"}))
    assert len(found(unlocked, "lock-bypassed")) == 1


def test_a_secret_of_a_database_that_the_fork_does_not_declare_is_seen_too() -> None:
    user = spec(workload("web", env=[secret_env("DATABASE_URL")]), databases=(VOTES,))
    other_item = workload("page", env=[secret_env("PGPASSWORD")])
    other = replace(spec(other_item), service="page", name="page-dev", container="page")
    shown = case(cluster(), user, databases=DATABASES, others={"page": {}})
    silent = case(cluster(), other, databases=DATABASES, others={"page": {}}).forks[0]
    [message] = found(replace(shown, forks=(*shown.forks, silent)), "parent-secret")
    assert "PGPASSWORD" in message
