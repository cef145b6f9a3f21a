"""Safety rules about stores: nobody who has a fresh one goes on using production's."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest

from kardinal_infra.errors import ConfigError
from kardinal_infra.model.topology import Topology
from kardinal_infra.observed.live import LiveObjects
from kardinal_infra.safety import case_of_manifests, prove
from tests.pure import queued
from tests.pure.forked import pod
from tests.pure.queued import SHOP, changed, cluster, plan, queue_url, redis, shop
from tests.pure.samples import BASELINE_STACK, NAMESPACE, secret_env, workload


def found(
    rule: str, topology: Topology | None = None, live: LiveObjects | None = None, **flow: Any
) -> list[str]:
    """What a rule says of a flow, whether or not it stops it."""
    findings = plan(topology, live, acknowledge=[rule], **flow).findings
    return [finding.message for finding in findings if finding.rule == rule]


def api(*env: dict[str, Any], **container: Any) -> LiveObjects:
    """The cluster with more variables of the API."""
    objects = cluster()
    item = workload("api", env=[queue_url(), *env])
    pod(item)["containers"][0].update(container)
    return replace(objects, deployments=[objects.deployments[0], item, *objects.deployments[2:]])


@pytest.mark.parametrize(
    "value",
    [
        "redis://queue:6379/1",
        "redis://:secret@queue/1",
        "queue:6379",
        "queue",
        f"queue.{NAMESPACE}",
        f"queue.{NAMESPACE}.svc:6379",
        f"redis://queue.{NAMESPACE}.svc.cluster.local",
        "queue-0.queue:6379",
        "a:6379,queue:6379",
        "10.96.1.2:6379",
        "redis://$(QUEUE_SERVICE_HOST):$(QUEUE_SERVICE_PORT)",
        "$(QUEUE_PORT)",
    ],
)
def test_a_variable_that_still_leads_to_productions_store(value: str) -> None:
    assert found("production-store", live=api({"name": "CACHE", "value": value})) == [
        'variable CACHE of container "api" in the fork of Deployment api still leads to production\'s store'
        ' "queue": name it in `uses[].environment` of the baseline'
    ]


@pytest.mark.parametrize(
    "value",
    [
        "",
        "queue-size:10",
        "http://queue-admin/x",
        "my-queue:6379",
        "queue:16379",
        "queue/jobs",
        "the queue",
        "queue.example.com",
        "110.96.1.2",
        "10.96.1.20",
        "$(QUEUED)",
        queued.FRESH_URL,
    ],
)
def test_a_variable_that_only_looks_like_it(value: str) -> None:
    assert found("production-store", live=api({"name": "OTHER", "value": value})) == []


def test_it_stops_the_flow_unless_that_is_accepted() -> None:
    with pytest.raises(ConfigError, match=r"kardinal:flow.services.api: .*docs/safety.md#production-store"):
        plan(live=api({"name": "CACHE", "value": "redis://queue:6379/1"}))


def test_the_name_of_a_queue_is_no_host() -> None:
    live = api({"name": "QUEUE_NAME", "value": "queue"})
    assert len(found("production-store", live=live)) == 1
    assert found("production-store", changed("api", queues=["QUEUE_NAME"]), live) == []


def test_the_command_is_looked_at_too() -> None:
    live = api(args=["--broker", "redis://queue:6379", "queue"])
    assert found("production-store", live=live) == [
        'the command of container "api" in the fork of Deployment api still leads to production\'s store'
        ' "queue": name it in `uses[].environment` of the baseline'
    ]


def test_another_variable_of_the_same_key_of_a_secret_or_config_map() -> None:
    def reference(name: str, key: str = "url") -> dict[str, Any]:
        return {"name": name, "valueFrom": {"configMapKeyRef": {"name": "settings", "key": key}}}

    item = workload("api", env=[reference("QUEUE_URL"), reference("BROKER"), reference("COLOR", "color")])
    objects = cluster()
    rest = [objects.deployments[0], *objects.deployments[2:]]
    live = replace(
        objects, deployments=[item, *rest], config_map_keys={"settings": frozenset({"url", "color"})}
    )
    assert found("production-store", live=live) == [
        'variable BROKER (key url of ConfigMap settings) of container "api" in the fork of Deployment api'
        ' still leads to production\'s store "queue": name it in `uses[].environment` of the baseline'
    ]


def test_all_of_a_config_map_with_the_stores_address_in_it() -> None:
    item = workload("api")
    pod(item)["containers"][0]["envFrom"] = [{"prefix": "APP_", "configMapRef": {"name": "settings"}}]
    worker = workload("worker", env=[secret_env("DATABASE_URL")])
    pod(worker)["containers"][0]["env"].append(
        {"name": "QUEUE_URL", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "url"}}}
    )
    objects = cluster()
    live = replace(
        objects,
        deployments=[objects.deployments[0], item, worker, objects.deployments[3]],
        config_map_keys={"settings": frozenset({"url", "color"})},
    )
    named = changed("api", uses=[{"store": "queue", "environment": {"APP_url": "redis://{host}"}}])
    assert found("production-store", named, live) == []
    other = changed("api", uses=[{"store": "queue", "environment": {"APP_color": "redis://{host}"}}])
    messages = found("production-store", other, live)
    assert [message.partition(" of container")[0] for message in messages] == [
        "variable APP_url (key url of ConfigMap settings)"
    ]


def test_a_store_that_tells_its_clients_productions_name() -> None:
    item = redis()
    pod(item)["containers"][0]["env"] = [
        {"name": "ADVERTISED", "value": "redis://queue:6379"},
        {"name": "APP_NAME", "value": "queue"},
    ]
    objects = cluster(statefulsets=[item])
    [message] = found("production-store", live=objects)
    assert message.startswith('variable ADVERTISED of container "queue" in the fork of StatefulSet queue')


def test_a_shared_store_may_be_named_anywhere() -> None:
    live = api({"name": "CACHE", "value": "redis://queue:6379/1"})
    assert found("production-store", live=live, stores={"queue": "share"}) == []


def test_a_user_that_does_not_declare_itself() -> None:
    objects = cluster()
    stats = workload("stats", env=[{"name": "CACHE", "value": "redis://queue:6379"}])
    live = replace(objects, deployments=[*objects.deployments[:3], stats])
    assert found("undeclared-store-user", live=live) == [
        'service "stats" names the host of store "queue" and does not declare it in `uses`: for the flow\'s'
        " requests it uses production's"
    ]
    assert found("undeclared-store-user") == []


def test_a_worker_takes_nobodys_messages_but_of_its_own_store() -> None:
    services = {"worker": {"image": "worker:2.0", "replicas": 1}}
    assert found("worker-shares-queue", services=services) == []
    assert len(found("worker-shares-queue", services=services, stores={"queue": "share"})) == 1


def test_a_store_needs_no_sidecar_but_for_the_egress_lock() -> None:
    item = redis()
    item["spec"]["template"]["metadata"]["labels"]["sidecar.istio.io/inject"] = "false"
    objects = cluster(statefulsets=[item])
    assert found("fork-without-sidecar", live=objects) == []
    assert len(found("fork-without-sidecar", live=objects, egress="locked")) == 1


def test_what_does_not_pass_the_key_on_reaches_a_fresh_store_all_the_same() -> None:
    plain = deepcopy(SHOP)
    plain["services"]["worker"] |= {"dependsOn": ["queue"], "propagates": False}
    assert found("key-lost", Topology.from_plain(plain, BASELINE_STACK)) == []


def test_a_policy_pack_sees_the_same() -> None:
    def judged(*, replaced: bool) -> list[str]:
        manifests: list[Any] = []
        for fork in plan().forks:
            item = deepcopy(fork.workload({"orders": "branch"}))
            if not replaced and fork.service == "worker":
                pod(item)["containers"][0]["env"] = [queue_url()]
            manifests += [item, *([fork.service_manifest] if fork.service_manifest else [])]
        case = case_of_manifests(manifests, cluster(), shop(), "dev")
        rules = {"production-store", "worker-shares-queue"}
        return [finding.rule for finding in prove(case) if finding.rule in rules]

    assert judged(replaced=True) == []
    assert judged(replaced=False) == ["production-store"]
