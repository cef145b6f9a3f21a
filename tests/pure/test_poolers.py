"""Databases that no pooler in a pod could keep apart, and addresses that no probe could connect to."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from kardinal_infra.config import load_baseline
from kardinal_infra.errors import ConfigError
from kardinal_infra.model.names import address_problem
from kardinal_infra.model.topology import Topology
from kardinal_infra.plan import baseline_problems
from tests.pure.refusing import flow, refusals
from tests.pure.samples import TOPOLOGY, live, plan, topology, workload

SIDECAR = {"handover": "sidecar", "host": "main-db"}


def two_databases(**second: Any) -> Topology:
    """The API uses a second database of its own."""
    plain = deepcopy(TOPOLOGY)
    plain["databases"]["votes"] |= SIDECAR
    plain["databases"]["users"] = {"project": "p", "database": "users", "role": "r", **second}
    plain["services"]["votes-api"]["uses"].append({"database": "users"})
    return topology(services=plain["services"], databases=plain["databases"])


@pytest.mark.parametrize("host", ["main-db", "Main-DB", "main-db."])
def test_two_databases_behind_one_host_cannot_both_have_a_pooler(host: str) -> None:
    problem = (
        "votes-api: databases"
        ' "votes" and "users" cannot both have the hand-over "sidecar": the application reaches both at host'
    )
    app = two_databases(handover="sidecar", host=host)

    assert any(line.startswith(f"topology.services.{problem}") for line in refusals(app=app))
    [found] = baseline_problems(app, live())
    assert str(found).startswith(f"kardinal:baseline.services.{problem}")


def test_a_flow_s_own_hand_over_counts() -> None:
    app = two_databases(handover="env", host="main-db")
    [line] = refusals(flow(databases={"users": {"handover": "sidecar"}}), app=app)
    assert 'at host "main-db"' in line


def test_other_hosts_and_other_services_do_not_matter() -> None:
    plan(topology=two_databases(handover="sidecar", host="other-db"))
    apart = two_databases(handover="sidecar", host="main-db").to_plain()
    use = apart["services"]["votes-api"]["uses"].pop()
    apart["services"]["voting-app-ui"]["uses"] = [use]
    plan(topology=Topology.model_validate(apart))


@pytest.mark.parametrize("host", ["10.0.0.5", "localhost", "DB.internal", "db.internal.", "not a host"])
def test_a_host_that_no_host_file_can_lead_elsewhere_has_no_pooler(host: str) -> None:
    keys = ("application", "namespace", "domain", "services", "entries", "databases")
    plain = {key: deepcopy(TOPOLOGY[key]) for key in keys}
    plain["databases"]["votes"] |= {"handover": "sidecar", "host": host}
    with pytest.raises(ConfigError, match=r"^kardinal:baseline\.databases\.votes\.host: "):
        load_baseline(plain)
    plain["databases"]["votes"]["host"] = "votes-db.internal"
    load_baseline(plain)


@pytest.mark.parametrize(
    ("uri", "why"),
    [
        ("postgresql://u@votes-db/votes?sslmode=verify-full", "asks for sslmode=verify-full"),
        ("postgresql://u@votes-db/votes?channel_binding=require&a=b", "asks for channel_binding=require"),
        ("postgresql://u@votes-db.voting-app.svc/votes", 'names host "votes-db.voting-app.svc"'),
        ("postgresql://u@votes-db/votes?sslmode=require", None),
    ],
)
def test_connections_that_no_pooler_can_answer_or_that_lead_past_it(uri: str, why: str | None) -> None:
    databases = deepcopy(TOPOLOGY["databases"])
    databases["votes"] |= {"handover": "sidecar", "host": "votes-db"}
    app = topology(databases=databases)
    api = workload("votes-api", env=[{"name": "DATABASE_URL", "value": uri}])
    snapshot = live(deployments=[live().deployments[0], api])
    if why is None:
        plan(topology=app, live=snapshot)
    else:
        [line] = [line for line in refusals(app=app, snapshot=snapshot) if "variable DATABASE_URL" in line]
        assert why in line


@pytest.mark.parametrize("text", ["127.0.0.1:8080", "gateway.test:80", "[::1]:443"])
def test_addresses(text: str) -> None:
    assert address_problem(text) is None


@pytest.mark.parametrize(
    "text", ["", "gateway", "gateway:", ":80", "gateway:0", "gateway:99999", "gateway:http", "::1:80"]
)
def test_no_addresses(text: str) -> None:
    assert address_problem(text) == f'"{text}" is not an address of the form host:port'


@pytest.mark.parametrize(
    "text", ["http://gateway:80", "gateway:80/", "me@gateway:80", "a b:80", "gate\tway:80"]
)
def test_more_than_an_address_is_none(text: str) -> None:
    assert address_problem(text) is not None


def test_a_gateway_s_address_is_checked_before_anything_is_made() -> None:
    plain = {
        key: value for key, value in deepcopy(TOPOLOGY).items() if key not in {"schemaVersion", "gateway"}
    }
    with pytest.raises(ConfigError) as caught:
        load_baseline({**plain, "gateway": {"address": "gateway.test"}})
    assert str(caught.value) == (
        'kardinal:baseline.gateway.address: "gateway.test" is not an address of the form host:port'
    )
    # A baseline of an earlier version was not checked.
    assert refusals(app=topology(gateway={**TOPOLOGY["gateway"], "address": "gateway.test"})) == [
        'topology.gateway.address: "gateway.test" is not an address of the form host:port: correct it in the'
        " baseline stack"
    ]
