"""Services of one application in several namespaces: what is planned is where the service is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from kardinal_infra.config import load_baseline
from kardinal_infra.errors import ConfigError
from kardinal_infra.model.names import HEADER_FLOW, Owner, ServiceRef
from kardinal_infra.model.topology import Topology
from kardinal_infra.observed.live import LiveObjects
from kardinal_infra.plan import FlowPlan, baseline_problems, make_plan
from kardinal_infra.routing import Targets, entry_route, flow_insertion, production_routes, reference_grants
from kardinal_infra.routing.retarget import Backend
from tests.pure import samples
from tests.pure.samples import BASELINE_STACK, NAMESPACE, STACK, TOPOLOGY, service, workload
from tests.pure.spread import API, BACK, UI, home, live, moved, topology

POLICY: dict[str, Any] = {"kind": "NetworkPolicy", "metadata": {"name": "guard", "namespace": BACK}}


def plan(cluster: LiveObjects | None = None, **config: Any) -> FlowPlan:
    return make_plan(topology(), samples.config(**config), cluster or live(), stack=STACK)


def refused(cluster: LiveObjects, **config: Any) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        plan(cluster, **config)
    return sorted(str(problem) for problem in caught.value.problems)


def test_config_and_contract_carry_a_service_s_namespace() -> None:
    wanted = {key: TOPOLOGY[key] for key in ("namespace", "domain", "entries", "databases")}
    services = {**TOPOLOGY["services"], API: {**TOPOLOGY["services"][API], "namespace": BACK}}
    found = load_baseline({**wanted, "services": services}).to_topology()

    assert found.homes == {UI: NAMESPACE, API: BACK}
    assert found.namespaces == (NAMESPACE, BACK)
    plain = found.to_plain()
    assert (plain["schemaVersion"], plain["services"][API]["namespace"]) == (1, BACK)
    assert "namespace" not in plain["services"][UI]
    assert Topology.from_plain(plain, BASELINE_STACK) == found

    services[API]["namespace"] = "Not_one"
    with pytest.raises(ConfigError, match=r"kardinal:baseline\.services\.votes-api\.namespace: \"Not_one\""):
        load_baseline({**wanted, "services": services})


def test_everything_of_a_fork_is_in_the_namespace_of_its_service() -> None:
    found = plan()

    assert {fork.service: fork.spec.owner.namespace for fork in found.forks} == {UI: NAMESPACE, API: BACK}
    for fork in found.forks:
        assert fork.service_manifest is not None
        assert home(fork.service_manifest)[0] == fork.spec.owner.namespace
        assert home(fork.workload({"votes": "s"}))[0] == fork.spec.owner.namespace
    assert {home(route) for route in found.routes} == {
        (NAMESPACE, "voting-app-ui-dev-80"),
        (BACK, "votes-api-dev-80"),
    }
    assert home(found.entries[0].route) == (NAMESPACE, "voting-app-ui-dev-entry")
    text = found.describe()
    assert f"(namespaces {NAMESPACE}, {BACK})" in text
    assert f"votes-api-dev in namespace {BACK}: uses branched database votes" in text
    [node] = [node for node in found.to_contract()["nodes"] if node["name"] == API]
    assert node["namespace"] == BACK


def test_the_baseline_s_routes_are_where_the_services_are() -> None:
    entries = [{"service": API, "host": "api.localhost"}]
    described = topology(entries=entries)
    assert {home(route) for route in live(described).http_routes} == {
        (NAMESPACE, "voting-app-ui-80-kardinal-baseline"),
        (BACK, "votes-api-80-kardinal-baseline"),
    }
    [route] = production_routes(described, BASELINE_STACK)
    assert home(route) == (BACK, "votes-api-kardinal-production")
    assert list(baseline_problems(described, live(described))) == []


def test_what_is_missing_is_said_with_its_namespace() -> None:
    problems = [str(item) for item in baseline_problems(topology(), live(back={"services": []}))]
    assert any(f'there is no Service "{API}" in namespace {BACK}' in text for text in problems)
    assert any(
        f'is behind Service "{API}" in namespace {BACK}' in text
        for text in refused(live(back={"deployments": []}))
    )


def test_a_namespace_without_injection_is_named() -> None:
    bare = {"kubernetes.io/metadata.name": BACK}
    problems = refused(live(back={"namespace_labels": bare}))
    assert any(f"label namespace {BACK} istio-injection=enabled" in text for text in problems)


def test_a_route_of_another_namespace_than_its_service_s_stays_refused() -> None:
    parent = {"group": "", "kind": "Service", "name": API, "namespace": BACK, "port": 80}
    route = {
        "metadata": {"name": "mine", "namespace": NAMESPACE},
        "spec": {"parentRefs": [parent], "rules": [{}]},
    }
    cluster = live()
    problems = refused(replace_routes(cluster, [*cluster.http_routes, route]))
    assert any("HTTPRoute voting-app/mine routes Service" in text for text in problems)


def replace_routes(cluster: LiveObjects, routes: list[Any]) -> LiveObjects:
    others = {name: replace(item, http_routes=routes) for name, item in cluster.others.items()}
    return replace(cluster, http_routes=routes, others=others)


def test_names_are_taken_per_namespace() -> None:
    taken = moved(service(f"{API}-dev"), BACK)
    cluster = live(back={"services": [moved(service(API)), taken]})
    assert refused(cluster) == [
        f'kardinal:flow.id: Service "{API}-dev" exists in namespace {BACK} and belongs to something else;'
        " choose another id"
    ]
    elsewhere = live(services=[service(UI), service(f"{API}-dev")])
    assert len(plan(elsewhere).forks) == 2


def test_a_flow_of_another_stack_is_seen_in_every_namespace() -> None:
    labels = {"kardinal.dev/flow": "dev"}
    theirs = moved(
        {"metadata": {"name": "x", "labels": labels, "annotations": {"kardinal.dev/stack": "o/p/s"}}}
    )
    problems = refused(live(back={"flow_objects": [{**theirs, "kind": "Job"}]}))
    assert problems == ['kardinal:flow.id: flow "dev" is taken by stack "o/p/s" (Job x); choose another id']


def test_selectors_and_policies_are_judged_where_the_fork_is() -> None:
    everything: dict[str, Any] = {
        "metadata": {"name": "all", "namespace": NAMESPACE},
        "spec": {"selector": {"matchExpressions": [{"key": "app", "operator": "DoesNotExist"}]}},
    }
    problems = refused(live(back={"disruption_budgets": [moved(everything)]}))
    assert len(problems) == 1
    assert "PodDisruptionBudget all selects pods" in problems[0]
    assert API in problems[0]

    rule = {"from": [{"podSelector": {"matchLabels": {"app": UI}}}]}
    spec = {"podSelector": {"matchLabels": {"app": API}}, "ingress": [rule]}
    names = {"kubernetes.io/metadata.name": NAMESPACE}
    other_pods = {"namespaceSelector": {"matchLabels": names}, **rule["from"][0]}
    for peers, admitted in (([rule["from"][0]], False), ([other_pods], True)):
        policy = {**POLICY, "spec": {**spec, "ingress": [{"from": peers}]}}
        found = plan(live(back={"policies": [policy]}))
        [fork] = [fork for fork in found.forks if fork.service == API]
        [made] = fork.policies
        assert home(made)[0] == BACK
        added = made["spec"]["ingress"][0]["from"][1:]
        pods = {"podSelector": {"matchLabels": {"kardinal.dev/fork": f"{UI}-dev"}}}
        assert added == ([{"namespaceSelector": {"matchLabels": names}, **pods}] if admitted else [])
        [page] = [fork for fork in found.forks if fork.service == UI]
        assert page.policies == ()


def test_a_secret_of_the_same_name_elsewhere_is_another_one() -> None:
    env = {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "votes-database", "key": "TOKEN"}}}
    cluster = live(
        deployments=[workload(UI, env=[env])], secret_keys={"votes-database": frozenset({"TOKEN"})}
    )
    assert plan(cluster).findings == ()


def test_the_egress_lock_names_services_by_their_namespaces() -> None:
    found = plan(egress={"mode": "locked", "allow": ["redis", "api.example.com"]})
    hosts = {f"{NAMESPACE}/{name}.{NAMESPACE}.svc.cluster.local" for name in (UI, f"{UI}-dev", "redis")} | {
        f"{BACK}/{name}.{BACK}.svc.cluster.local" for name in (API, f"{API}-dev")
    }
    for fork in found.forks:
        [lock] = [policy for policy in fork.policies if policy["kind"] == "Sidecar"]
        assert home(lock)[0] == fork.spec.owner.namespace
        assert {
            host for host in lock["spec"]["egress"][0]["hosts"] if "/" in host and "./" not in host
        } == hosts
    assert {home(entry)[0] for entry in found.allowed_entries} == {NAMESPACE, BACK}
    assert [owner.namespace for owner in found.owners] == sorted([NAMESPACE, BACK])


def test_copies_lead_to_forks_in_other_namespaces() -> None:
    parent = {"group": "", "kind": "Service", "name": UI, "port": 80}
    backend = {"name": API, "namespace": BACK, "port": 80}
    route = {
        "metadata": {"name": "own", "namespace": NAMESPACE},
        "spec": {
            "parentRefs": [parent],
            "rules": [{"backendRefs": [{"name": UI, "port": 80}]}, {"backendRefs": [backend]}],
        },
    }
    cluster = replace_routes(live(), [*live().http_routes[:1], route])
    found = plan(cluster)
    [made] = [item for item in found.routes if home(item)[0] == NAMESPACE]
    assert [rule["backendRefs"] for rule in made["spec"]["rules"]] == [
        [{"name": f"{UI}-dev", "port": 80}],
        [{**backend, "name": f"{API}-dev"}],
    ]
    targets = Targets(Owner(STACK, NAMESPACE, "dev"), UI, {UI: "u", API: "a"}, (UI, API), topology().homes)
    for ref, fork in (
        (ServiceRef(BACK, API), ["a"]),
        (ServiceRef(NAMESPACE, API), ["u"]),  # of this namespace: a version of the page, not the API
        (ServiceRef(BACK, UI), []),
    ):
        assert [item.fork for item in targets.chosen([Backend(ref, 80, 1)], 80)] == fork
    assert targets.mirror_fork(ServiceRef(NAMESPACE, API)) is None


def test_a_virtual_service_names_forks_of_other_namespaces_in_full() -> None:
    item = {
        "metadata": {"name": "own", "namespace": NAMESPACE},
        "spec": {
            "hosts": [UI],
            "http": [
                {
                    "match": [{"uri": {"prefix": "/api"}}],
                    "route": [{"destination": {"host": f"{API}.{BACK}.svc.cluster.local"}}],
                },
                {"route": [{"destination": {"host": UI}}]},
            ],
        },
    }
    forks = {UI: f"{UI}-dev", API: f"{API}-dev"}
    targets = Targets(Owner(STACK, NAMESPACE, "dev"), UI, forks, (UI, API), topology().homes)
    made = flow_insertion(item, targets)
    assert made is not None
    assert [rule["route"][0]["destination"]["host"] for rule in made.rules] == [
        f"{API}-dev.{BACK}.svc.cluster.local",
        f"{UI}-dev",
    ]
    assert made.rules[0]["headers"]["response"]["set"] == {"x-kardinal-fork": f"{API}-dev"}
    cluster = replace(live(), virtual_services=[item])
    cluster = replace_routes(cluster, [route for route in live().http_routes if home(route)[0] == BACK])
    found = plan(cluster)
    assert [insertion.namespace for insertion in found.insertions] == [NAMESPACE]


def test_gateways_get_leave_to_follow_a_flow_s_host_to_another_namespace() -> None:
    rule = {"backendRefs": [{"name": API, "namespace": BACK, "port": 80}]}
    own = {"metadata": {"name": "own", "namespace": NAMESPACE}, "spec": {"rules": [rule]}}
    owner = Owner(STACK, NAMESPACE, "dev")
    forks = {API: f"{API}-dev"}
    targets = Targets.of(topology(), owner, UI, forks)
    route = entry_route(targets, topology().gateway, "dev.voting.localhost", 80, production=[own])
    [made] = route["spec"]["rules"]
    assert made["backendRefs"] == [{**rule["backendRefs"][0], "name": f"{API}-dev"}]
    assert any(HEADER_FLOW in str(item) for item in made["filters"])
    [grant] = reference_grants(owner, [route], forks.values())
    assert home(grant) == (BACK, f"{API}-dev-from-{NAMESPACE}")
    assert grant["spec"] == {
        "from": [{"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "namespace": NAMESPACE}],
        "to": [{"group": "", "kind": "Service", "name": f"{API}-dev"}],
    }
    assert plan().grants == []
