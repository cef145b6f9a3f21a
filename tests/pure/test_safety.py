"""Every rule about pods, data and work finds what it is for, and nothing where that is not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kardinal_infra.forking import ForkSpec, fork_policies, fork_template
from kardinal_infra.live import LiveObjects
from kardinal_infra.plan.forks import selected_keys
from kardinal_infra.safety import RULES, Case, prove, refused
from tests.pure.forked import VOTES, case, pod, spec
from tests.pure.samples import NAMESPACE, live, secret_env, service, workload

DOCS = Path(__file__).parents[2] / "docs" / "safety.md"
DATABASES = {
    "votes": {"project": "p", "database": "votes", "role": "r", "host": "votes-db.internal"},
}


def found(shown: Case, rule: str) -> list[str]:
    return [item.message for item in prove(shown) if item.rule == rule]


def cluster(**changes: Any) -> LiveObjects:
    return live(services=[service("web")], deployments=[workload("web")], http_routes=[], **changes)


def policy(kind: str, name: str = "guard", namespace: str = NAMESPACE, **content: Any) -> dict[str, Any]:
    return {"kind": kind, "metadata": {"name": name, "namespace": namespace}, "spec": content}


def by_label(kind: str, **labels: str) -> dict[str, Any]:
    if kind == "NetworkPolicy":
        return policy(kind, podSelector={"matchLabels": labels})
    if kind in {"Sidecar", "EnvoyFilter"}:
        return policy(kind, workloadSelector={"labels": labels})
    return policy(kind, selector={"matchLabels": labels})


def test_every_rule_is_explained_under_its_name() -> None:
    headings = {
        line.removeprefix("### ") for line in DOCS.read_text().splitlines() if line.startswith("### ")
    }
    assert {rule.name for rule in RULES} <= headings


def test_nothing_speaks_against_an_ordinary_fork() -> None:
    pure = {"fork-selected", "policy-lost", "policy-gained", "policy-shuts-out", "unread", "parent-secret"}
    item = workload("web", env=[secret_env("DATABASE_URL")])
    shown = case(cluster(), spec(item, databases=(VOTES,)), databases=DATABASES)
    assert [one for one in prove(shown) if one.rule in pure or one.severity == "error"] == []


def test_errors_stop_a_flow_unless_they_are_acknowledged() -> None:
    shown = case(cluster(), spec(replicas=1), declared={"queues": ["QUEUE"]})
    findings = prove(shown)
    assert [item.rule for item in refused(findings, ())] == ["worker-shares-queue"]
    assert refused(findings, ["worker-shares-queue"]) == []


@pytest.mark.parametrize(
    "changes",
    [
        {
            "other_workloads": [
                {
                    "kind": "DaemonSet",
                    "metadata": {"name": "agent"},
                    "spec": {"selector": {"matchExpressions": [{"key": "app", "operator": "DoesNotExist"}]}},
                }
            ]
        },
        {"disruption_budgets": [{"metadata": {"name": "all"}, "spec": {"selector": {}}}]},
        {
            "autoscalers": [
                {
                    "metadata": {"name": "old"},
                    "spec": {"scaleTargetRef": {"kind": "Deployment", "name": "web-dev"}},
                }
            ]
        },
    ],
    ids=["lacks-a-label", "budget-of-all-pods", "autoscaler-by-name"],
)
def test_fork_selected(changes: dict[str, Any]) -> None:
    assert len(found(case(cluster(**changes), spec()), "fork-selected")) == 1
    assert found(case(cluster(), spec()), "fork-selected") == []


def test_the_labels_that_a_disruption_budget_selects_by_are_not_kept() -> None:
    budget = {"metadata": {"name": "b"}, "spec": {"selector": {"matchLabels": {"tier": "web"}}}}
    snapshot = cluster(disruption_budgets=[budget])
    made = spec(selected_keys=selected_keys(snapshot))
    assert "tier" not in fork_template(made, {})["metadata"]["labels"]
    assert found(case(snapshot, made), "fork-selected") == []
    assert found(case(snapshot, spec()), "fork-selected") != []


@pytest.mark.parametrize(
    "kind", ["NetworkPolicy", "AuthorizationPolicy", "PeerAuthentication", "RequestAuthentication", "Sidecar"]
)
def test_a_policy_of_the_baseline_is_made_again_for_the_fork(kind: str) -> None:
    guard, other = by_label(kind, app="web"), by_label(kind, app="else")
    snapshot = cluster(policies=[guard, other, by_label(kind, tier="web"), policy(kind, "all")])
    made = spec()
    labels = fork_template(made, {})["metadata"]["labels"]
    assert found(case(snapshot, made), "policy-lost") == [
        f"{kind} {NAMESPACE}/guard applies to Deployment web and not to its fork"
    ]
    [again] = fork_policies(made, labels, snapshot, [made])
    assert again["metadata"]["name"] == "guard-web-dev"
    assert again["metadata"]["labels"]["kardinal.dev/flow"] == "dev"
    own = {"kardinal.dev/fork": "web-dev"}
    selects = {
        "NetworkPolicy": {"podSelector": {"matchLabels": own}},
        "Sidecar": {"workloadSelector": {"labels": own}},
    }
    assert again["spec"] == selects.get(kind, {"selector": {"matchLabels": own}})
    assert found(case(snapshot, made, fork={"policies": (again,)}), "policy-lost") == []


def test_policies_of_istios_root_namespace_count_and_those_of_others_do_not() -> None:
    root = by_label("AuthorizationPolicy", app="web")
    root["metadata"]["namespace"] = "istio-system"
    elsewhere = by_label("AuthorizationPolicy", app="web")
    elsewhere["metadata"]["namespace"] = "elsewhere"
    made = spec()
    labels = fork_template(made, {})["metadata"]["labels"]
    [again] = fork_policies(made, labels, cluster(policies=[root, elsewhere]), [made])
    assert again["metadata"]["namespace"] == NAMESPACE


def test_what_cannot_be_made_again_is_told() -> None:
    snapshot = cluster(policies=[by_label("EnvoyFilter", app="web")])
    assert found(case(snapshot, spec()), "policy-lost") == [
        f"EnvoyFilter {NAMESPACE}/guard applies to Deployment web and not to its fork"
    ]


def test_a_network_policy_made_again_lets_the_other_forks_in() -> None:
    guard = by_label("NetworkPolicy", app="api")
    guard["spec"]["ingress"] = [{"from": [{"podSelector": {"matchLabels": {"app": "web"}}}]}]
    snapshot = cluster(policies=[guard])
    web = spec()
    api = replace(spec(workload("api")), service="api", name="api-dev")
    labels = fork_template(replace(api, container="api"), {})["metadata"]["labels"]
    [again] = fork_policies(api, labels, snapshot, [web, api])
    assert again["spec"]["ingress"] == [
        {
            "from": [
                {"podSelector": {"matchLabels": {"app": "web"}}},
                {"podSelector": {"matchLabels": {"kardinal.dev/fork": "web-dev"}}},
            ]
        }
    ]
    assert guard["spec"]["ingress"][0]["from"] == [{"podSelector": {"matchLabels": {"app": "web"}}}]


def test_policy_gained() -> None:
    greedy = policy("NetworkPolicy")
    greedy["spec"] = {"podSelector": {"matchExpressions": [{"key": "app", "operator": "DoesNotExist"}]}}
    assert len(found(case(cluster(policies=[greedy]), spec()), "policy-gained")) == 1
    assert found(case(cluster(policies=[policy("NetworkPolicy")]), spec()), "policy-gained") == []


def test_policy_shuts_out() -> None:
    guard = by_label("NetworkPolicy", app="store")
    guard["spec"]["ingress"] = [{"from": [{"podSelector": {"matchLabels": {"app": "web"}}}]}]
    snapshot = replace(cluster(policies=[guard]), deployments=[workload("web"), workload("store")])
    [message] = found(case(snapshot, spec()), "policy-shuts-out")
    assert "kardinal.dev/service=web" in message
    guard["spec"]["ingress"][0]["from"].append(
        {"podSelector": {"matchLabels": {"kardinal.dev/service": "web"}}}
    )
    assert found(case(snapshot, spec()), "policy-shuts-out") == []


def test_unread() -> None:
    snapshot = cluster(unread=frozenset({"NetworkPolicy"}), secret_keys=None)
    assert found(case(snapshot, spec()), "unread") == [
        "not proved, because these may not be listed: NetworkPolicy, Secret"
    ]


def shared(made: ForkSpec, **volume: Any) -> list[str]:
    item = dict(made.workload)
    pod(item)["volumes"] = [{"name": "data", **volume}]
    pod(item)["containers"][0]["volumeMounts"] = [{"name": "data", "mountPath": "/data"}]
    return found(case(cluster(), replace(made, workload=item)), "shared-writable-volume")


def test_shared_writable_volume() -> None:
    claim = {"persistentVolumeClaim": {"claimName": "uploads"}}
    assert len(shared(spec(), **claim)) == 1
    assert len(shared(spec(), hostPath={"path": "/var"})) == 1
    assert shared(spec(), persistentVolumeClaim={"claimName": "uploads", "readOnly": True}) == []
    assert shared(spec(), configMap={"name": "c"}) == []
    assert shared(spec(volumes={"data": "empty"}), **claim) == []
    assert shared(spec(volumes={"data": "readOnly"}), **claim) == []


def secret_found(env: list[Any], *, keys: tuple[str, ...] = ("DATABASE_URL",), **parts: Any) -> list[str]:
    item = workload("web", env=env)
    pod(item)["containers"][0] |= {key: value for key, value in parts.items() if key != "volumes"}
    pod(item)["volumes"] = parts.get("volumes", [])
    snapshot = cluster(secret_keys={"votes-database": frozenset(keys)})
    return found(case(snapshot, spec(item, databases=(VOTES,)), databases=DATABASES), "parent-secret")


def test_parent_secret_by_another_variable_of_the_same_secret() -> None:
    assert secret_found([secret_env("DATABASE_URL")]) == []
    [message] = secret_found([secret_env("DATABASE_URL"), secret_env("PGPASSWORD")])
    assert message.startswith(
        'variable PGPASSWORD of container "web" in the fork of Deployment web still comes'
    )


def test_parent_secret_by_keys_of_envfrom_that_nothing_overrides() -> None:
    source = [{"secretRef": {"name": "votes-database"}}]
    assert secret_found([], envFrom=source) == []
    [message] = secret_found([], keys=("DATABASE_URL", "PGPASSWORD"), envFrom=source)
    assert message.startswith("variable PGPASSWORD")


@pytest.mark.parametrize(
    "volume",
    [
        {"name": "v", "secret": {"secretName": "votes-database"}},
        {"name": "v", "projected": {"sources": [{"secret": {"name": "votes-database"}}]}},
    ],
)
def test_parent_secret_by_a_volume(volume: dict[str, Any]) -> None:
    [message] = secret_found([secret_env("DATABASE_URL")], volumes=[volume])
    assert message.startswith('volume "v"')


def test_parent_secret_by_a_literal_host_which_is_not_shown() -> None:
    literal = {"name": "REPORTS", "value": "postgresql://u:hunter2@votes-db.internal/votes"}
    [message] = secret_found([secret_env("DATABASE_URL"), literal])
    assert message.startswith("variable REPORTS")
    assert "hunter2" not in message


def test_parent_secret_learns_the_host_from_the_baselines_own_variable() -> None:
    env = [
        {"name": "DATABASE_URL", "value": "postgresql://u:p@10.1.2.3:5432/votes"},
        {"name": "COPY", "value": "tcp:10.1.2.3:5432"},
    ]
    [message] = secret_found(env)
    assert message.startswith("variable COPY")


def test_parent_credential_kept_only_without_the_lock() -> None:
    use = replace(VOTES, handover="sidecar")
    made = spec(workload("web", env=[secret_env("DATABASE_URL")]), databases=(use,))
    shown = case(cluster(), made, databases=DATABASES)
    assert len(found(shown, "parent-credential-kept")) == 1
    assert found(replace(shown, locked=frozenset({"web"})), "parent-credential-kept") == []
    assert found(shown, "parent-secret") == []


def test_worker_shares_queue() -> None:
    worker: dict[str, Any] = {"ports": []}
    rule = "worker-shares-queue"
    assert len(found(case(cluster(), spec(replicas=1), declared=worker), rule)) == 1
    assert found(case(cluster(), spec(replicas=0), declared=worker), rule) == []
    assert found(case(cluster(), spec(replicas=1), declared={**worker, "queues": []}), rule) == []
    named = {**worker, "queues": ["QUEUE", "GROUP"]}
    [message] = found(case(cluster(), spec(replicas=1, env={"QUEUE": "mine"}), declared=named), rule)
    assert "set GROUP in `env`" in message
    own = {"QUEUE": "mine", "GROUP": "mine"}
    assert found(case(cluster(), spec(replicas=1, env=own), declared=named), rule) == []


def test_fork_and_caller_without_sidecar() -> None:
    outside = cluster(namespace_labels={})
    assert len(found(case(outside, spec()), "fork-without-sidecar")) == 1
    assert found(case(cluster(), spec()), "fork-without-sidecar") == []
    caller = workload("page")
    caller["spec"]["template"]["metadata"]["annotations"]["sidecar.istio.io/inject"] = "false"
    snapshot = replace(cluster(), deployments=[workload("web"), caller])
    others = {"page": {"ports": [], "dependsOn": ["web"]}}
    [message] = found(case(snapshot, spec(), others=others), "caller-without-sidecar")
    assert message.startswith("pods of Deployment page get no sidecar")
    caller["spec"]["template"]["metadata"]["annotations"].clear()
    assert found(case(snapshot, spec(), others=others), "caller-without-sidecar") == []


def test_key_lost_before_a_fork_that_is_further_down() -> None:
    def others(propagates: bool, calls: str) -> dict[str, Any]:
        return {
            "page": {"dependsOn": ["middle"], "propagates": propagates},
            "middle": {"dependsOn": [calls]},
            "else": {},
        }

    [message] = found(case(cluster(), spec(), others=others(False, "web")), "key-lost")
    assert 'service "page" does not pass the routing key on' in message
    assert message.endswith("reach production's web")
    assert found(case(cluster(), spec(), others=others(True, "web")), "key-lost") == []
    assert found(case(cluster(), spec(), others=others(False, "else")), "key-lost") == []


@pytest.mark.parametrize(
    ("annotations", "content"),
    [
        ({"traffic.sidecar.istio.io/excludeOutboundPorts": "5432"}, {}),
        ({"traffic.sidecar.istio.io/excludeOutboundIPRanges": "10.0.0.0/8"}, {}),
        ({"traffic.sidecar.istio.io/includeOutboundIPRanges": "10.96.0.0/12"}, {}),
        ({"sidecar.istio.io/interceptionMode": "NONE"}, {}),
        ({}, {"securityContext": {"runAsUser": 1337}}),
    ],
)
def test_lock_bypassed(annotations: dict[str, str], content: dict[str, Any]) -> None:
    item = workload("web")
    item["spec"]["template"]["metadata"]["annotations"] |= annotations
    pod(item).update(content)
    shown = case(cluster(), spec(item, locked=True), locked=frozenset({"web"}))
    assert len(found(shown, "lock-bypassed")) == 1
    assert found(replace(shown, locked=frozenset()), "lock-bypassed") == []


def test_a_locked_fork_starts_its_sidecar_before_its_init_containers() -> None:
    item = workload("web")
    pod(item)["initContainers"] = [{"name": "migrate", "image": "m"}]
    locked = case(cluster(), spec(item, locked=True), locked=frozenset({"web"}))
    assert found(locked, "lock-bypassed") == []
    unlocked = case(cluster(), spec(item), locked=frozenset({"web"}))
    assert len(found(unlocked, "lock-bypassed")) == 1


def test_a_secret_of_a_database_that_the_fork_does_not_declare_is_seen_too() -> None:
    user = spec(workload("web", env=[secret_env("DATABASE_URL")]), databases=(VOTES,))
    other_item = workload("page", env=[secret_env("PGPASSWORD")])
    other = replace(spec(other_item), service="page", name="page-dev", container="page")
    shown = case(cluster(), user, databases=DATABASES, others={"page": {}})
    silent = case(cluster(), other, databases=DATABASES, others={"page": {}}).forks[0]
    [message] = found(replace(shown, forks=(*shown.forks, silent)), "parent-secret")
    assert "PGPASSWORD" in message
