"""Refusals of what the cluster lacks or routes already, and all of them in one error."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest

from kardinal_infra.config import read_flow
from kardinal_infra.model.topology import Topology
from kardinal_infra.plan import make_plan
from tests.pure.refusing import API, ID, UI, app, flow, refusals, route, with_route, with_ui
from tests.pure.samples import (
    FLOW,
    NAMESPACE,
    STACK,
    live,
    service,
    topology,
    workload,
)


def test_everything_wrong_is_told_in_one_error() -> None:
    value = flow(
        id="Not_A_Label",
        services={"voting-app-iu": {"image": "x"}, "voting-app-ui": {"imagee": "x"}},
        databases={"orders": {}},
    )
    snapshot = live(deployments=[], injectors=[], api_versions=frozenset())
    assert refusals(value, snapshot=snapshot) == [
        "cluster: there is no Gateway API: install the CRDs of gateway.networking.k8s.io/v1 (standard"
        " channel)",
        "cluster: there is no mesh: install Istio (1.24 or later) with sidecars",
        "kardinal:flow.databases.orders: unknown database; voting-app has: votes",
        f'{ID}: "Not_A_Label" must consist of a-z, 0-9 and "-", and start and end with a letter or digit',
        "kardinal:flow.services.voting-app-iu: unknown service; voting-app has: votes-api, voting-app-ui;"
        " did you"
        ' mean "voting-app-ui"?',
        f'{UI}: no Deployment or StatefulSet is behind Service "voting-app-ui" in namespace voting-app',
        f'{UI}.imagee: unknown key; did you mean "image"?',
        f'{API}: no Deployment or StatefulSet is behind Service "votes-api" in namespace voting-app',
    ]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"injectors": []},
            "cluster: Istio injects no sidecars here (no injector webhook); flows need sidecars",
        ),
        (
            {"gateways": []},
            "cluster: Gateway voting-app/kardinal does not exist: run `pulumi up` on the baseline stack",
        ),
        (
            {"services": [service("votes-api")]},
            f'{UI}: there is no Service "voting-app-ui" in namespace voting-app',
        ),
        (
            {"services": [service("voting-app-ui", 81), service("votes-api")]},
            f'{UI}: Service "voting-app-ui" has no port 80 (it has: 81)',
        ),
        (
            {"services": [service("voting-app-ui", selector=None), service("votes-api")]},
            f'{UI}: no Deployment or StatefulSet is behind Service "voting-app-ui" in namespace voting-app',
        ),
        (
            {"deployments": [*live().deployments, workload("voting-app-ui") | {}]},
            f'{UI}: several workloads are behind service "voting-app-ui" (Deployment voting-app-ui,'
            f" Deployment"
            " voting-app-ui): set `workload` in the baseline",
        ),
    ],
)
def test_what_the_cluster_lacks_is_named(changes: dict[str, Any], message: str) -> None:
    assert refusals(snapshot=live(**changes)) == [message]


def test_a_namespace_without_injection_is_told_for_forks() -> None:
    advice = (
        "label namespace voting-app istio-injection=enabled (or istio.io/rev=<revision>) and restart them"
    )
    assert refusals(snapshot=live(namespace_labels={})) == [
        f"{UI}: pods of the fork of Deployment voting-app-ui get no sidecar, which passes requests on;"
        f" {advice} [docs/safety.md#fork-without-sidecar]",
        f"{API}: pods of the fork of Deployment votes-api get no sidecar, which passes requests on; {advice}"
        " [docs/safety.md#fork-without-sidecar]",
    ]


def test_a_fork_that_cannot_keep_the_label_that_asks_for_a_sidecar_is_refused() -> None:
    asks = {"matchLabels": {"sidecar.istio.io/inject": "true"}}
    ui, api = (deepcopy(dict(item)) for item in live().deployments)
    for item in (ui, api):
        item["spec"]["template"]["metadata"]["labels"] |= asks["matchLabels"]
    by_pod = {"webhooks": [{"objectSelector": asks}]}
    snapshot = live(namespace_labels={}, injectors=[by_pod], deployments=[ui, api])
    config = read_flow(FLOW, "dev").config
    assert config is not None
    assert make_plan(topology(), config, snapshot, stack=STACK).forks
    greedy = service("everything", selector=asks["matchLabels"])
    lines = refusals(snapshot=replace(snapshot, services=[*snapshot.services, greedy]))
    assert [line.split(",")[0] for line in lines] == [
        f"{UI}: pods of the fork of Deployment voting-app-ui get no sidecar",
        f"{API}: pods of the fork of Deployment votes-api get no sidecar",
    ]


def test_a_caller_without_a_sidecar_is_told() -> None:
    caller = workload("voting-app-ui")
    caller["spec"]["template"]["metadata"]["annotations"]["sidecar.istio.io/inject"] = "false"
    value = flow(services={"votes-api": {"image": "x"}})
    [line] = refusals(value, snapshot=with_ui(caller))
    assert line.startswith(
        "topology.services.voting-app-ui: pods of Deployment voting-app-ui get no sidecar, which routes its"
        " requests to the forks of votes-api;"
    )


@pytest.mark.parametrize(
    ("name", "application", "refused"),
    [
        ("tcp-db", None, 'its name "tcp-db"'),
        ("TLS", None, 'its name "tls"'),
        ("http-web", "tcp", 'its appProtocol "tcp"'),
        ("tcp", "http", None),
        ("web", None, None),
        ("http2", "kubernetes.io/h2c", None),
    ],
)
def test_a_port_that_the_mesh_takes_for_tcp_is_refused(
    name: str, application: str | None, refused: str | None
) -> None:
    item = service("voting-app-ui")
    item["spec"]["ports"][0] |= {"name": name, **({"appProtocol": application} if application else {})}
    snapshot = live(services=[item, service("votes-api")])
    if refused is None:
        assert make_plan(topology(), read_flow(FLOW, "dev").config, snapshot, stack=STACK).forks  # type: ignore[arg-type]
        return
    assert refusals(snapshot=snapshot) == [
        f'{UI}: port 80 of Service "voting-app-ui" is declared as http, but {refused} makes the mesh treat it'
        " otherwise and ignore all routes: set its appProtocol to http or grpc"
    ]


def test_a_service_with_only_tcp_ports_cannot_be_forked() -> None:
    found = app(ports=[{"port": 80, "protocol": "tcp"}])
    plain = {**found.to_plain(), "entries": []}
    assert refusals(app=Topology.from_plain(plain, "s")) == [
        f'{UI}: service "voting-app-ui" has only tcp ports: their traffic carries no header to route a flow'
        " by; flows can have one of their own when the baseline names it in `stores`"
    ]


def test_a_missing_catch_all_is_refused() -> None:
    routes = [item for item in live().http_routes if "votes-api" not in item["metadata"]["name"]]
    assert refusals(snapshot=live(http_routes=routes)) == [
        f'{API}: no HTTPRoute takes the requests without a flow on port 80 of Service "votes-api"; the first'
        " flow would turn them into 404: run `pulumi up` on the baseline stack"
    ]


@pytest.mark.parametrize(
    ("host", "namespace", "gateways"),
    [
        ("voting-app-ui", "elsewhere", None),
        ("voting-app-ui", NAMESPACE, ["edge"]),
        ("voting.example", NAMESPACE, None),
        ("voting-app-ui.other.svc.cluster.local", NAMESPACE, None),
    ],
)
def test_other_virtual_services_do_not_matter(host: str, namespace: str, gateways: list[str] | None) -> None:
    item = {
        "metadata": {"name": "x", "namespace": namespace},
        "spec": {"hosts": [host], **({"gateways": gateways} if gateways else {})},
    }
    config = read_flow(FLOW, "dev").config
    assert config is not None
    assert make_plan(topology(), config, live(virtual_services=[item]), stack=STACK).routes


def test_a_route_without_port_is_refused_where_ours_would_silence_it() -> None:
    message = (
        'HTTPRoute voting-app/own is attached to Service "voting-app-ui" without a port; routes with a port'
        " would silently switch it off: give its parentRef a port"
    )
    assert refusals(snapshot=with_route(route())) == [f"{UI}: {message}"]
    passing = route()
    passing["spec"]["rules"][0]["backendRefs"][0]["name"] = "votes-api"
    only_api = flow(services={"votes-api": {"image": "x"}})
    assert refusals(only_api, snapshot=with_route(passing)) == [f"topology.services.voting-app-ui: {message}"]


def test_a_consumer_route_is_refused() -> None:
    item = route(namespace="callers")
    item["spec"]["parentRefs"][0] |= {"namespace": NAMESPACE, "port": 80}
    assert refusals(snapshot=with_route(item)) == [
        f'{UI}: HTTPRoute callers/own routes Service "voting-app-ui" for callers in its own namespace only'
        f" and"
        " hides all flows from them: remove it, or move it to the Service's namespace"
    ]


def test_a_match_without_room_for_the_key_is_refused() -> None:
    item = route()
    item["spec"]["parentRefs"][0]["port"] = 80
    item["spec"]["rules"][0]["matches"] = [{"headers": [{"name": f"x-{n}", "value": "1"} for n in range(16)]}]
    assert refusals(snapshot=with_route(item)) == [
        f"{UI}: port 80 cannot be routed: a match with 16 headers has no room for the flow's"
    ]
