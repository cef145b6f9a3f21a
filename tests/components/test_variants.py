"""Flows of other shapes than the demonstration's."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from tests.components import recorder
from tests.components.flows import container, declare, environment, shop
from tests.components.recorder import Hidden
from tests.pure import samples
from tests.pure.samples import TOPOLOGY


def test_a_service_with_two_databases_gets_each_branch_s_own_connection() -> None:
    topology, live = shop()
    stack = declare(topology=topology, live=live, services={"page": {"image": "page:2"}})

    orders = stack.one(recorder.SECRET, "dev-orders.api")
    users = stack.one(recorder.SECRET, "dev-users.api")
    got = environment(stack.one(recorder.DEPLOYMENT, "api-dev"))
    sources = {name: value["secretKeyRef"] for name, value in got.items()}
    assert sources == {
        **{key: {"name": orders.object_name, "key": key} for key in ("ORDERS_URL", "ORDERS_POOL")},
        **{
            key: {"name": users.object_name, "key": key}
            for key in ("USERS_HOST", "USERS_PORT", "USERS_PASSWORD")
        },
    }
    assert users.inputs["stringData"] == Hidden(
        {
            "USERS_HOST": "ep-dev-users.example.test",
            "USERS_PORT": "5433",
            "USERS_PASSWORD": "pa'ss-of-dev-users",
        }
    )
    assert "ep-dev-orders.example.test" in orders.inputs["stringData"]
    assert "ep-dev-orders-pooler.example.test" in orders.inputs["stringData"]
    assert sorted(item.inputs["name"] for item in stack.all(recorder.BRANCH)) == [
        "kardinal/shop/dev/orders",
        "kardinal/shop/dev/users",
    ]
    guarded = stack.one(recorder.LEFTOVERS).inputs["branches"]
    assert [item["request"]["project"] for item in guarded] == ["shop", "shop"]


def test_two_services_on_one_database_get_a_secret_each(preview: bool) -> None:
    topology, live = shop()
    stack = declare(preview=preview, topology=topology, live=live, services={"page": {"image": "page:2"}})

    assert {item.name for item in stack.all(recorder.SECRET)} == {
        "dev-orders.api",
        "dev-orders.worker",
        "dev-users.api",
    }
    # Without a migration there is nothing to wait for but the branch.
    api = stack.one(recorder.DEPLOYMENT, "api-dev")
    assert all(stack.waits_for(api, branch) for branch in stack.all(recorder.BRANCH))
    assert stack.all(recorder.JOB) == []


def test_a_worker_has_no_service_and_rests(preview: bool) -> None:
    topology, live = shop()
    stack = declare(preview=preview, topology=topology, live=live, services={"page": {"image": "page:2"}})

    assert stack.one(recorder.DEPLOYMENT, "worker-dev").inputs["spec"]["replicas"] == 0
    assert {item.name for item in stack.all(recorder.SERVICE)} == {"page-dev", "api-dev"}
    assert not [item for item in stack.all(recorder.HTTP_ROUTE) if "worker" in item.name]
    # Nothing to be routed to, but it too goes only after the routes.
    drain = stack.one(recorder.DRAIN, "dev-mesh-drain")
    assert stack.waits_for(drain, stack.one(recorder.DEPLOYMENT, "worker-dev"))
    asked = {"worker": {"image": "w:2", "replicas": 2}}
    busy = declare(topology=topology, live=live, services=asked, acknowledge=["worker-shares-queue"])
    [accepted] = busy.exports["acknowledged"]
    assert (accepted["rule"], accepted["path"]) == ("worker-shares-queue", "kardinal:flow.services.worker")
    assert busy.one(recorder.DEPLOYMENT, "worker-dev").inputs["spec"]["replicas"] == 2


def test_a_database_with_its_own_host_name_is_handed_over_by_a_pooler() -> None:
    topology, live = shop(handover="sidecar", host="orders-db", poolerImage="pooler:1")
    stack = declare(topology=topology, live=live, services={"page": {"image": "page:2"}})

    secret = stack.one(recorder.SECRET, "dev-orders.api")
    assert secret.inputs["stringData"] == Hidden(
        {
            "host": "ep-dev-orders.example.test",
            "port": "5433",
            "database": "orders",
            "user": "shop",
            "password": "pa'ss-of-dev-orders",
            "sslmode": "verify-full",
        }
    )
    api = stack.one(recorder.DEPLOYMENT, "api-dev")
    pod = api.inputs["spec"]["template"]["spec"]
    [pooler] = pod["initContainers"]
    assert pooler["image"] == "pooler:1"
    assert pod["hostAliases"] == [{"ip": "127.0.0.1", "hostnames": ["orders-db"]}]
    references = {
        entry["valueFrom"]["secretKeyRef"]["name"] for entry in pooler["env"] if "valueFrom" in entry
    }
    assert references == {secret.object_name}
    # The variables of the application stay as they are; those of the other database do not.
    got = environment(api)
    assert got["ORDERS_URL"]["secretKeyRef"]["name"] == "votes-database"
    assert (
        got["USERS_HOST"]["secretKeyRef"]["name"] == stack.one(recorder.SECRET, "dev-users.api").object_name
    )
    assert stack.waits_for(api, secret)


def test_a_flow_s_own_hand_over_wins(preview: bool) -> None:
    topology, live = shop()
    stack = declare(
        preview=preview,
        topology=topology,
        live=live,
        services={"page": {"image": "page:2"}},
        databases={"users": {"handover": "sidecar"}},
    )

    pod = stack.one(recorder.DEPLOYMENT, "api-dev").inputs["spec"]["template"]["spec"]
    assert pod["hostAliases"] == [{"ip": "127.0.0.1", "hostnames": ["users-db"]}]
    assert pod["initContainers"][0]["image"] == "edoburu/pgbouncer:v1.24.1-p1"


def test_an_entry_that_is_not_forked_still_gets_the_flow_s_host(preview: bool) -> None:
    stack = declare(preview=preview, services={"votes-api": {"image": "votes-api:2"}})

    assert [item.name for item in stack.all(recorder.DEPLOYMENT)] == ["votes-api-dev"]
    entry = stack.one(recorder.HTTP_ROUTE, "voting-app-ui-dev-entry").inputs["spec"]
    assert entry["rules"][0]["backendRefs"][0]["name"] == "voting-app-ui"
    [flow, production] = stack.one(recorder.PROBE).inputs["checks"]
    assert flow["headers"] == {"x-kardinal-flow": "dev"}
    assert production["absent"] == ["x-kardinal-flow", "x-kardinal-fork"]
    # Its service's image is not requested, so there is nothing to migrate with.
    assert stack.all(recorder.JOB) == []


def test_a_flow_without_database(preview: bool) -> None:
    services = deepcopy(TOPOLOGY["services"])
    del services["votes-api"]["uses"]
    topology = samples.topology(services=services, databases={})
    stack = declare(preview=preview, topology=topology)

    assert [item.name for item in stack.all(recorder.DEPLOYMENT)] == ["voting-app-ui-dev"]
    for kind in (recorder.BRANCH, recorder.SECRET, recorder.JOB):
        assert stack.all(kind) == []
    assert stack.one(recorder.LEFTOVERS).inputs["branches"] == []
    assert stack.exports["databases"] == {}
    assert stack.exports["connectionUris"] == Hidden({})


def test_shared_data_makes_no_branch(preview: bool) -> None:
    stack = declare(preview=preview, isolation="services", services={"votes-api": {"image": "votes-api:2"}})

    assert stack.all(recorder.BRANCH) == []
    got = environment(stack.one(recorder.DEPLOYMENT, "votes-api-dev"))
    assert got["DATABASE_URL"]["secretKeyRef"]["name"] == "votes-database"


def test_full_isolation_forks_everything_unasked(preview: bool) -> None:
    topology, live = shop()
    stack = declare(preview=preview, topology=topology, live=live, isolation="full", services={})

    assert {item.name for item in stack.all(recorder.DEPLOYMENT)} == {"page-dev", "api-dev", "worker-dev"}
    assert {item["reason"] for item in stack.exports["services"].values()} == {"full"}
    assert container(stack.one(recorder.DEPLOYMENT, "page-dev"))["image"] == "page:1.0"


def test_every_entry_gets_a_host_and_two_checks(preview: bool) -> None:
    entries = [
        {"service": "voting-app-ui", "host": "voting.localhost"},
        {"service": "votes-api", "host": "api.voting.localhost"},
    ]
    stack = declare(preview=preview, topology=samples.topology(entries=entries))

    assert stack.exports["hosts"] == {
        "voting-app-ui": "dev-voting-app-ui.voting.localhost",
        "votes-api": "dev-votes-api.voting.localhost",
    }
    asked: list[Any] = stack.one(recorder.PROBE).inputs["checks"]
    assert [check["url"] for check in asked] == [
        "http://dev-voting-app-ui.voting.localhost:8080",
        "http://voting.localhost:8080",
        "http://dev-votes-api.voting.localhost:8080",
        "http://api.voting.localhost:8080",
    ]
    assert asked[2]["headers"]["x-kardinal-fork"] == "votes-api-dev"


def test_the_flow_ends_with_its_first_branch() -> None:
    topology, live = shop()
    stack = declare(
        topology=topology,
        live=live,
        services={"page": {"image": "page:2"}},
        databases={"users": {"ttl": "48h"}},
    )

    assert stack.exports["expiresAt"] == "2026-12-01T00:00:00Z"
    assert "expiresAt" in stack.exports["databases"]["users"]
    assert "expiresAt" not in stack.exports["databases"]["orders"]


def test_the_earliest_end_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    outputs = recorder.branch_outputs
    ends = {"dev-orders": "2026-12-03T00:00:00Z", "dev-users": "2026-12-02T00:00:00Z"}
    monkeypatch.setattr(
        recorder, "branch_outputs", lambda name, given: {**outputs(name, given), "expires_at": ends[name]}
    )
    topology, live = shop(ttl="72h")
    stack = declare(
        topology=topology,
        live=live,
        services={"page": {"image": "page:2"}},
        databases={"users": {"ttl": "48h"}},
    )

    assert stack.exports["expiresAt"] == "2026-12-02T00:00:00Z"
