"""An application in two namespaces, declared and read: every object is where its service is."""

from __future__ import annotations

from typing import Any

import pytest

from kardinal_infra import Baseline
from kardinal_infra.cluster.snapshot import read_live
from kardinal_infra.errors import ClusterError
from kardinal_infra.observed.live import LiveObjects
from tests.components import recorder
from tests.components.flows import declare
from tests.components.kubernetes_api import APPS, CORE, GATEWAY, NETWORKING, KubernetesApi
from tests.components.recorder import Declared
from tests.pure import samples
from tests.pure.samples import NAMESPACE
from tests.pure.spread import API, BACK, UI, live, moved, topology


def homes(items: list[Declared]) -> dict[str, str]:
    """Namespace by Pulumi name."""
    return {item.name: item.inputs["metadata"]["namespace"] for item in items}


def test_secrets_jobs_and_forks_are_where_they_are_used(preview: bool) -> None:
    request = {UI: {"image": "ui:2"}, API: {"image": "api:2"}}
    migrations = {"service": API, "command": ["x"], "environment": {"DATABASE_URL": "uri"}}
    stack = declare(
        preview=preview,
        topology=topology(),
        live=live(),
        services=request,
        databases={"votes": {"migrations": migrations}},
    )

    assert homes(stack.all(recorder.DEPLOYMENT)) == {f"{UI}-dev": NAMESPACE, f"{API}-dev": BACK}
    assert homes(stack.all(recorder.SERVICE)) == {f"{UI}-dev": NAMESPACE, f"{API}-dev": BACK}
    assert homes(stack.all(recorder.JOB)) == {"dev-votes-migrations": BACK}
    secrets = {f"dev-votes.{API}": BACK, "dev-votes-migrations": BACK}
    assert homes(stack.all(recorder.SECRET)) == secrets
    assert stack.one(recorder.LEFTOVERS).inputs["namespaces"] == [NAMESPACE, BACK]
    assert stack.exports["services"][API]["namespace"] == BACK


def test_each_namespace_with_locked_forks_has_entries_of_its_own(preview: bool) -> None:
    egress: Any = {"mode": "locked", "allow": ["api.example.com"]}
    stack = declare(preview=preview, topology=topology(), live=live(), egress=egress)

    entries = stack.all("kubernetes:networking.istio.io/v1:ServiceEntry")
    assert homes(entries) == {
        "votes-dev-branch": NAMESPACE,
        "dev-api-example-com-443": NAMESPACE,
        f"{BACK}/votes-dev-branch": BACK,
        f"{BACK}/dev-api-example-com-443": BACK,
    }


def test_a_host_that_leads_to_another_namespace_comes_with_leave_to_do_so(preview: bool) -> None:
    parent = {"name": "kardinal", "namespace": NAMESPACE, "group": "gateway.networking.k8s.io"}
    removes = {"type": "RequestHeaderModifier", "requestHeaderModifier": {"remove": ["x-kardinal-flow"]}}
    rule = {"filters": [removes], "backendRefs": [{"name": API, "namespace": BACK, "port": 80}]}
    own = {
        "metadata": {"name": "own", "namespace": NAMESPACE},
        "spec": {"parentRefs": [parent], "hostnames": ["voting.localhost"], "rules": [rule]},
    }
    routes = [*live().http_routes, own]
    stack = declare(preview=preview, topology=topology(), live=live(http_routes=routes))

    grant = stack.one("kubernetes:gateway.networking.k8s.io/v1beta1:ReferenceGrant")
    assert homes([grant]) == {f"{API}-dev-from-{NAMESPACE}": BACK}
    assert stack.waits_for(stack.one(recorder.HTTP_ROUTE, f"{UI}-dev-entry"), grant)


def test_the_baseline_s_gateway_takes_routes_of_the_entries_namespaces(preview: bool) -> None:
    described = topology(entries=[{"service": API, "host": "api.localhost"}])
    plain = described.to_plain()
    wanted = ("application", "namespace", "domain", "services", "entries", "databases")

    def program() -> None:
        args: Any = {key: plain[key] for key in wanted}
        Baseline("voting-app", args, live=live(described, http_routes=[], gateways=[]))

    stack = recorder.run(program, preview=preview, stack="baseline")
    [listener] = stack.one(recorder.GATEWAY).inputs["spec"]["listeners"]
    named = {"key": "kubernetes.io/metadata.name", "operator": "In", "values": [NAMESPACE, BACK]}
    assert listener["allowedRoutes"]["namespaces"] == {
        "from": "Selector",
        "selector": {"matchExpressions": [{**named, "values": sorted(named["values"])}]},
    }
    assert homes(stack.all(recorder.HTTP_ROUTE)) == {
        f"{UI}-80-kardinal-baseline": NAMESPACE,
        f"{API}-80-kardinal-baseline": BACK,
        f"{API}-kardinal-production": BACK,
    }


def test_a_snapshot_of_several_namespaces_is_enough_to_plan_a_flow(kubernetes: KubernetesApi) -> None:
    snapshot = read(spread(kubernetes))

    assert (snapshot.namespace, [*snapshot.others]) == (NAMESPACE, [BACK])
    there = snapshot.of(BACK)
    assert there.namespace_labels["istio-injection"] == "enabled"
    assert there.service(API) is not None
    assert snapshot.service(API) is None
    assert there.http_routes == snapshot.http_routes
    plan = samples.plan(topology=topology(), live=snapshot)
    assert plan.describe() == samples.plan(topology=topology(), live=live()).describe()
    assert len(kubernetes.seen) == len(set(kubernetes.seen))


def test_where_only_the_namespaces_may_be_read_the_routes_of_all_of_them_are(
    kubernetes: KubernetesApi,
) -> None:
    kubernetes.forbid(f"{GATEWAY}/httproutes")

    snapshot = read(spread(kubernetes))
    assert {item["metadata"]["namespace"] for item in snapshot.http_routes} == {NAMESPACE, BACK}


def test_a_namespace_that_may_not_be_read_is_named(kubernetes: KubernetesApi) -> None:
    spread(kubernetes)
    kubernetes.forbid(f"{NETWORKING}/namespaces/{BACK}/networkpolicies")
    kubernetes.forbid(f"{CORE}/namespaces/{BACK}/secrets")
    snapshot = read(kubernetes)
    assert snapshot.unread == {f"NetworkPolicy in {BACK}"}
    [finding] = [
        item for item in samples.plan(topology=topology(), live=snapshot).findings if item.rule == "unread"
    ]
    assert f"NetworkPolicy in {BACK}, Secret in {BACK}" in finding.message

    kubernetes.forbid(f"{APPS}/namespaces/{BACK}/deployments")
    with pytest.raises(ClusterError, match=rf"cannot list deployments on the cluster: .*namespaces/{BACK}/"):
        read(kubernetes)


def read(api: KubernetesApi) -> LiveObjects:
    return read_live(*topology().namespaces, kubeconfig=api.kubeconfig())


def spread(api: KubernetesApi) -> KubernetesApi:
    """Moves the API of the demonstration's application into its own namespace."""
    api.put("namespaces", {"metadata": {"name": BACK, "labels": {"istio-injection": "enabled"}}})
    for plural in ("services", "deployments", "httproutes"):
        api.objects[plural] = [
            moved(item) if item["metadata"]["name"].startswith(API) else item for item in api.objects[plural]
        ]
    api.put("secrets", moved({"metadata": {"name": "votes-database"}, "data": {"DATABASE_URL": "eA=="}}))
    return api
