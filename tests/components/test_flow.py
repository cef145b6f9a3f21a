"""What a flow of the demonstration's application consists of."""

from __future__ import annotations

import json
import logging
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest

from kardinal_infra.forking import name_secrets
from tests.components import recorder
from tests.components.flows import URL, container, declare, environment
from tests.components.recorder import UNKNOWN, Hidden, Stack
from tests.pure import samples

MARKS = {
    "kardinal-stack": "organization/kardinal/dev",
    "kardinal-flow": "dev",
    "kardinal-database": "votes",
}


def visible(value: Any) -> Any:
    """The same without what is marked as secret."""
    if isinstance(value, Hidden):
        return "[secret]"
    if isinstance(value, dict):
        return {key: visible(item) for key, item in value.items()}
    return [visible(item) for item in value] if isinstance(value, list) else value


def test_it_consists_of_these_objects(preview: bool) -> None:
    stack = declare(preview=preview)

    assert [item for item in stack.objects() if item[0] not in {"Secret", "Job"}] == [
        ("Deployment", "votes-api-dev"),
        ("Deployment", "voting-app-ui-dev"),
        ("HTTPRoute", "votes-api-dev-80"),
        ("HTTPRoute", "voting-app-ui-dev-80"),
        ("HTTPRoute", "voting-app-ui-dev-entry"),
        ("Service", "votes-api-dev"),
        ("Service", "voting-app-ui-dev"),
    ]
    assert sorted(item.name for item in stack.all(recorder.SECRET)) == [
        "dev-votes-migrations",
        "dev-votes.votes-api",
    ]
    for kind in (recorder.JOB, recorder.BRANCH, recorder.LEFTOVERS, recorder.PROBE):
        assert len(stack.all(kind)) == 1
    assert len(stack.all(recorder.DRAIN)) == 2


def test_every_object_carries_the_flow_s_marks(preview: bool) -> None:
    objects = [item for item in declare(preview=preview).declared if item.type.startswith("kubernetes:")]
    assert {item.type.rpartition(":")[2] for item in objects} == {
        "Deployment",
        "HTTPRoute",
        "Job",
        "Secret",
        "Service",
    }
    for item in objects:
        metadata = item.inputs["metadata"]
        assert metadata["namespace"] == samples.NAMESPACE
        assert metadata["labels"]["kardinal.dev/flow"] == "dev"
        assert metadata["labels"]["app.kubernetes.io/managed-by"] == "kardinal"
        assert metadata["annotations"]["kardinal.dev/stack"] == "organization/kardinal/dev"
        assert metadata["annotations"]["pulumi.com/patchForce"] == "true"


def test_the_branch_is_asked_for_with_the_flow_s_marks(preview: bool) -> None:
    branch = declare(preview=preview).one(recorder.BRANCH)

    asked = {key: value for key, value in branch.inputs.items() if key != "__provider"}
    assert asked == {
        "project": "kardinal-demo",
        "name": "kardinal/voting-app/dev/votes",
        "database": "votes",
        "role": "votes_owner",
        "parent": "main",
        "annotations": MARKS,
    }
    assert branch.secret_outputs == {"uri", "pooled_uri", "password", "role_passwords"}


def test_what_is_left_can_be_found_by_the_same_marks(preview: bool) -> None:
    stack = declare(preview=preview)

    left = stack.one(recorder.LEFTOVERS).inputs
    [branch] = left["branches"]
    assert (left["namespaces"], left["flow"]) == ([samples.NAMESPACE], "dev")
    assert left["stack"] == MARKS["kardinal-stack"]
    assert branch["backend"] == "neon"
    assert branch["request"]["name"] == stack.one(recorder.BRANCH).inputs["name"]
    assert branch["request"]["annotations"] == MARKS


def test_each_consumer_gets_a_secret_with_the_variables_it_has() -> None:
    stack = declare()

    for name in ("dev-votes.votes-api", "dev-votes-migrations"):
        secret = stack.one(recorder.SECRET, name)
        assert secret.inputs["stringData"] == Hidden({"DATABASE_URL": URL})
        assert isinstance(secret.inputs["stringData"], Hidden)
        assert secret.object_name.startswith(f"{name}-")


def test_pods_refer_to_the_secret_by_a_name_that_changes_with_its_content(
    preview: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def names() -> tuple[str, str]:
        stack = declare(preview=preview)
        secret = stack.one(recorder.SECRET, "dev-votes.votes-api").object_name
        reference = environment(stack.one(recorder.DEPLOYMENT, "votes-api-dev"))["DATABASE_URL"]
        assert reference == {"secretKeyRef": {"name": secret, "key": "DATABASE_URL"}}
        job = stack.one(recorder.JOB)
        migrations = stack.one(recorder.SECRET, "dev-votes-migrations").object_name
        assert environment(job)["DATABASE_URL"]["secretKeyRef"]["name"] == migrations
        return secret, job.object_name

    first = names()
    assert names() == first
    if preview:
        assert first == (UNKNOWN, UNKNOWN)
        return
    outputs = recorder.branch_outputs
    monkeypatch.setattr(
        recorder, "branch_outputs", lambda *args: {**outputs(*args), "uri": "postgresql://new@host:1/votes"}
    )
    assert all(new != old for new, old in zip(names(), first, strict=True))


def test_what_is_applied_is_what_was_judged_with_the_name_of_the_branch_s_secret(preview: bool) -> None:
    stack = declare(preview=preview)

    secret = stack.one(recorder.SECRET, "dev-votes.votes-api").object_name
    for fork in samples.plan().forks:
        applied = stack.one(recorder.DEPLOYMENT, fork.name).inputs
        judged = fork.manifest
        assert applied["spec"] == name_secrets(judged["spec"], {"votes": secret})
        assert applied["metadata"]["labels"] == judged["metadata"]["labels"]


def test_the_forks_run_what_the_flow_wants_and_else_what_production_runs(preview: bool) -> None:
    stack = declare(preview=preview)

    page = stack.one(recorder.DEPLOYMENT, "voting-app-ui-dev")
    api = stack.one(recorder.DEPLOYMENT, "votes-api-dev")
    assert container(page)["image"] == "voting-app-ui-dev"
    assert container(api)["image"] == "votes-api:1.0"
    for deployment in (page, api):
        spec = deployment.inputs["spec"]
        assert spec["selector"]["matchLabels"] == {"kardinal.dev/fork": deployment.name}
        assert spec["template"]["metadata"]["labels"]["kardinal.dev/fork"] == deployment.name
        assert spec["replicas"] == 1
        service = stack.one(recorder.SERVICE, deployment.name).inputs["spec"]
        assert service["selector"] == {"kardinal.dev/fork": deployment.name}
        assert deployment.timeouts == ("5m", "5m")


def test_literal_env_values_are_secret(preview: bool) -> None:
    stack = declare(
        preview=preview, services={"voting-app-ui": {"image": "x", "env": {"TOKEN": "open-sesame"}}}
    )

    got = environment(stack.one(recorder.DEPLOYMENT, "voting-app-ui-dev"))
    assert got == {"VOTES_API": "http://votes-api", "TOKEN": "open-sesame"}
    assert all(isinstance(value, Hidden) for value in got.values())
    assert not isinstance(container(stack.one(recorder.DEPLOYMENT, "voting-app-ui-dev"))["image"], Hidden)


def test_no_password_and_no_env_value_is_anywhere_in_the_open() -> None:
    stack = declare(services={"voting-app-ui": {"image": "x", "env": {"TOKEN": "open-sesame"}}})

    everything = json.dumps(visible([item.inputs for item in stack.declared] + [stack.exports]))
    assert "[secret]" in everything
    for word in ("pa%27ss", "pa'ss", "open-sesame", "http://votes-api"):
        assert word not in everything


def test_the_migrations_run_once_with_the_requested_image(preview: bool) -> None:
    job = declare(preview=preview).one(recorder.JOB)

    pod = job.inputs["spec"]["template"]
    assert container(job)["image"] == "voting-app-ui-dev"
    assert container(job)["command"] == ["python3", "/app/migrate.py"]
    assert container(job)["imagePullPolicy"] == "IfNotPresent"
    assert pod["spec"]["serviceAccountName"] == "voting-app"
    assert pod["spec"]["restartPolicy"] == "Never"
    assert pod["metadata"]["labels"]["sidecar.istio.io/inject"] == "false"
    assert job.inputs["spec"]["backoffLimit"] == 0
    assert job.inputs["metadata"]["annotations"]["pulumi.com/replaceUnready"] == "true"
    assert job.timeouts == ("10m", "10m")


def test_the_migrations_pod_can_pull_and_run_the_image_where_the_fork_can() -> None:
    live = samples.live()
    page = live.deployments[0]
    page["spec"]["template"]["spec"] |= {
        "imagePullSecrets": [{"name": "registry"}],
        "nodeSelector": {"disk": "ssd"},
        "tolerations": [{"key": "spot", "operator": "Exists"}],
        "securityContext": {"runAsNonRoot": True},
        "volumes": [{"name": "cache", "emptyDir": {}}],
    }

    spec = declare(live=live).one(recorder.JOB).inputs["spec"]["template"]["spec"]
    assert spec["imagePullSecrets"] == [{"name": "registry"}]
    assert spec["nodeSelector"] == {"disk": "ssd"}
    assert spec["tolerations"] == [{"key": "spot", "operator": "Exists"}]
    assert spec["securityContext"] == {"runAsNonRoot": True}
    assert "volumes" not in spec


def test_a_migration_that_has_the_parents_host_built_in_reaches_nobody() -> None:
    databases = deepcopy(samples.TOPOLOGY["databases"])
    databases["votes"] |= {"handover": "sidecar", "host": "votes-db"}
    job = declare(topology=samples.topology(databases=databases)).one(recorder.JOB)
    assert job.inputs["spec"]["template"]["spec"]["hostAliases"] == [
        {"ip": "127.0.0.1", "hostnames": ["votes-db"]}
    ]
    plain = declare().one(recorder.JOB)
    assert "hostAliases" not in plain.inputs["spec"]["template"]["spec"]


def test_its_host_marks_requests_and_the_mesh_leads_marked_ones_to_the_forks(preview: bool) -> None:
    stack = declare(preview=preview)

    entry = stack.one(recorder.HTTP_ROUTE, "voting-app-ui-dev-entry").inputs["spec"]
    assert entry["hostnames"] == ["dev.voting.localhost"]
    [change, _] = entry["rules"][0]["filters"]
    assert change["requestHeaderModifier"]["set"] == [{"name": "x-kardinal-flow", "value": "dev"}]
    for service in ("votes-api", "voting-app-ui"):
        mesh = stack.one(recorder.HTTP_ROUTE, f"{service}-dev-80").inputs["spec"]
        assert [parent["name"] for parent in mesh["parentRefs"]] == [service]
        [rule] = mesh["rules"]
        assert [backend["name"] for backend in rule["backendRefs"]] == [f"{service}-dev"]
        assert rule["matches"][0]["headers"] == [{"type": "Exact", "name": "x-kardinal-flow", "value": "dev"}]


def test_the_probe_asks_the_flow_s_host_and_production_s(preview: bool) -> None:
    probe = declare(preview=preview).one(recorder.PROBE).inputs

    assert probe["checks"] == [
        {
            "url": "http://dev.voting.localhost:8080",
            "address": "127.0.0.1:8080",
            "headers": {"x-kardinal-flow": "dev", "x-kardinal-fork": "voting-app-ui-dev"},
        },
        {
            "url": "http://voting.localhost:8080",
            "address": "127.0.0.1:8080",
            "absent": ["x-kardinal-flow", "x-kardinal-fork"],
        },
    ]
    assert probe["timeout"] == 60
    assert len(probe["triggers"]) == 5  # two mesh routes, the entry's, two Deployments
    if not preview:
        assert probe["triggers"][2:4] == ["uid-voting-app-ui-dev-entry/1", "uid-votes-api-dev/1"]


def test_the_plan_is_printed_by_a_preview_only(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        declare(preview=False)
        assert "Forks" not in caplog.text
        declare(preview=True)
    assert 'Flow "dev" beside voting-app' in caplog.text
    assert "voting-app-ui-dev: requested" in caplog.text


def test_what_it_exports(preview: bool) -> None:
    exports = declare(preview=preview).exports

    def made(value: str) -> str:
        return UNKNOWN if preview else value

    assert exports["schemaVersion"] == 1
    assert exports["flow"] == "dev"
    assert exports["url"] == "http://dev.voting.localhost:8080"
    assert exports["hosts"] == {"voting-app-ui": "dev.voting.localhost"}
    assert exports["header"] == {"name": "x-kardinal-flow", "value": "dev"}
    assert exports["baggage"] == "kardinal-flow=dev"
    place = {"namespace": samples.NAMESPACE}
    assert exports["services"] == {
        "votes-api": {"image": "votes-api:1.0", "fork": "votes-api-dev", "reason": "uses-database", **place},
        "voting-app-ui": {
            **place,
            "image": "voting-app-ui-dev",
            "fork": "voting-app-ui-dev",
            "reason": "requested",
        },
    }
    assert exports["databases"] == {
        "votes": {
            "branchId": made("br-dev-votes"),
            "branchName": made("kardinal/voting-app/dev/votes"),
            "parentId": made("br-main"),
            "host": made("ep-dev-votes.example.test"),
        }
    }
    assert "expiresAt" not in exports
    assert len(exports["baselineVersion"]) == 12
    assert {node["id"] for node in exports["topology"]["nodes"]} == {
        "entry/voting.localhost",
        "service/voting-app-ui",
        "service/votes-api",
        "database/votes",
    }
    if preview:
        assert exports["connectionUris"] == UNKNOWN
    else:
        assert exports["connectionUris"] == Hidden({"votes": URL})
        assert isinstance(exports["connectionUris"], Hidden)


def test_a_life_time_reaches_the_branch_and_the_exports(preview: bool) -> None:
    stack = declare(preview=preview, databases={"votes": {"ttl": "24h"}})

    ends = UNKNOWN if preview else "2026-12-01T00:00:00Z"
    assert stack.one(recorder.BRANCH).inputs["ttl"] == "24h"
    assert stack.exports["databases"]["votes"]["expiresAt"] == ends
    assert stack.exports["expiresAt"] == ends


def test_names_of_made_objects_stay_within_a_dns_label() -> None:
    flow = "a-flow-with-a-name-that-a-branch-of-somebody-s-gave-it"
    stack = declare(id=flow)

    names = [item.object_name for item in stack.declared if item.type.startswith("kubernetes:")]
    assert max(map(len, names)) <= 63
    again = [item.object_name for item in declare(id=flow).declared if item.type.startswith("kubernetes:")]
    assert sorted(again) == sorted(names)
    assert len(set(names)) == len(names) - 2  # Deployment and Service of a fork share theirs


def test_it_follows_the_baseline_s_pull_policy_only_where_there_is_one() -> None:
    live = samples.live()
    for item in live.deployments:
        del item["spec"]["template"]["spec"]["containers"][0]["imagePullPolicy"]

    assert "imagePullPolicy" not in container(declare(live=live).one(recorder.JOB))


def test_a_flow_without_entries_has_no_probe(preview: bool) -> None:
    topology = samples.topology(entries=[])
    stack: Stack = declare(preview=preview, topology=topology, live=replace(samples.live(), gateways=[]))

    assert stack.all(recorder.PROBE) == []
    assert len(stack.all(recorder.HTTP_ROUTE)) == 2
    assert stack.exports["hosts"] == {}
    assert stack.exports.get("url") is None
