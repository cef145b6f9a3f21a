"""What a flow does with stores that nobody can branch."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest

from kardinal_infra.errors import ConfigError
from kardinal_infra.model.topology import Topology
from kardinal_infra.plan.stores import starting_order
from tests.pure import queued
from tests.pure.forked import pod
from tests.pure.queued import FRESH_HOST, FRESH_URL, SHOP, changed, cluster, plan, redis, shop
from tests.pure.samples import BASELINE_STACK, workload


def refusals(*args: Any, **changes: Any) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        plan(*args, **changes)
    return str(caught.value).splitlines()


def made(name: str, *args: Any, **changes: Any) -> dict[str, Any]:
    """The manifest of one service's fork."""
    [fork] = [fork for fork in plan(*args, **changes).forks if fork.service == name]
    return fork.workload({"orders": "branch"})


def variables(item: dict[str, Any]) -> dict[str, Any]:
    [container] = pod(item)["containers"]
    return {entry["name"]: entry.get("value", entry.get("valueFrom")) for entry in container["env"]}


def test_all_users_of_a_fresh_store_are_forked_and_what_they_use_is_branched() -> None:
    found = plan()
    assert {fork.service: str(fork.reason) for fork in found.forks} == {
        "api": "requested",
        "queue": "fresh store queue",
        "worker": "uses branched database orders and fresh store queue",
    }
    assert [branch.name for branch in found.databases] == ["orders"]
    [store] = found.stores
    assert (store.mode, store.fork, store.host, store.port) == ("fresh", "queue-dev", FRESH_HOST, 6379)
    assert store.users == ("api", "worker")


def test_the_plan_says_what_becomes_of_a_store() -> None:
    assert "  Store queue: fresh, empty: queue-dev, for api, worker" in plan().describe().splitlines()
    shared = plan(stores={"queue": "share"}).describe().splitlines()
    assert "  Store queue: shared with production, for api, worker" in shared


def test_the_users_of_a_fresh_store_get_its_address_and_all_else_as_it_was() -> None:
    assert variables(made("api"))["QUEUE_URL"] == FRESH_URL
    assert variables(made("worker"))["QUEUE_URL"] == FRESH_URL
    assert variables(made("api", stores={"queue": "share"}))["QUEUE_URL"] == queued.SHARED_URL


def test_a_fresh_store_is_the_baselines_workload_with_a_new_volume_and_no_route() -> None:
    found = plan()
    fork = made("queue")
    assert fork["kind"] == "StatefulSet"
    assert pod(fork)["containers"][0]["image"] == "redis:7"
    [claim] = fork["spec"]["volumeClaimTemplates"]
    assert "volumeName" not in claim["spec"]
    [manifest] = [fork.service_manifest for fork in found.forks if fork.service == "queue"]
    assert manifest is not None
    assert manifest["spec"]["ports"] == [{"name": "tcp-redis", "port": 6379, "protocol": "TCP"}]
    assert [route["metadata"]["name"] for route in found.routes] == ["api-dev-80"]


def test_the_volumes_of_a_deployment_start_empty() -> None:
    item = workload("queue", image="redis:7")
    claim = {"name": "data", "persistentVolumeClaim": {"claimName": "queue"}}
    folder = {"name": "spool", "hostPath": {"path": "/var/spool"}}
    settings = {"name": "settings", "configMap": {"name": "queue"}}
    pod(item)["volumes"] = [claim, folder, settings]
    objects = cluster(statefulsets=[])
    objects = replace(objects, deployments=[*objects.deployments, item])
    assert pod(made("queue", live=objects))["volumes"] == [
        {"name": "data", "emptyDir": {}},
        {"name": "spool", "emptyDir": {}},
        settings,
    ]


def test_a_worker_with_a_queue_of_its_own_runs_and_one_at_productions_does_not() -> None:
    assert made("worker")["spec"]["replicas"] == 1
    services = {"worker": {"image": "worker:2.0"}}
    assert made("worker", services=services)["spec"]["replicas"] == 1
    assert made("worker", services=services, stores={"queue": "share"})["spec"]["replicas"] == 0


def test_a_worker_with_one_shared_store_may_take_work_from_it() -> None:
    uses = [*SHOP["services"]["worker"]["uses"], {"store": "mail", "environment": {}}]
    plain = deepcopy(SHOP)
    plain["services"] |= {"mail": SHOP["services"]["queue"]}
    plain["services"]["worker"]["uses"] = uses
    plain["stores"]["mail"] = {"flows": "share"}
    topology = Topology.from_plain(plain, BASELINE_STACK)
    objects = cluster()
    mail = deepcopy(objects.services[-1])
    mail["metadata"]["name"] = "mail"
    mail["spec"]["selector"] = {"app": "mail"}
    objects = replace(
        objects,
        services=[*objects.services, mail],
        deployments=[*objects.deployments, workload("mail", image="redis:7")],
    )
    assert made("worker", topology, objects)["spec"]["replicas"] == 0


def test_what_a_worker_calls_for_the_flows_messages_is_reached_too() -> None:
    plain = deepcopy(SHOP)
    plain["services"]["worker"]["dependsOn"] = ["stats"]
    plain["services"]["stats"]["uses"] = [{"database": "stats", "environment": {"STATS_URL": "uri"}}]
    plain["databases"]["stats"] = {"project": "shop", "database": "stats", "role": "shop"}
    objects = cluster()
    stats = workload("stats", env=[{"name": "STATS_URL", "value": "postgresql://stats"}])
    objects = replace(objects, deployments=[*objects.deployments[:-1], stats])
    found = plan(Topology.from_plain(plain, BASELINE_STACK), objects)
    assert [branch.name for branch in found.databases] == ["orders", "stats"]
    assert "stats" in {fork.service for fork in found.forks}


def test_a_shared_store_forces_nobody() -> None:
    found = plan(stores={"queue": "share"})
    assert [fork.service for fork in found.forks] == ["api"]
    assert [(store.mode, store.fork) for store in found.stores] == [("share", None)]
    assert found.databases == ()


def test_a_store_that_nobody_reaches_is_left_alone_unless_the_flow_names_it() -> None:
    services = {"stats": {"image": "stats:2.0"}}
    assert plan(services=services).stores == ()
    named = plan(services=services, stores={"queue": "fresh"})
    assert [fork.service for fork in named.forks] == ["api", "queue", "stats", "worker"]


def test_nobody_decided() -> None:
    assert refusals(shop(queue={})) == [
        'kardinal:flow.stores.queue: store "queue" (used by api, worker) cannot be branched, and nobody says'
        " what the flow does with it: `stores: {queue: fresh}` gives it a new, empty one and forks its users,"
        " `stores: {queue: share}` lets it use production's"
    ]
    assert plan(shop(queue={}), stores={"queue": "share"}).stores[0].mode == "share"
    assert plan(shop(queue={"flows": "share"}), stores={"queue": "fresh"}).stores[0].mode == "fresh"


def test_full_isolation_forks_every_service_but_shared_stores() -> None:
    assert "queue" in {fork.service for fork in plan(isolation="full").forks}
    shared = plan(isolation="full", stores={"queue": "share"})
    assert [fork.service for fork in shared.forks] == ["api", "page", "stats", "worker"]
    assert len(refusals(shop(queue={}), isolation="full")) == 1


def test_isolation_services_shares_stores_with_a_warning() -> None:
    found = plan(shop(queue={}), isolation="services")
    assert [(store.name, store.mode) for store in found.stores] == [("queue", "share")]
    assert 'isolation "services": the fork of api writes to production\'s store queue' in found.warnings
    assert refusals(isolation="services", stores={"queue": "fresh"}) == [
        'kardinal:flow.stores.queue: isolation "services" shares all data; use isolation "data" for a fresh'
        " store"
    ]


def test_a_store_has_a_version_of_the_flow_only_when_it_is_fresh() -> None:
    services = {"queue": {"image": "redis:8"}}
    assert pod(made("queue", services=services))["containers"][0]["image"] == "redis:8"
    assert refusals(services=services, stores={"queue": "share"}) == [
        'kardinal:flow.services.queue: service "queue" is store "queue", which this flow shares with'
        " production; a version of its own needs `stores: {queue: fresh}`"
    ]


def test_a_user_that_does_not_say_how_it_gets_there() -> None:
    silent = changed("worker", uses=[{"store": "queue"}])
    assert refusals(silent)[0] == (
        'topology.services.worker: service "worker" does not say which environment variables lead to store'
        ' "queue"; a fresh one needs them (`uses[].environment` of the baseline)'
    )
    wrong = changed("worker", uses=[{"store": "queue", "environment": {"QUEUE": "{host}"}}])
    assert refusals(wrong) == [
        'topology.services.worker: Deployment worker has no environment variable "QUEUE", which should lead'
        ' to store "queue" (it has: DATABASE_URL, QUEUE_URL)',
        "topology.services.worker: variable QUEUE_URL of container"
        ' "worker" in the fork of Deployment worker still leads to production\'s store "queue": name it in'
        " `uses[].environment` of the baseline [docs/safety.md#production-store]",
    ]


def test_a_variable_that_the_store_sets_is_not_for_the_flow_to_set() -> None:
    services = {"api": {"image": "api:2.0", "env": {"QUEUE_URL": "redis://elsewhere"}}}
    assert refusals(services=services) == [
        'kardinal:flow.services.api: env.QUEUE_URL is set by the fresh store "queue"; remove it here'
    ]
    shared = made("api", services=services, stores={"queue": "share"})
    assert variables(shared)["QUEUE_URL"] == "redis://elsewhere"


def test_unknown_stores_are_named() -> None:
    assert refusals(stores={"queu": "fresh"}) == [
        'kardinal:flow.stores.queu: unknown store; shop has: queue; did you mean "queue"?'
    ]


def test_under_the_egress_lock_only_the_fresh_store_can_be_reached() -> None:
    def hosts(**changes: Any) -> set[str]:
        [fork] = [fork for fork in plan(egress="locked", **changes).forks if fork.service == "api"]
        [lock] = [policy for policy in fork.policies if policy["kind"] == "Sidecar"]
        return {host.partition("/")[2].partition(".")[0] for host in lock["spec"]["egress"][0]["hosts"]}

    assert {"queue", "queue-dev"} & hosts() == {"queue-dev"}
    assert {"queue", "queue-dev"} & hosts(stores={"queue": "share"}) == {"queue"}


def test_forks_start_after_the_stores_that_they_use() -> None:
    plain = deepcopy(SHOP)
    plain["services"]["queue"]["uses"] = [{"store": "keeper", "environment": {"KEEPER": "{host}:{port}"}}]
    plain["services"]["keeper"] = SHOP["services"]["queue"]
    plain["stores"]["keeper"] = {"flows": "fresh"}
    keeper = deepcopy(cluster().services[-1])
    keeper["metadata"]["name"] = "keeper"
    keeper["spec"]["selector"] = {"app": "keeper"}
    item = redis()
    pod(item)["containers"][0]["env"] = [{"name": "KEEPER", "value": "keeper:6379"}]
    objects = cluster(statefulsets=[item])
    objects = replace(
        objects,
        services=[*objects.services, keeper],
        deployments=[*objects.deployments, workload("keeper")],
    )
    found = plan(Topology.from_plain(plain, BASELINE_STACK), objects)
    order = [fork.service for fork in starting_order(found.forks, found.stores)]
    assert sorted(order) == ["api", "keeper", "queue", "worker"]
    assert order.index("keeper") < order.index("queue") < min(order.index("api"), order.index("worker"))


def test_a_store_may_say_its_own_name() -> None:
    plain = deepcopy(SHOP)
    plain["services"]["queue"]["uses"] = [{"store": "queue", "environment": {"ADVERTISED": "{host}:{port}"}}]
    item = redis()
    pod(item)["containers"][0]["env"] = [{"name": "ADVERTISED", "value": "queue:6379"}]
    found = plan(Topology.from_plain(plain, BASELINE_STACK), cluster(statefulsets=[item]))
    [fork] = [fork for fork in found.forks if fork.service == "queue"]
    assert variables(fork.workload({}))["ADVERTISED"] == f"{FRESH_HOST}:6379"


def test_the_graph_has_the_store_as_the_service_that_it_is() -> None:
    edges = plan().to_contract()["edges"]
    assert {"from": "service/worker", "to": "service/queue", "kind": "uses"} in edges
    assert {"from": "service/worker", "to": "database/orders", "kind": "uses"} in edges


def test_a_shared_store_that_goes_on_using_a_branched_database_is_told() -> None:
    plain = deepcopy(SHOP)
    plain["services"]["queue"]["uses"] = [{"database": "orders"}]
    told = "goes on using production's database orders"
    asked: Any = {"stores": {"queue": "share"}, "databases": {"orders": {}}}
    assert told in plan(Topology.from_plain(plain, BASELINE_STACK), **asked).describe()
    assert told not in plan(**asked).describe()
