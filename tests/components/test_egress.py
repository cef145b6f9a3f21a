"""Policies and the egress lock: declared before the pods that they are for, and away after them."""

from __future__ import annotations

from typing import Any

import pytest

from kardinal_infra.components.branched_database import with_port
from kardinal_infra.model.names import MANAGED_BY
from tests.components import recorder
from tests.components.flows import declare, shop
from tests.components.recorder import Hidden, Stack
from tests.pure import samples

SIDECAR = "kubernetes:networking.istio.io/v1:Sidecar"
SERVICE_ENTRY = "kubernetes:networking.istio.io/v1:ServiceEntry"
NETWORK_POLICY = "kubernetes:networking.k8s.io/v1:NetworkPolicy"
STATEFUL_SET = "kubernetes:apps/v1:StatefulSet"


def locked(preview: bool = False) -> Stack:
    topology, live = shop()
    egress: Any = {"mode": "locked", "allow": ["api.example.com"]}
    services = {"page": {"image": "page:2"}}
    return declare(preview=preview, topology=topology, live=live, services=services, egress=egress)


def test_the_lock_is_in_place_before_any_pod(preview: bool) -> None:
    stack = locked(preview)
    forks = {item.object_name: item for item in stack.all(recorder.DEPLOYMENT)}
    locks = stack.all(SIDECAR)
    entries = stack.all(SERVICE_ENTRY)

    assert {item.object_name for item in locks} == {f"{name}-lock" for name in forks}
    assert {item.object_name for item in entries} == {
        "dev-api-example-com-443",
        "orders-dev-branch",
        "users-dev-branch",
    }
    for item in forks.values():
        assert all(stack.waits_for(item, entry) for entry in entries)
    for lock in locks:
        [fork] = [name for name in forks if f"{name}-lock" == lock.object_name]
        assert stack.waits_for(forks[fork], lock)
    # A killed update leaves nothing that its guard does not know.
    guard = stack.one(recorder.LEFTOVERS)
    assert all(stack.waits_for(item, guard) for item in (*locks, *entries))
    for item in (*locks, *entries):
        labels = item.inputs["metadata"]["labels"]
        assert (labels["kardinal.dev/flow"], labels["app.kubernetes.io/managed-by"]) == ("dev", MANAGED_BY)


def test_locked_forks_are_told_the_branchs_port_in_the_mesh() -> None:
    stack = locked()
    [entry] = [item for item in stack.all(SERVICE_ENTRY) if item.object_name == "orders-dev-branch"]
    [port] = entry.inputs["spec"]["ports"]
    assert entry.inputs["spec"]["endpoints"] == [
        {"address": "ep-dev-orders.example.test", "ports": {"tcp-branch": 5433}}
    ]
    uri = (
        "postgresql://shop:pa%27ss-of-dev-orders@ep-dev-orders.example.test"
        f":{port['number']}/orders?sslmode=require"
    )
    worker = stack.one(recorder.SECRET, "dev-orders.worker").inputs["stringData"]
    assert worker == Hidden({"ORDERS_URL": uri, "ORDERS_POOL": uri})


def test_without_the_lock_nothing_of_it_is_declared() -> None:
    stack = declare()
    assert stack.all(SIDECAR) == stack.all(SERVICE_ENTRY) == []


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("postgresql://u:p%40@h/d?sslmode=require", "postgresql://u:p%40@h:15432/d?sslmode=require"),
        ("postgresql://u:p@h:5432/d", "postgresql://u:p@h:15432/d"),
        ("postgresql://h/d", "postgresql://h:15432/d"),
        ("postgresql://u:p@[::1]/d", "postgresql://u:p@[::1]:15432/d"),
        ("postgresql://u:p@[::1]:5432/d", "postgresql://u:p@[::1]:15432/d"),
    ],
)
def test_a_uri_keeps_everything_but_its_port(uri: str, expected: str) -> None:
    assert with_port(uri, 15432) == expected


def test_a_guard_of_the_baseline_is_in_place_before_its_fork(preview: bool) -> None:
    guard = {
        "kind": "NetworkPolicy",
        "metadata": {"name": "guard", "namespace": samples.NAMESPACE},
        "spec": {"podSelector": {"matchLabels": {"app": "voting-app-ui"}}, "policyTypes": ["Ingress"]},
    }
    stack = declare(preview=preview, live=samples.live(policies=[guard]))
    copy = stack.one(NETWORK_POLICY)
    assert copy.object_name == "guard-voting-app-ui-dev"
    assert copy.inputs["spec"] == {
        "podSelector": {"matchLabels": {"kardinal.dev/fork": "voting-app-ui-dev"}},
        "policyTypes": ["Ingress"],
    }
    assert stack.waits_for(stack.one(recorder.DEPLOYMENT, "voting-app-ui-dev"), copy)
    assert not stack.waits_for(stack.one(recorder.DEPLOYMENT, "votes-api-dev"), copy)


def test_a_statefulset_with_claims_is_forked_as_one(preview: bool) -> None:
    ui = samples.workload("voting-app-ui")
    ui["spec"]["volumeClaimTemplates"] = [
        {"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"]}}
    ]
    api = samples.live().deployments[1]
    stack = declare(preview=preview, live=samples.live(deployments=[api], statefulsets=[ui]))
    made = stack.one(STATEFUL_SET)
    assert made.object_name == "voting-app-ui-dev"
    assert made.inputs["spec"]["volumeClaimTemplates"][0]["metadata"]["name"] == "data"
    [route] = [item for item in stack.all(recorder.HTTP_ROUTE) if item.name == "voting-app-ui-dev-80"]
    assert stack.waits_for(route, made)
