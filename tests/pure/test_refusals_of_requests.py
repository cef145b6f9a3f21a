"""Refusals of what a flow asks for: names, databases, workloads."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace

import pytest

from tests.pure.refusing import API, ID, UI, app, flow, mark, refusals, route, with_route, with_ui
from tests.pure.samples import (
    NAMESPACE,
    TOPOLOGY,
    live,
    plan,
    service,
    topology,
    workload,
)


def test_a_flow_id_of_another_stack_is_taken() -> None:
    other = mark(service("voting-app-ui-dev"), "dev", "organization/other/dev")
    nameless = mark(service("x"), "dev", "")
    snapshot = live(services=[*live().services, other, nameless])
    assert refusals(snapshot=snapshot) == [
        f'{ID}: flow "dev" is taken by somebody who left no name (Service x); choose another id',
        f'{ID}: flow "dev" is taken by stack "organization/other/dev" (Service voting-app-ui-dev); choose'
        " another id",
    ]


def test_a_flow_id_is_free_whatever_other_applications_call_theirs() -> None:
    elsewhere = mark(route(namespace="blog"), "dev", "organization/blog/dev")
    planned = plan(live=replace(with_route(elsewhere), virtual_services=[elsewhere]))
    assert [fork.name for fork in planned.forks] == ["votes-api-dev", "voting-app-ui-dev"]


@pytest.mark.parametrize("kind", ["services", "deployments", "http_routes"])
def test_a_name_that_belongs_to_something_else_is_taken(kind: str) -> None:
    name = "votes-api-dev-80" if kind == "http_routes" else "votes-api-dev"
    own = {"metadata": {"name": name, "namespace": NAMESPACE}, "spec": {}}
    what = {"services": "Service", "deployments": "Deployment", "http_routes": "HTTPRoute"}[kind]
    snapshot = live(**{kind: [*getattr(live(), kind), own]})
    assert refusals(snapshot=snapshot) == [
        f'{ID}: {what} "{name}" exists and belongs to something else; choose another id'
    ]
    others = mark(deepcopy(own), "api-dev", "organization/kardinal/api-dev")
    snapshot = live(**{kind: [*getattr(live(), kind), others]})
    assert refusals(snapshot=snapshot) == [
        f'{ID}: {what} "{name}" exists and belongs to flow "api-dev"; choose another id'
    ]


def test_a_host_that_leads_elsewhere_is_taken() -> None:
    item = route(namespace="blog")
    item["spec"] = {"hostnames": ["dev.voting.localhost"], "parentRefs": []}
    assert refusals(snapshot=with_route(item)) == [
        f'{ID}: host "dev.voting.localhost" is taken by HTTPRoute blog/own; choose another id'
    ]


def test_a_host_must_be_possible_and_not_productions() -> None:
    entries = [
        {"service": "voting-app-ui", "host": "voting.localhost", "flowHost": "{flow}.localhost"},
        {"service": "votes-api", "host": "api.localhost", "flowHost": "a-{flow}.localhost"},
    ]
    assert refusals(flow(id="voting"), app=topology(entries=entries)) == [
        f'{ID}: host "voting.localhost" would be a production host; choose another id'
    ]
    long = "x" * 62
    assert refusals(flow(id=long), app=topology(entries=entries)) == [
        f'{ID}: the host of entry "votes-api" cannot be made: in host "a-{long}.localhost", "a-{long}" has 64'
        " characters, at most 63 are allowed"
    ]


def test_a_database_env_that_the_workload_lacks_is_refused() -> None:
    ui, _ = live().deployments
    snapshot = live(deployments=[ui, workload("votes-api", env=[{"name": "PORT", "value": "1"}])])
    assert refusals(snapshot=snapshot) == [
        f'{API}: Deployment votes-api has no environment variable "DATABASE_URL", which should lead to'
        f" database"
        ' "votes" (it has: PORT)'
    ]


def test_a_database_without_env_cannot_be_handed_over_by_env() -> None:
    assert refusals(app=app("votes-api", uses=[{"database": "votes"}])) == [
        f'{API}: service "votes-api" does not say which environment variables lead to database "votes"; the'
        ' hand-over "env" needs them (`uses[].environment` of the baseline)'
    ]


def test_the_flow_must_not_set_what_the_branch_sets() -> None:
    value = flow(services={"votes-api": {"image": "x", "env": {"DATABASE_URL": "y"}}})
    assert refusals(value) == [
        'kardinal:flow.services.votes-api: env.DATABASE_URL is set by the branch of database "votes"; remove'
        " it"
        " here"
    ]


def test_the_hand_over_sidecar_needs_a_host() -> None:
    assert refusals(flow(databases={"votes": {"handover": "sidecar"}})) == [
        'kardinal:flow.databases.votes.handover: the hand-over "sidecar" needs the host name that the'
        " application uses (`host` in the baseline)"
    ]


def test_own_migrations_need_a_requested_service() -> None:
    own = {"service": "voting-ui", "command": ["x"], "environment": {"URL": "uri"}}
    assert refusals(flow(databases={"votes": {"migrations": own}})) == [
        'kardinal:flow.databases.votes.migrations.service: service "voting-ui" is not requested, so there is'
        " no"
        ' image to run; did you mean "voting-app-ui"?'
    ]
    own["service"] = "voting-app-ui"
    services = {"voting-app-ui": {"replicas": 2}}
    assert refusals(flow(services=services, databases={"votes": {"migrations": own}})) == [
        'kardinal:flow.databases.votes.migrations.service: service "voting-app-ui" is requested without'
        " image, so there is none to run"
    ]


def test_containers_and_volumes_are_checked() -> None:
    item = workload("voting-app-ui")
    pod = item["spec"]["template"]["spec"]
    pod["containers"] = [{"name": "a", "image": "a"}, {"name": "b", "image": "b"}]
    assert refusals(snapshot=with_ui(item)) == [
        f"{UI}: it is not clear which container is the application (a, b): set `container`"
    ]
    value = flow(services={"voting-app-ui": {"image": "x", "container": "c"}})
    assert refusals(value, snapshot=with_ui(item)) == [f'{UI}: there is no container "c" (there is: a, b)']
    pod["volumes"] = [{"name": "data", "persistentVolumeClaim": {"claimName": "uploads"}}]
    value = flow(services={"voting-app-ui": {"image": "x", "container": "a"}})
    assert refusals(value, snapshot=with_ui(item)) == [
        f'{UI}: Deployment voting-app-ui mounts PersistentVolumeClaim "uploads", which one node at a time may'
        " write (ReadWriteOnce) or which cannot be read; a fork must not share it with production:"
        " give it an empty volume with `volumes: {data: empty}`"
    ]


def test_a_declared_workload_must_exist() -> None:
    assert refusals(app=app(workload={"kind": "StatefulSet", "name": "nope"})) == [
        f'{UI}: there is no StatefulSet "nope" in namespace voting-app'
    ]


def test_a_worker_must_have_a_workload_of_its_name() -> None:
    services = deepcopy(TOPOLOGY["services"]) | {"tally": {"ports": []}}
    value = flow(services={"tally": {"image": "x"}})
    assert refusals(value, app=topology(services=services)) == [
        'kardinal:flow.services.tally: no Deployment or StatefulSet is behind service "tally" in namespace'
        " voting-app"
    ]


def test_a_greedy_selector_is_refused() -> None:
    agent = {
        "kind": "DaemonSet",
        "metadata": {"name": "agent"},
        "spec": {"selector": {"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["x"]}]}},
    }
    only_ui = flow(isolation="services")
    assert refusals(only_ui, snapshot=replace(live(), other_workloads=[agent])) == [
        f'{UI}: DaemonSet agent selects pods in a way that would also select the fork of "voting-app-ui"'
        " [docs/safety.md#fork-selected]"
    ]
