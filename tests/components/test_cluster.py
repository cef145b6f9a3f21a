"""Reading the cluster, from an API server that does and does not do what one hopes."""

from __future__ import annotations

import socket
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest

from kardinal_infra.cluster.client import ask, connect
from kardinal_infra.cluster.snapshot import read_live
from kardinal_infra.errors import ClusterError
from kardinal_infra.observed.live import LiveObjects
from tests.components.kubernetes_api import (
    APPS,
    BATCH,
    CORE,
    GATEWAY,
    ISTIO,
    NETWORKING,
    SECURITY,
    KubernetesApi,
    kubeconfig,
    status,
)
from tests.pure import samples
from tests.pure.samples import NAMESPACE

PASSWORD = "cGE1NXdvcmQ="


def read(api: KubernetesApi) -> LiveObjects:
    return read_live(NAMESPACE, kubeconfig=api.kubeconfig())


def refused(api: KubernetesApi) -> str:
    with pytest.raises(ClusterError) as caught:
        read(api)
    assert "\n" not in str(caught.value)
    return str(caught.value).replace(api.url, "SERVER")


def test_what_it_reads_is_enough_to_plan_a_flow(kubernetes: KubernetesApi) -> None:
    kubernetes.put("secrets", secret("votes-database", {"DATABASE_URL": PASSWORD}))

    live = read(kubernetes)
    assert live.service("votes-api") is not None
    assert [item["metadata"]["name"] for item in live.deployments] == ["voting-app-ui", "votes-api"]
    assert live.namespace_labels["istio-injection"] == "enabled"
    assert live.namespace_labels["kubernetes.io/metadata.name"] == NAMESPACE
    assert samples.plan(live=live).describe() == samples.plan().describe()


def test_objects_keep_every_field_as_the_server_sent_it(kubernetes: KubernetesApi) -> None:
    item = samples.service("later", fieldOfALaterVersion={"x-y": [1, {"a": None}]})
    kubernetes.put("services", item)

    found = read(kubernetes).service("later")
    assert found is not None
    assert found["spec"] == item["spec"]


def test_lists_are_read_page_by_page(kubernetes: KubernetesApi, monkeypatch: pytest.MonkeyPatch) -> None:
    kubernetes.put("secrets", *(secret(f"s{number}", {"KEY": PASSWORD}) for number in range(5)))
    whole = read(kubernetes)
    assert whole.secret_keys == {f"s{number}": frozenset({"KEY"}) for number in range(5)}
    assert asked(kubernetes, f"{CORE}/namespaces/{NAMESPACE}/secrets") == [{"limit": "500"}]

    monkeypatch.setattr("kardinal_infra.cluster.snapshot.PAGE", 2)
    kubernetes.seen.clear()
    assert read(kubernetes) == whole
    assert asked(kubernetes, f"{CORE}/namespaces/{NAMESPACE}/secrets") == [
        {"limit": "2"},
        {"limit": "2", "continue": "2"},
        {"limit": "2", "continue": "4"},
    ]


def test_a_list_whose_next_page_is_forgotten_begins_anew_and_comes_whole(
    kubernetes: KubernetesApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = read(kubernetes)
    monkeypatch.setattr("kardinal_infra.cluster.snapshot.PAGE", 1)
    kubernetes.forgotten = {"deployments", "httproutes"}
    kubernetes.seen.clear()

    assert read(kubernetes) == whole
    assert asked(kubernetes, f"{APPS}/namespaces/{NAMESPACE}/deployments") == [
        {"limit": "1"},
        {"limit": "1", "continue": "1"},
        {},
    ]


def test_lists_that_take_long_are_told_of_with_their_size(
    kubernetes: KubernetesApi, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("kardinal_infra.cluster.snapshot.SLOW_SECONDS", 600)
    read(kubernetes)
    assert capsys.readouterr() == ("", "")

    monkeypatch.setattr("kardinal_infra.cluster.snapshot.SLOW_SECONDS", -1)
    read(kubernetes)
    told = [line.rpartition(" took ")[0] for line in capsys.readouterr().err.splitlines()]
    assert f"kardinal: reading 2 deployments of namespace {NAMESPACE}" in told
    assert "kardinal: reading 2 httproutes of all namespaces" in told
    assert "kardinal: reading 1 mutatingwebhookconfigurations" in told


def asked(api: KubernetesApi, path: str) -> list[dict[str, str]]:
    """The queries of the lists of a path, in their order."""
    targets = [urlsplit(entry.partition(" ")[2]) for entry in api.seen]
    return [dict(parse_qsl(target.query)) for target in targets if target.path == path]


def test_only_this_namespace_s_objects_but_everybody_s_routes(kubernetes: KubernetesApi) -> None:
    other = samples.service("other")
    other["metadata"]["namespace"] = "elsewhere"
    kubernetes.put("services", other)
    route = {"metadata": {"name": "theirs", "namespace": "elsewhere"}, "spec": {}}
    kubernetes.put("httproutes", route)
    kubernetes.put("virtualservices", route)

    live = read(kubernetes)
    assert live.service("other") is None
    assert "theirs" in {item["metadata"]["name"] for item in live.http_routes}
    assert [item["metadata"]["name"] for item in live.virtual_services] == ["theirs"]


def test_where_only_the_namespace_may_be_read_its_routes_are(kubernetes: KubernetesApi) -> None:
    for plural in ("httproutes", "gateways"):
        kubernetes.forbid(f"{GATEWAY}/{plural}")
    kubernetes.forbid(f"{ISTIO}/virtualservices")

    live = read(kubernetes)
    assert len(live.http_routes) == 2
    assert len(live.gateways) == 1
    assert live.api_versions == {"gateway.networking.k8s.io/v1", "networking.istio.io/v1"}


def test_apis_that_are_not_served_are_no_failure(kubernetes: KubernetesApi) -> None:
    kubernetes.apis -= {GATEWAY, ISTIO}

    live = read(kubernetes)
    assert live.api_versions == frozenset()
    assert (live.http_routes, live.gateways, live.virtual_services) == ((), (), ())
    assert not live.has_gateway_api


def test_a_namespace_that_does_not_exist_is_empty(kubernetes: KubernetesApi) -> None:
    live = read_live("nowhere", kubeconfig=kubernetes.kubeconfig())

    assert live.services == []
    assert live.namespace_labels == {"kubernetes.io/metadata.name": "nowhere"}


def test_secrets_are_known_by_their_keys_alone(kubernetes: KubernetesApi) -> None:
    ours = secret("branch", {"uri": PASSWORD})
    ours["metadata"] |= {"labels": {"kardinal.dev/flow": "dev"}}
    kubernetes.put("secrets", secret("votes-database", {"DATABASE_URL": PASSWORD, "USER": "eA=="}), ours)
    kubernetes.put("secrets", secret("empty", None))
    kubernetes.put(
        "configmaps", {"metadata": {"name": "settings", "namespace": NAMESPACE}, "data": {"A": "1"}}
    )

    live = read(kubernetes)
    assert live.secret_keys == {
        "votes-database": frozenset({"DATABASE_URL", "USER"}),
        "branch": frozenset({"uri"}),
        "empty": frozenset(),
    }
    assert live.config_map_keys == {"settings": frozenset({"A"})}
    assert [item["metadata"]["name"] for item in live.of_flow("dev")] == ["branch"]
    assert PASSWORD not in str(vars(live)) + repr(live)


def test_jobs_of_flows_are_read_and_others_are_not(kubernetes: KubernetesApi) -> None:
    for name, labels in (("ours", {"kardinal.dev/flow": "dev"}), ("backup", {})):
        kubernetes.put("jobs", {"metadata": {"name": name, "namespace": NAMESPACE, "labels": labels}})

    assert [item["metadata"]["name"] for item in read(kubernetes).flow_objects] == ["ours"]


@pytest.mark.parametrize("plural", ["secrets", "configmaps"])
def test_keys_that_may_not_be_read_are_unknown(kubernetes: KubernetesApi, plural: str) -> None:
    kubernetes.forbid(f"{CORE}/namespaces/{NAMESPACE}/{plural}")

    live = read(kubernetes)
    unknown = {"secrets": live.secret_keys, "configmaps": live.config_map_keys}
    assert unknown[plural] is None
    assert {name for name, keys in unknown.items() if keys is not None} == unknown.keys() - {plural}


def test_the_plan_does_without_daemonsets_claims_and_jobs(kubernetes: KubernetesApi) -> None:
    for api, plural in ((APPS, "daemonsets"), (CORE, "persistentvolumeclaims"), (BATCH, "jobs")):
        kubernetes.forbid(f"{api}/namespaces/{NAMESPACE}/{plural}")

    live = read(kubernetes)
    assert (live.other_workloads, live.claims, live.flow_objects) == ([], [], [])
    assert samples.plan(live=replace(live, secret_keys=None)).flow == "dev"


def test_policies_are_read_with_their_kinds_here_and_in_istio_s_root_namespace(
    kubernetes: KubernetesApi,
) -> None:
    for namespace in (NAMESPACE, "istio-system", "elsewhere"):
        item = {"metadata": {"name": f"of-{namespace}", "namespace": namespace}, "spec": {}}
        kubernetes.put("networkpolicies", item)
        kubernetes.put("authorizationpolicies", item)
        kubernetes.put("poddisruptionbudgets", item)

    live = read(kubernetes)
    assert {(item["kind"], item["metadata"]["name"]) for item in live.policies} == {
        ("NetworkPolicy", f"of-{NAMESPACE}"),
        ("AuthorizationPolicy", f"of-{NAMESPACE}"),
        ("AuthorizationPolicy", "of-istio-system"),
    }
    assert [item["metadata"]["name"] for item in live.disruption_budgets] == [f"of-{NAMESPACE}"]
    assert live.unread == frozenset()


def test_policies_that_may_not_be_read_are_named(kubernetes: KubernetesApi) -> None:
    kubernetes.forbid(f"{NETWORKING}/namespaces/{NAMESPACE}/networkpolicies")
    kubernetes.forbid(f"{SECURITY}/namespaces/istio-system/authorizationpolicies")

    live = read(kubernetes)
    assert live.unread == {"NetworkPolicy", "AuthorizationPolicy in istio-system"}
    [finding] = [item for item in samples.plan(live=live).findings if item.rule == "unread"]
    assert "AuthorizationPolicy in istio-system, NetworkPolicy" in finding.message


def test_what_else_selects_pods_is_read_where_it_is_served_and_allowed(kubernetes: KubernetesApi) -> None:
    entry = {"metadata": {"name": "outside", "namespace": NAMESPACE}, "spec": {}}
    kubernetes.put("serviceentries", entry, {"metadata": {"name": "theirs", "namespace": "elsewhere"}})
    assert [item["metadata"]["name"] for item in read(kubernetes).service_entries] == ["outside"]

    for path in (
        f"{ISTIO}/namespaces/{NAMESPACE}/serviceentries",
        f"/apis/extensions.istio.io/v1alpha1/namespaces/{NAMESPACE}/wasmplugins",
        "/apis/telemetry.istio.io/v1/namespaces/istio-system/telemetries",
    ):
        kubernetes.forbid(path)
    live = read(kubernetes)
    assert live.service_entries == []
    assert live.unread == {"ServiceEntry", "WasmPlugin", "Telemetry in istio-system"}


def test_a_server_that_fails_for_policies_is_no_server_without_policies(kubernetes: KubernetesApi) -> None:
    kubernetes.failures[f"{SECURITY}/namespaces/{NAMESPACE}/peerauthentications"] = status(500, "broken")

    assert refused(kubernetes) == "cannot list peerauthentications on the cluster: broken"


@pytest.mark.parametrize("plural", ["deployments", "statefulsets"])
def test_what_the_plan_cannot_do_without_is_named(kubernetes: KubernetesApi, plural: str) -> None:
    kubernetes.forbid(f"{APPS}/namespaces/{NAMESPACE}/{plural}")

    assert refused(kubernetes) == (
        f"cannot list {plural} on the cluster: cannot list resource at"
        f' {APPS}/namespaces/{NAMESPACE}/{plural}: User "reader" is not allowed'
    )


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (status(401, "Unauthorized"), "cannot {} on the cluster: Unauthorized"),
        (status(500, "etcd is gone"), "cannot {} on the cluster: etcd is gone"),
        ((502, "text/html", "<html>nginx</html>"), "cannot {} on the cluster: HTTP 502 Bad Gateway"),
        ((302, "text/html", ""), "cannot {} on the cluster: HTTP 302 Found"),
        (
            (200, "text/html", "<html>Log in</html>"),
            "cannot {} on the cluster: what SERVER answers is not Kubernetes' (JSONDecodeError)",
        ),
        (
            (200, "application/json", "[]"),
            "cannot {} on the cluster: what SERVER answers is not Kubernetes' (TypeError)",
        ),
        (
            (200, "application/json", '{"metadata": {}}'),
            "cannot {} on the cluster: what SERVER answers is not Kubernetes' (KeyError)",
        ),
        (
            (403, "application/json", "[]"),
            "cannot {} on the cluster: what SERVER answers is not Kubernetes' (AttributeError)",
        ),
    ],
)
def test_whatever_answers_is_told_in_one_sentence(
    kubernetes: KubernetesApi, answer: Any, message: str
) -> None:
    kubernetes.failures[f"{CORE}/namespaces/{NAMESPACE}/services"] = answer

    assert refused(kubernetes) == message.format("list services")


def test_a_missing_content_type_is_no_surprise(kubernetes: KubernetesApi) -> None:
    kubernetes.failures[f"{CORE}/namespaces/{NAMESPACE}/services"] = (503, "", "")

    assert refused(kubernetes).startswith("cannot list services on the cluster: ")


def test_a_server_that_is_not_there_is_named() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}"
        with pytest.raises(ClusterError) as caught:
            read_live(NAMESPACE, kubeconfig=kubeconfig(url))

    assert str(caught.value) == f"the cluster at {url} cannot be reached: [Errno 111] Connection refused"


def test_a_connection_that_could_not_be_made_is_tried_again(kubernetes: KubernetesApi) -> None:
    failures = [httpx.ConnectError("[SSL: TLSV1_ALERT_DECODE_ERROR]"), httpx.ConnectError("again")]

    def call() -> str:
        if failures:
            raise failures.pop()
        return "done"

    with connect(NAMESPACE, kubeconfig=kubernetes.kubeconfig()) as client:
        assert ask(client, "list services", call) == "done"
    assert failures == []


def test_it_only_reads(kubernetes: KubernetesApi) -> None:
    read(kubernetes)

    assert {request.split()[0] for request in kubernetes.seen} == {"GET"}
    assert len(kubernetes.seen) == len(set(kubernetes.seen))


def test_the_token_goes_to_the_server_and_nowhere_else(kubernetes: KubernetesApi) -> None:
    text = kubernetes.kubeconfig(token="t0ken-of-mine")
    live = read_live(NAMESPACE, kubeconfig=text)
    kubernetes.failures["/"] = status(401, "Unauthorized")
    with pytest.raises(ClusterError) as caught:
        read_live(NAMESPACE, kubeconfig=text)

    assert set(kubernetes.tokens) == {"Bearer t0ken-of-mine"}
    assert "t0ken" not in repr(live) + str(caught.value)


def test_a_client_closes_its_connections(kubernetes: KubernetesApi) -> None:
    with connect(NAMESPACE, kubeconfig=kubernetes.kubeconfig()) as client:
        assert client.config.cluster.server == kubernetes.url


def secret(name: str, data: dict[str, str] | None) -> dict[str, Any]:
    item: dict[str, Any] = {"metadata": {"name": name, "namespace": NAMESPACE}, "type": "Opaque"}
    return item if data is None else {**item, "data": data}
