"""Every rule about pods, data and work finds what it is for, and nothing where that is not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kardinal_infra.forking import ForkPeers, fork_policies, fork_template
from kardinal_infra.plan.forks import selected_keys
from kardinal_infra.safety import (
    RULE_NAMES,
    RULES,
    Case,
    Finding,
    Hit,
    prove,
    refused,
    rules,
    safety_rule,
)
from tests.pure.forked import VOTES, case, pod, spec
from tests.pure.judged import DATABASES, cluster, found
from tests.pure.refusing import refusals
from tests.pure.samples import (
    FLOW,
    NAMESPACE,
    TOPOLOGY,
    live,
    plan,
    secret_env,
    topology,
    workload,
)

DOCS = Path(__file__).parents[2] / "docs" / "safety.md"


def policy(kind: str, name: str = "guard", namespace: str = NAMESPACE, **content: Any) -> dict[str, Any]:
    return {"kind": kind, "metadata": {"name": name, "namespace": namespace}, "spec": content}


def by_label(kind: str, **labels: str) -> dict[str, Any]:
    if kind == "NetworkPolicy":
        return policy(kind, podSelector={"matchLabels": labels})
    if kind in {"Sidecar", "EnvoyFilter"}:
        return policy(kind, workloadSelector={"labels": labels})
    return policy(kind, selector={"matchLabels": labels})


def test_every_rule_under_the_decorator_is_in_force_once() -> None:
    written = [
        match
        for module in sorted(Path(rules.__path__[0]).glob("[a-z]*.py"))
        for match in re.findall(r'^@safety_rule\("(.+)", "(.+)"\)$', module.read_text(), re.MULTILINE)
    ]
    assert sorted((rule.name, rule.severity) for rule in RULES) == sorted(written)
    assert len(set(RULES)) == len(RULES) > len(RULE_NAMES)
    assert len({*written}) == len(RULE_NAMES), "rules of one name are of one severity"


def test_a_rule_of_one_s_own_is_proved_beside_the_others() -> None:
    @safety_rule("every-fork", "warning")
    def own(shown: Case) -> Iterator[Hit]:
        for fork in shown.forks:
            yield Hit(fork.path, f"there is {fork.name}")

    shown = case(cluster(), spec())
    [finding] = [item for item in prove(shown, (*RULES, own)) if item not in prove(shown)]
    assert finding == Finding(shown.forks[0].path, "every-fork", "warning", "there is web-dev")


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
        {
            "service_entries": [
                {
                    "metadata": {"name": "outside", "namespace": NAMESPACE},
                    "spec": {"hosts": ["x.example.com"], "workloadSelector": {"labels": {"tier": "web"}}},
                },
                {"metadata": {"name": "all"}, "spec": {"hosts": ["y.example.com"], "workloadSelector": None}},
            ]
        },
    ],
    ids=["lacks-a-label", "budget-of-all-pods", "autoscaler-by-name", "service-entry-by-label"],
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
    [again] = fork_policies(made, labels, snapshot, ForkPeers([made], snapshot))
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
    snapshot = cluster(policies=[root, elsewhere])
    [again] = fork_policies(made, labels, snapshot, ForkPeers([made], snapshot))
    assert again["metadata"]["namespace"] == NAMESPACE


def test_policies_of_one_name_in_two_namespaces_are_made_again_by_two_names() -> None:
    own, root = by_label("AuthorizationPolicy", app="web"), by_label("AuthorizationPolicy", app="web")
    root["metadata"]["namespace"] = "istio-system"
    labels = fork_template(spec(), {})["metadata"]["labels"]
    snapshot = cluster(policies=[own, root])
    made = fork_policies(spec(), labels, snapshot, ForkPeers([spec()], snapshot))
    assert [item["metadata"]["name"] for item in made] == ["guard-web-dev", "istio-system-guard-web-dev"]


@pytest.mark.parametrize("kind", ["EnvoyFilter", "WasmPlugin", "Telemetry"])
def test_what_cannot_be_made_again_is_told(kind: str) -> None:
    snapshot = cluster(policies=[by_label(kind, app="web"), policy(kind, "all")])
    assert found(case(snapshot, spec()), "policy-lost") == [
        f"{kind} {NAMESPACE}/guard applies to Deployment web and not to its fork"
    ]


def test_a_fork_keeps_no_label_that_a_service_entry_selects_by() -> None:
    entry = {"metadata": {"name": "e"}, "spec": {"workloadSelector": {"labels": {"tier": "web"}}}}
    snapshot = cluster(service_entries=[entry])
    made = spec(selected_keys=selected_keys(snapshot))
    assert "tier" not in fork_template(made, {})["metadata"]["labels"]
    assert found(case(snapshot, made), "fork-selected") == []
    assert found(case(snapshot, spec()), "fork-selected") == [
        'ServiceEntry e selects pods in a way that would also select the fork of "web"'
    ]


def test_a_network_policy_made_again_lets_the_other_forks_in() -> None:
    guard = by_label("NetworkPolicy", app="api")
    guard["spec"]["ingress"] = [{"from": [{"podSelector": {"matchLabels": {"app": "web"}}}]}]
    snapshot = cluster(policies=[guard])
    web = spec()
    api = replace(spec(workload("api")), service="api", name="api-dev")
    labels = fork_template(replace(api, container="api"), {})["metadata"]["labels"]
    [again] = fork_policies(api, labels, snapshot, ForkPeers([web, api], snapshot))
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


def from_key(name: str, key: str, kind: str = "secretKeyRef") -> dict[str, Any]:
    return {"name": name, "valueFrom": {kind: {"name": "settings", "key": key}}}


QUEUE = {"name": "QUEUE", "value": "orders"}


@pytest.mark.parametrize(
    ("before", "after", "shared"),
    [
        (QUEUE, QUEUE, True),
        (QUEUE, {"name": "QUEUE", "value": "orders-dev"}, False),
        (from_key("QUEUE", "q"), from_key("QUEUE", "q"), True),
        (from_key("QUEUE", "q"), from_key("QUEUE", "dev"), False),
        (from_key("QUEUE", "q"), from_key("QUEUE", "q", "configMapKeyRef"), False),
        (from_key("QUEUE", "q", "configMapKeyRef"), from_key("QUEUE", "q", "configMapKeyRef"), True),
        (QUEUE, from_key("QUEUE", "q"), False),
        ({"name": "QUEUE"}, {"name": "QUEUE"}, True),
    ],
)
def test_a_worker_whose_queue_is_set_to_productions_own(
    before: dict[str, Any], after: dict[str, Any], shared: bool
) -> None:
    made = spec(workload("web", env=[before]), replicas=1, env={"QUEUE": "set"})
    shown = case(cluster(), made, declared={"ports": [], "queues": ["QUEUE"]})
    [container] = pod(dict(shown.forks[0].workload))["containers"]
    container["env"] = [after]
    messages = found(shown, "worker-shares-queue")
    assert bool(messages) is shared
    if shared:
        assert "set QUEUE in `env` to queues or groups of its own" in messages[0]


def test_a_worker_whose_queue_comes_from_all_of_a_config_map() -> None:
    item = workload("web")
    pod(item)["containers"][0]["envFrom"] = [{"prefix": "APP_", "configMapRef": {"name": "settings"}}]
    made = spec(item, replicas=1, env={"APP_QUEUE": "set"})
    snapshot = cluster(config_map_keys={"settings": frozenset({"QUEUE"})})
    shown = case(snapshot, made, declared={"ports": [], "queues": ["APP_QUEUE"]})
    [container] = pod(dict(shown.forks[0].workload))["containers"]
    container["env"] = [from_key("APP_QUEUE", "QUEUE", "configMapKeyRef")]
    assert len(found(shown, "worker-shares-queue")) == 1
    container["env"] = [from_key("APP_QUEUE", "MINE", "configMapKeyRef")]
    assert found(shown, "worker-shares-queue") == []


def test_a_queue_of_an_init_container_is_nobodys_work() -> None:
    item = workload("web", env=[QUEUE])
    pod(item)["initContainers"] = [{"name": "migrate", "image": "m", "env": [QUEUE]}]
    made = spec(item, replicas=1, env={"QUEUE": "orders-dev"})
    shown = case(cluster(), made, declared={"ports": [], "queues": ["QUEUE"]})
    assert found(shown, "worker-shares-queue") == []


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


def test_a_plan_names_every_finding_and_takes_acknowledgements_by_name() -> None:
    services = {
        "voting-app-ui": {"image": "x", "volumes": {}},
        "votes-api": {"image": "y"},
    }
    ui = workload("voting-app-ui")
    pod(ui)["volumes"] = [{"name": "node", "hostPath": {"path": "/var"}}]
    pod(ui)["containers"][0]["volumeMounts"] = [{"name": "node", "mountPath": "/v"}]
    api = workload("votes-api", env=[secret_env("DATABASE_URL"), secret_env("OTHER")])
    snapshot = live(deployments=[ui, api])
    value = {**FLOW, "services": services}
    assert [line.rpartition(" ")[2] for line in refusals(value, snapshot=snapshot)] == [
        "[docs/safety.md#parent-secret]",
        "[docs/safety.md#shared-writable-volume]",
    ]
    accepted = ["parent-secret", "shared-writable-volume"]
    found = plan(live=snapshot, services=services, acknowledge=accepted)
    assert [item.rule for item in found.accepted] == accepted
    shown = [line for line in found.describe().splitlines() if line.startswith("  Acknowledged: ")]
    assert len(shown) == 2
    assert found.accepted[0].to_plain()["objects"] == ["Secret votes-database"]


def test_an_unknown_rule_cannot_be_acknowledged() -> None:
    assert refusals({**FLOW, "acknowledge": ["fork-selectd"]}) == [
        'kardinal:flow.acknowledge[0]: unknown rule "fork-selectd"; did you mean "fork-selected"?'
    ]


def test_a_worker_with_queues_of_its_own_runs_and_one_without_rests() -> None:
    services = deepcopy(TOPOLOGY["services"])
    services["tally"] = {"queues": ["QUEUE"]}
    tally = workload("tally", env=[{"name": "QUEUE", "value": "q"}])
    snapshot = live(deployments=[*live().deployments, tally])

    def replicas(**env: str) -> int:
        requested = {"tally": {"image": "t", "env": env}}
        [fork] = plan(topology=topology(services=services), live=snapshot, services=requested).forks
        return fork.spec.replicas

    assert replicas() == 0
    assert replicas(QUEUE="q-dev") == 1
    assert replicas(QUEUE="q") == 0


def test_optional_parts_that_are_null_are_no_failure() -> None:
    item = workload("web", env=[{"name": "A", "value": None, "valueFrom": None}])
    nothing = {"volumes": None, "initContainers": None, "securityContext": None, "hostNetwork": None}
    pod(item).update(nothing)
    parts = ("envFrom", "command", "args", "volumeMounts", "volumeDevices", "securityContext")
    pod(item)["containers"][0].update(dict.fromkeys(parts))
    parent = {"group": "", "kind": "Service", "name": "web", "port": 80}
    matches = [{"path": None, "headers": None, "queryParams": None, "method": None}]
    backends = [{"name": "web", "port": 80}]
    modifier = {"type": "RequestHeaderModifier", "requestHeaderModifier": {"set": None, "remove": None}}
    rules = [{"matches": matches, "filters": [modifier], "backendRefs": backends}, {"filters": None}]
    routes = [
        {
            "metadata": {"name": name, "namespace": NAMESPACE, "labels": None},
            "spec": {"parentRefs": [ref], "hostnames": None, "rules": rules},
        }
        for name, ref in (("mesh", parent), ("edge", {"name": "edge"}))
    ]
    http = [{"match": None, "route": None, "headers": None}, {"headers": {"request": None}}]
    names = {"metadata": {"name": "x", "namespace": NAMESPACE, "labels": None}}
    snapshot = replace(
        cluster(
            virtual_services=[{**names, "spec": {"hosts": ["a"], "gateways": ["g"], "http": http}}],
            grpc_routes=[{**route, "kind": "GRPCRoute"} for route in routes],
            disruption_budgets=[{**names, "spec": None}],
            autoscalers=[names],
            service_entries=[{**names, "spec": {"workloadSelector": {"labels": None}}}],
            other_workloads=[{**names, "spec": {"selector": None, "template": {"metadata": None}}}],
            policies=[{**names, "kind": "Telemetry", "spec": None}, {**names, "kind": "NetworkPolicy"}],
        ),
        http_routes=routes,
    )
    assert [one.rule for one in prove(case(snapshot, spec(item)))].count("fork-selected") == 0
