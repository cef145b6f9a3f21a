"""Flows in a VirtualService of somebody else, on the real API server and the real mesh."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from kardinal_infra.cluster.client import connect
from kardinal_infra.cluster.virtual_services import insert_rules, remove_rules
from kardinal_infra.components.virtual_service_rules import VirtualServiceRulesProvider
from kardinal_infra.model.names import HEADER_FLOW, Owner, fork_name
from kardinal_infra.routing import Insertion, Targets, flow_insertion
from kardinal_infra.routing.istio.mesh import rule_flow
from tests.mesh.conftest import Ask, Manifest, Mesh

pytestmark = pytest.mark.lab

SERVICE = "ledger"
CANARY = "ledger-canary"
OTHER = "ledger-books"
WRITERS = [f"writer-{n}" for n in range(10)]


def tagged(flow: str, path: str = "/") -> Ask:
    return Ask(SERVICE, path, ((HEADER_FLOW, flow),))


@pytest.fixture
def owners(mesh: Mesh) -> Manifest:
    """The VirtualService as its owner wrote it: a path to another Service, and a canary by header."""
    mesh.services([SERVICE, CANARY, OTHER, *(fork_name(SERVICE, flow) for flow in WRITERS)])
    item: Manifest = {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": SERVICE, "namespace": mesh.namespace},
        "spec": {
            "hosts": [SERVICE],
            "http": [
                {
                    "name": "books",
                    "match": [{"uri": {"prefix": "/books"}}],
                    "route": [{"destination": {"host": OTHER}}],
                },
                {
                    "name": "canary",
                    "match": [{"headers": {"x-canary": {"exact": "1"}}}],
                    "route": [{"destination": {"host": f"{CANARY}.{mesh.namespace}.svc.cluster.local"}}],
                },
                {"name": "all", "route": [{"destination": {"host": SERVICE}}], "timeout": "5s"},
            ],
        },
    }
    mesh.kubectl("delete", "virtualservice", SERVICE, "--ignore-not-found")
    mesh.apply([item])
    return item


def derived(mesh: Mesh, flow: str) -> Insertion:
    owner = Owner(f"organization/mesh/{flow}", mesh.namespace, flow)
    [item] = mesh.objects("virtualservices")
    found = flow_insertion(
        item, Targets(owner, SERVICE, {SERVICE: fork_name(SERVICE, flow)}, (SERVICE, OTHER))
    )
    assert found is not None
    return found


def http(mesh: Mesh) -> list[dict[str, Any]]:
    [item] = mesh.objects("virtualservices")
    rules: list[dict[str, Any]] = item["spec"]["http"]
    return rules


def test_ten_flows_write_one_object_at_the_same_time(mesh: Mesh, owners: Manifest) -> None:
    insertions = {flow: derived(mesh, flow) for flow in WRITERS}

    def insert(flow: str) -> None:
        with connect(mesh.namespace, kubeconfig=mesh.kubeconfig) as client:
            insert_rules(client, mesh.namespace, SERVICE, flow, insertions[flow].rules)

    def remove(flow: str) -> bool:
        with connect(mesh.namespace, kubeconfig=mesh.kubeconfig) as client:
            return remove_rules(client, mesh.namespace, SERVICE, flow)

    with ThreadPoolExecutor(len(WRITERS)) as pool:
        list(pool.map(insert, WRITERS))
        flows = [rule_flow(rule) for rule in http(mesh)]
        assert flows[-3:] == [None] * 3
        assert {flow: flows.count(flow) for flow in WRITERS} == dict.fromkeys(WRITERS, 3)
        mesh.comes_to(
            {
                Ask(SERVICE): SERVICE,
                Ask(SERVICE, headers=((HEADER_FLOW, "unknown"),)): SERVICE,
                Ask(SERVICE, "/books"): OTHER,
                **{tagged(flow): fork_name(SERVICE, flow) for flow in WRITERS},
                **{tagged(flow, "/books"): OTHER for flow in WRITERS},
            }
        )
        canary = Ask(SERVICE, headers=((HEADER_FLOW, WRITERS[0]), ("x-canary", "1")))
        [answer] = mesh.ask([canary])
        assert answer.by == answer.headers["x-kardinal-fork"] == fork_name(SERVICE, WRITERS[0])
        assert "No validation issues found" in mesh.analyze()
        half = WRITERS[::2]
        assert all(pool.map(remove, half))
        assert {rule_flow(rule) for rule in http(mesh)} == {None, *WRITERS[1::2]}
        assert all(pool.map(remove, WRITERS[1::2]))
    assert http(mesh) == owners["spec"]["http"]


def test_rules_that_the_owner_wiped_are_noticed_and_written_again(
    mesh: Mesh, owners: Manifest, capfd: pytest.CaptureFixture[str]
) -> None:
    [flow, *_] = WRITERS
    provider = VirtualServiceRulesProvider()

    def inputs(insertion: Insertion) -> dict[str, Any]:
        return {
            "namespace": insertion.namespace,
            "virtual_service": insertion.virtual_service,
            "flow": flow,
            "rules": [dict(rule) for rule in insertion.rules],
            "lost_at": insertion.lost_at,
            "kubeconfig": mesh.kubeconfig,
            "context": None,
        }

    first = provider.create(inputs(derived(mesh, flow)))
    assert first.outs is not None
    there = derived(mesh, flow)
    assert there.lost_at == ""
    assert not provider.diff(first.id, first.outs, inputs(there)).changes
    read = provider.read(first.id, first.outs)
    assert (read.id, read.outs) == (first.id, first.outs)

    mesh.apply([owners])
    assert [rule_flow(rule) for rule in http(mesh)] == [None] * 3
    assert provider.read(first.id, first.outs).id is None
    assert f"somebody removed the rules of flow {flow} from VirtualService" in capfd.readouterr().out
    wiped = derived(mesh, flow)
    assert wiped.lost_at
    assert provider.diff(first.id, first.outs, inputs(wiped)).changes
    second = provider.update(first.id, first.outs, inputs(wiped))
    assert second.outs is not None
    mesh.comes_to({tagged(flow): fork_name(SERVICE, flow), Ask(SERVICE): SERVICE})

    provider.delete(first.id, second.outs)
    assert http(mesh) == owners["spec"]["http"]
    provider.delete(first.id, second.outs)
    mesh.delete("virtualservice", SERVICE)
    provider.delete(first.id, second.outs)
    assert provider.read(first.id, second.outs).id is None
