"""What a flow will be."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kardinal_infra.config import FlowConfig
from kardinal_infra.model.topology import Topology
from kardinal_infra.plan import baseline_images, baseline_problems
from kardinal_infra.plan.selection import select
from tests.pure.samples import (
    BASELINE_STACK,
    FLOW,
    MANY,
    STACK,
    TOPOLOGY,
    live,
    plan,
    secret_env,
    service,
    topology,
    workload,
)


def test_the_story_of_the_demonstration() -> None:
    found = plan()
    assert {fork.service: str(fork.reason) for fork in found.forks} == {
        "votes-api": "uses branched database votes",
        "voting-app-ui": "requested",
    }
    assert {fork.service: fork.image for fork in found.forks} == {
        "votes-api": "votes-api:1.0",
        "voting-app-ui": "voting-app-ui-dev",
    }
    [branch] = found.databases
    assert branch.branch_name == "kardinal/voting-app/dev/votes"
    assert (branch.users, branch.handover, branch.ttl) == (("votes-api",), "env", None)
    assert branch.annotations == {
        "kardinal-stack": STACK,
        "kardinal-flow": "dev",
        "kardinal-database": "votes",
    }
    assert branch.migrations is not None
    assert (branch.migrations.image, branch.migrations.command) == (
        "voting-app-ui-dev",
        ("python3", "/app/migrate.py"),
    )
    assert [route["metadata"]["name"] for route in found.routes] == [
        "votes-api-dev-80",
        "voting-app-ui-dev-80",
    ]
    assert found.url == "http://dev.voting.localhost:8080"
    assert found.hosts == {"voting-app-ui": "dev.voting.localhost"}
    assert found.header == {"name": "x-kardinal-flow", "value": "dev"}
    assert found.baggage == "kardinal-flow=dev"
    assert found.entries[0].production_url == "http://voting.localhost:8080"
    assert found.warnings == ()


def test_a_service_without_image_keeps_the_baselines() -> None:
    found = plan(services={"votes-api": {"env": {"STRIPE_KEY": "test"}}, "voting-app-ui": {}})
    assert {fork.service: (fork.image, str(fork.reason)) for fork in found.forks} == {
        "votes-api": ("votes-api:1.0", "requested"),
        "voting-app-ui": ("voting-app-ui:1.0", "requested"),
    }
    made = {fork.service: fork.workload({"votes": "branch"}) for fork in found.forks}
    [container] = made["votes-api"]["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "votes-api:1.0"
    assert container["env"][-1] == {"name": "STRIPE_KEY", "value": "test"}
    # The branch has production's schema, and production's image is not newer.
    assert [branch.migrations for branch in found.databases] == [None]


def test_the_forks_manifests_come_with_the_plan() -> None:
    forks = {fork.service: fork for fork in plan().forks}
    made = forks["votes-api"].workload({"votes": "branch-secret"})
    [container] = made["spec"]["template"]["spec"]["containers"]
    assert container["env"][0]["valueFrom"]["secretKeyRef"] == {
        "name": "branch-secret",
        "key": "DATABASE_URL",
    }
    assert forks["voting-app-ui"].service_manifest is not None
    assert forks["voting-app-ui"].service_manifest["metadata"]["name"] == "voting-app-ui-dev"


def test_a_plan_reads_as_a_text() -> None:
    databases = {"votes": {"ttl": "24h"}}
    assert plan(databases=databases).describe().splitlines() == [
        'Flow "dev" beside voting-app (namespace voting-app), isolation data',
        "  Forks (2 of 2 services)",
        "    votes-api-dev: uses branched database votes; image votes-api:1.0",
        "    voting-app-ui-dev: requested; image voting-app-ui-dev",
        '  Database votes: branch "kardinal/voting-app/dev/votes" of main (neon project kardinal-demo), for'
        " 24h,"
        " hand-over env to votes-api",
        "    migrations: python3 /app/migrate.py in voting-app-ui-dev",
        "  Routes: requests with x-kardinal-flow: dev",
        "    votes-api:80 -> votes-api-dev (1 rule)",
        "    voting-app-ui:80 -> voting-app-ui-dev (1 rule)",
        "  URL: http://dev.voting.localhost:8080 -> voting-app-ui-dev",
    ]


def test_a_plan_is_a_graph_for_other_programs() -> None:
    found = plan(isolation="services").to_contract()
    assert found["flow"] == "dev"
    nodes = {node["id"]: node["versions"] for node in found["nodes"]}
    assert nodes == {
        "entry/voting.localhost": [
            {"version": "baseline", "host": "voting.localhost"},
            {"version": "dev", "host": "dev.voting.localhost"},
        ],
        "service/votes-api": [{"version": "baseline", "image": "votes-api:1.0"}],
        "service/voting-app-ui": [
            {"version": "baseline", "image": "voting-app-ui:1.0"},
            {
                "version": "dev",
                "image": "voting-app-ui-dev",
                "fork": "voting-app-ui-dev",
                "reason": "requested",
            },
        ],
        "database/votes": [{"version": "baseline", "branch": "main"}],
    }
    assert found["edges"] == [
        {"from": "entry/voting.localhost", "to": "service/voting-app-ui", "kind": "enters"},
        {"from": "service/votes-api", "to": "database/votes", "kind": "uses"},
        {"from": "service/voting-app-ui", "to": "service/votes-api", "kind": "calls"},
    ]


def test_a_flow_that_forks_no_entry_says_who_answers() -> None:
    services = {"votes-api": {"image": "votes-api:pr"}}
    found = plan(services=services)
    assert [fork.service for fork in found.forks] == ["votes-api"]
    assert found.entries[0].fork is None
    assert found.databases[0].migrations is None
    assert "Shared with production: voting-app-ui" in found.describe()
    assert "-> voting-app-ui (production), which calls the forks" in found.describe()


def test_shared_data_is_said_to_be_shared() -> None:
    found = plan(isolation="services", services={"votes-api": {"image": "x"}})
    assert found.databases == ()
    assert found.warnings == (
        'isolation "services": the fork of votes-api writes to production\'s database votes',
    )


def test_full_isolation_forks_everything() -> None:
    found = plan(isolation="full", services={})
    assert {fork.service: fork.reason.kind for fork in found.forks} == {
        "votes-api": "full",
        "voting-app-ui": "full",
    }
    assert [branch.name for branch in found.databases] == ["votes"]


def test_the_flows_word_on_a_database_wins() -> None:
    own = {"service": "voting-app-ui", "command": ["own"], "environment": {"URL": "uri"}}
    [branch] = plan(databases={"votes": {"ttl": "7d", "migrations": own}}).databases
    assert branch.migrations is not None
    assert (branch.ttl, branch.migrations.command) == ("7d", ("own",))
    [branch] = plan(databases={"votes": {"migrations": False}}).databases
    assert branch.migrations is None
    databases = deepcopy(TOPOLOGY["databases"])
    databases["votes"] |= {"host": "votes-db", "ttl": "1d"}
    [branch] = plan(
        topology=topology(databases=databases), databases={"votes": {"handover": "sidecar"}}
    ).databases
    assert (branch.handover, branch.ttl) == ("sidecar", "1d")


def test_a_worker_gets_no_service_no_route_and_no_pod_unless_asked() -> None:
    services = deepcopy(TOPOLOGY["services"])
    services["tally"] = {
        "uses": [{"database": "votes", "environment": {"DATABASE_URL": "uri"}}],
        "queues": [],
    }
    snapshot = live(deployments=[*live().deployments, workload("tally", env=[secret_env("DATABASE_URL")])])
    found = {fork.service: fork for fork in plan(topology=topology(services=services), live=snapshot).forks}
    assert found["tally"].service_manifest is None
    assert found["tally"].spec.replicas == 0
    asked = {"tally": {"image": "tally:pr", "replicas": 2}}
    [tally, *_] = plan(topology=topology(services=services), live=snapshot, services=asked).forks
    assert (tally.service, tally.spec.replicas) == ("tally", 2)


def test_the_declared_workload_and_container_are_used() -> None:
    services = deepcopy(TOPOLOGY["services"])
    services["voting-app-ui"] |= {
        "workload": {"kind": "StatefulSet", "name": "ui-set"},
        "container": "main",
    }
    item = workload("ui-set")
    item["spec"]["template"]["spec"]["containers"] = [
        {"name": "side", "image": "s"},
        {"name": "main", "image": "m"},
    ]
    found = {
        fork.service: fork
        for fork in plan(topology=topology(services=services), live=live(statefulsets=[item])).forks
    }
    spec = found["voting-app-ui"].spec
    assert (spec.workload["kind"], spec.container) == ("StatefulSet", "main")


def test_the_same_input_gives_the_same_plan_and_the_flows_own_objects_change_nothing() -> None:
    first = plan()
    own = {"kardinal.dev/flow": "dev"}
    deployed = [fork.workload({"votes": "s"}) for fork in first.forks]
    services = [fork.service_manifest for fork in first.forks if fork.service_manifest]
    routes = [*first.routes, *(entry.route for entry in first.entries)]
    assert all(item["metadata"]["labels"].items() >= own.items() for item in [*deployed, *services, *routes])
    snapshot = live()
    again = plan(
        live=live(
            services=[*snapshot.services, *services],
            deployments=[*snapshot.deployments, *deployed],
            http_routes=[*snapshot.http_routes, *routes],
        )
    )
    assert again == first


def test_the_baselines_version_moves_with_images_and_forked_pods_only() -> None:
    def version(**changes: Any) -> str:
        return plan(live=live(**changes)).baseline_version

    ui, api = live().deployments
    scaled = deepcopy(dict(ui))
    scaled["spec"]["replicas"] = 7
    assert version(deployments=[scaled, api]) == version()
    assert version(deployments=[workload("voting-app-ui", image="voting-app-ui:2.0"), api]) != version()


def test_images_of_the_baseline_leave_out_what_is_not_there() -> None:
    assert baseline_images(topology(), live(deployments=[workload("votes-api")])) == {
        "votes-api": "votes-api:1.0"
    }


def test_the_baseline_is_checked_against_the_cluster() -> None:
    assert baseline_problems(topology(), live(http_routes=[])) == []
    problems = baseline_problems(
        topology(),
        live(services=[service("votes-api", 81)], deployments=[], injectors=[], api_versions=frozenset()),
    )
    assert [str(problem) for problem in problems] == [
        "cluster: there is no mesh: install Istio (1.24 or later) with sidecars",
        "cluster: there is no Gateway API: install the CRDs of gateway.networking.k8s.io/v1 (standard"
        " channel)",
        'kardinal:baseline.services.votes-api: Service "votes-api" has no port 80 (it has: 81)',
        'kardinal:baseline.services.votes-api: no Deployment or StatefulSet is behind Service "votes-api" in'
        " namespace voting-app",
        'kardinal:baseline.services.voting-app-ui: there is no Service "voting-app-ui" in namespace'
        " voting-app",
    ]


SERVICES = [f"s{index}" for index in range(6)]
DATABASES = ["d0", "d1", "d2"]


@st.composite
def selections(draw: st.DrawFn) -> tuple[Topology, FlowConfig]:
    services = {
        name: {
            "ports": [{"port": 80}],
            "dependsOn": draw(st.lists(st.sampled_from(SERVICES), max_size=2, unique=True)),
            "uses": [
                {"database": database, "environment": {f"URL_{database}": "uri"}}
                for database in draw(st.lists(st.sampled_from(DATABASES), max_size=2, unique=True))
            ],
        }
        for name in SERVICES
    }
    databases = {name: {"project": "p", "database": name, "role": "r"} for name in DATABASES}
    requested = draw(st.lists(st.sampled_from(SERVICES), min_size=1, unique=True))
    found = topology(services=services, entries=[], databases=databases)
    value = {**FLOW, "services": {name: {"image": "x"} for name in requested}}
    return found, FlowConfig.model_validate(value)


@MANY
@given(selections())
def test_no_fork_can_write_to_a_parent_and_no_user_of_a_branch_is_left_out(
    case: tuple[Topology, FlowConfig],
) -> None:
    found, config = case
    chosen = select(found, config)
    assert config.services.keys() <= chosen.forks.keys()
    for database in chosen.databases:
        assert found.users(database) <= chosen.forks.keys()
    for name in chosen.forks:
        assert {use.database for use in found.services[name].databases} <= set(chosen.databases)
    for name in found.downstream(config.services):
        assert {use.database for use in found.services[name].databases} <= set(chosen.databases)
    for name, reason in chosen.forks.items():
        assert (reason.kind == "requested") == (name in config.services)
        assert bool(reason.databases) == (reason.kind == "uses-database")


@pytest.mark.parametrize("level", ["services", "full"])
def test_the_other_levels_fork_the_least_and_the_most(level: str) -> None:
    chosen = select(topology(), FlowConfig.model_validate({**FLOW, "isolation": level}))
    assert len(chosen.forks) == {"services": 1, "full": 2}[level]
    assert len(chosen.databases) == {"services": 0, "full": 1}[level]


def test_the_contract_of_the_baseline_is_what_a_flow_reads() -> None:
    assert plan().topology == Topology.from_plain(TOPOLOGY, BASELINE_STACK)
