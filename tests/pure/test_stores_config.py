"""What a baseline's config says of stores, and what is wrong with it."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from kardinal_infra.config import load_baseline, load_flow
from kardinal_infra.errors import ConfigError
from tests.pure.queued import FLOW, SHOP

KEY = "kardinal:baseline"


def baseline(**changes: Any) -> dict[str, Any]:
    plain = deepcopy(SHOP)
    del plain["schemaVersion"], plain["gateway"]
    return {**plain, **changes}


def problems(value: dict[str, Any]) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_baseline(value)
    return str(caught.value).splitlines()


def with_service(name: str, **changes: Any) -> dict[str, Any]:
    value = baseline()
    value["services"].setdefault(name, {}).update(changes)
    return value


def test_service_and_port_have_defaults() -> None:
    topology = load_baseline(baseline()).to_topology()
    assert (topology.store_service("queue"), topology.store_port("queue")) == ("queue", 6379)
    assert topology.store_users("queue") == {"api", "worker"}
    value = with_service("queue", ports=[{"port": 15672}, {"port": 5672, "protocol": "tcp"}])
    value["stores"] = {"jobs": {"service": "queue", "port": 5672}}
    for name in ("api", "worker"):
        value["services"][name]["uses"][0] = {"store": "jobs"}
    topology = load_baseline(value).to_topology()
    assert (topology.store_service("jobs"), topology.store_port("jobs")) == ("queue", 5672)
    assert topology.stores["jobs"].flows is None


def test_the_contract_carries_stores_from_the_baseline_to_its_flows() -> None:
    topology = load_baseline(baseline()).to_topology()
    assert type(topology).from_plain(topology.to_plain(), "x") == topology
    assert topology.to_plain()["services"]["api"]["uses"] == SHOP["services"]["api"]["uses"]


def test_a_flow_says_what_it_does_with_stores() -> None:
    assert load_flow({**FLOW, "stores": {"queue": "share"}}, "dev").stores == {"queue": "share"}
    with pytest.raises(ConfigError) as caught:
        load_flow({**FLOW, "stores": {"queue": "branch"}}, "dev")
    assert str(caught.value) == 'kardinal:flow.stores.queue: must be "share" or "fresh"'


@pytest.mark.parametrize(
    ("uses", "message"),
    [
        ([{}], "uses[0]: exactly one of database and store"),
        (
            [{"database": "orders", "store": "queue"}],
            "uses[0]: exactly one of database and store",
        ),
        (["queue"], "uses[0]: must be a mapping"),
        (
            [{"store": "queu"}],
            'uses[0].store: unknown store "queu"; did you mean "queue"?',
        ),
        (
            [{"store": "queue", "enviroment": {}}],
            'uses[0].enviroment: unknown key; did you mean "environment"?',
        ),
        (
            [{"database": "orders", "environment": {"URL": "url"}}],
            'uses[0].environment.URL: must be "uri", "pooledUri", "host"',
        ),
        (
            [{"store": "queue", "environment": {"URL": "redis://{hots}:{port}"}}],
            "uses[0].environment.URL: unknown placeholder {hots}; there are {host} and {port}; did you mean"
            ' "host"?',
        ),
        (
            [{"store": "queue", "environment": {"PORT": "{port}"}}],
            "uses[0].environment: no variable has {host}, so nothing leads to a fresh store",
        ),
        (
            [{"store": "queue"}, {"store": "queue"}],
            'uses[1].store: store "queue" is listed twice',
        ),
        (
            [
                {"database": "orders", "environment": {"URL": "uri"}},
                {"store": "queue", "environment": {"URL": "{host}"}},
            ],
            "uses[1].environment.URL: the variable is already used for another store",
        ),
    ],
)
def test_a_mistake_in_what_a_service_uses(uses: Any, message: str) -> None:
    found = problems(with_service("api", uses=uses))
    assert [line for line in found if line.startswith(f"{KEY}.services.api.{message}")], found


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (
            baseline(stores={"queue": {"service": "queu"}}),
            '.stores.queue.service: unknown service "queu"; did you mean "queue"?',
        ),
        (
            baseline(stores={"queue": {"port": 6380}}),
            '.stores.queue.port: service "queue" has no port 6380',
        ),
        (
            baseline(stores={"queue": {"service": "stats"}}),
            '.stores.queue.port: port 80 of service "stats" is declared as http; declare a store\'s port as'
            " tcp",
        ),
        (
            baseline(stores={"queue": {"service": "worker"}}),
            '.stores.queue.port: required: service "worker" has not exactly one port (it has: none)',
        ),
        (
            baseline(stores={"queue": {}, "jobs": {"service": "queue"}}),
            '.stores.jobs.service: service "queue" is already store "queue"',
        ),
        (
            baseline(stores={"queue": {"flows": "branch"}}),
            '.stores.queue.flows: must be "share" or "fresh"',
        ),
        (
            with_service("page", dependsOn=["api", "queue"]),
            '.services.page.dependsOn[1]: service "queue" is store "queue": say so in `uses` instead',
        ),
        (
            baseline(stores={"Queue": {"service": "queue"}, "queue": {"service": "x"}}),
            '.stores.Queue: the name "Queue" must consist of a-z, 0-9 and "-"',
        ),
    ],
)
def test_a_mistake_in_a_store(value: dict[str, Any], message: str) -> None:
    found = problems(value)
    assert [line for line in found if line.startswith(f"{KEY}{message}")], found


def test_stores_in_a_circle_could_never_start() -> None:
    value = with_service("queue", uses=[{"store": "keeper", "environment": {"K": "{host}"}}])
    use = {"store": "queue", "environment": {"Q": "{host}"}}
    value["services"]["keeper"] = {"ports": [{"port": 2181, "protocol": "tcp"}], "uses": [use]}
    value["stores"]["keeper"] = {}
    [found] = problems(value)
    assert found.startswith(f"{KEY}.stores: stores use each other in a circle: ")
    assert {"keeper", "queue"} <= set(found.split())
