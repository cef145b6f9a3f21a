"""Manifests of routes: what is copied, changed and added."""

from __future__ import annotations

from typing import Any

import pytest

from kardinal_infra.model.names import Owner, ServiceRef
from kardinal_infra.observed.virtual_services import claiming
from kardinal_infra.routing import (
    Targets,
    catch_all_routes,
    entry_route,
    flow_routes,
    has_baseline_route,
    production_routes,
)
from kardinal_infra.routing.gateway_api.rules import service_of
from tests.pure.samples import BASELINE_STACK, NAMESPACE, STACK, live, topology

OWNER = Owner(STACK, NAMESPACE, "dev")
FORKS = {"votes-api": "votes-api-dev"}
DECLARED = ("votes-api", "voting-app-ui")
BACKEND = {"name": "votes-api", "port": 80}
KEY = {"type": "Exact", "name": "x-kardinal-flow", "value": "dev"}
HOSTNAME = {"group": "networking.istio.io", "kind": "Hostname"}
FULL = f"votes-api.{NAMESPACE}.svc.cluster.local"
FORK_IN_FULL = f"votes-api-dev.{NAMESPACE}.svc.cluster.local"


def route(rules: list[dict[str, Any]], port: int | None = 80, **metadata: Any) -> dict[str, Any]:
    parent = {"group": "", "kind": "Service", "name": "votes-api", **({"port": port} if port else {})}
    return {
        "metadata": {"name": "own", "namespace": NAMESPACE, **metadata},
        "spec": {"parentRefs": [parent], "rules": rules},
    }


def derive(*routes: dict[str, Any], port: int = 80) -> list[dict[str, Any]]:
    return flow_routes(Targets(OWNER, "votes-api", FORKS, DECLARED), port, routes)


def only_rule(item: dict[str, Any], index: int | None = None) -> dict[str, Any]:
    [manifest] = derive(item)
    rules: list[dict[str, Any]] = manifest["spec"]["rules"]
    assert index is not None or len(rules) == 1
    return rules[index or 0]


def modifier(changes: dict[str, Any]) -> dict[str, Any]:
    return {"type": "RequestHeaderModifier", "requestHeaderModifier": changes}


def test_a_flow_route_hangs_on_the_service_and_port() -> None:
    [manifest] = derive(*catch_all_routes(topology(), BASELINE_STACK))
    assert manifest["metadata"]["name"] == "votes-api-dev-80"
    assert manifest["metadata"]["namespace"] == NAMESPACE
    assert manifest["metadata"]["labels"]["kardinal.dev/flow"] == "dev"
    assert manifest["metadata"]["annotations"]["kardinal.dev/stack"] == STACK
    assert manifest["spec"]["parentRefs"] == [
        {"group": "", "kind": "Service", "name": "votes-api", "port": 80}
    ]


def test_a_rule_is_copied_with_the_key_in_every_match_and_everything_else_kept() -> None:
    original = {
        "name": "api",
        "matches": [
            {"path": {"type": "Exact", "value": "/a"}, "headers": [{"name": "x", "value": "1"}]},
            {"method": "GET", "queryParams": [{"name": "q", "value": "1"}]},
        ],
        "timeouts": {"request": "3s"},
        "retry": {"attempts": 2},
        "filters": [{"type": "URLRewrite", "urlRewrite": {"hostname": "x"}}],
        "backendRefs": [{"name": "votes-api", "port": 80}],
    }
    assert only_rule(route([original])) == {
        "matches": [
            {"path": {"type": "Exact", "value": "/a"}, "headers": [{"name": "x", "value": "1"}, KEY]},
            {"method": "GET", "queryParams": [{"name": "q", "value": "1"}], "headers": [KEY]},
        ],
        "timeouts": {"request": "3s"},
        "retry": {"attempts": 2},
        "filters": [
            {"type": "URLRewrite", "urlRewrite": {"hostname": "x"}},
            {
                "type": "ResponseHeaderModifier",
                "responseHeaderModifier": {"set": [{"name": "x-kardinal-fork", "value": "votes-api-dev"}]},
            },
        ],
        "backendRefs": [{"name": "votes-api-dev", "port": 80}],
    }


def test_an_existing_response_filter_is_merged_not_repeated() -> None:
    modifier = {
        "set": [{"name": "X-Kardinal-Fork", "value": "forged"}, {"name": "x-a", "value": "1"}],
        "add": [{"name": "x-b", "value": "2"}],
        "remove": ["x-c", "x-kardinal-fork"],
    }
    rule = only_rule(
        route(
            [
                {
                    "filters": [{"type": "ResponseHeaderModifier", "responseHeaderModifier": modifier}],
                    "backendRefs": [{"name": "votes-api", "port": 80}],
                }
            ]
        )
    )
    assert rule["filters"] == [
        {
            "type": "ResponseHeaderModifier",
            "responseHeaderModifier": {
                "set": [{"name": "x-a", "value": "1"}, {"name": "x-kardinal-fork", "value": "votes-api-dev"}],
                "add": [{"name": "x-b", "value": "2"}],
                "remove": ["x-c"],
            },
        }
    ]


def test_canaries_of_the_service_do_not_get_a_flows_requests() -> None:
    split = [
        {"name": "votes-api", "port": 80, "weight": 90},
        {"name": "votes-api-canary", "port": 8080, "weight": 10},
    ]
    assert only_rule(route([{"backendRefs": split}]))["backendRefs"] == [
        {"name": "votes-api-dev", "port": 80}
    ]


def test_requests_for_another_service_stay_with_it() -> None:
    [manifest] = derive(
        route(
            [
                {"backendRefs": [{"name": "voting-app-ui", "port": 80}]},
                {"backendRefs": [{"name": "votes-api", "port": 80}]},
            ]
        )
    )
    first, second = manifest["spec"]["rules"]
    assert first["backendRefs"] == [{"name": "voting-app-ui", "port": 80}]
    assert "filters" not in first
    assert second["backendRefs"] == [{"name": "votes-api-dev", "port": 80}]


def test_a_rule_that_sends_nothing_to_the_service_opens_nothing() -> None:
    closed = [{"name": "votes-api", "weight": 0}, {"name": "voting-app-ui", "port": 80, "weight": 1}]
    assert derive(route([{"backendRefs": closed}])) == []


def test_routes_of_other_ports_namespaces_flows_and_parents_are_not_copied() -> None:
    rules = [{"backendRefs": [{"name": "votes-api", "port": 80}]}]
    gateway = route(rules)
    gateway["spec"]["parentRefs"] = [{"name": "votes-api", "port": 80}]
    assert (
        derive(
            route(rules, port=81),
            route(rules, port=None),
            route(rules, labels={"kardinal.dev/flow": "other"}),
            gateway,
        )
        == []
    )
    foreign = route(rules, namespace="elsewhere")
    foreign["spec"]["parentRefs"][0]["namespace"] = NAMESPACE
    assert derive(foreign) == []


def test_copies_keep_the_order_in_which_ties_are_broken() -> None:
    backend = {"name": "votes-api", "port": 80}
    young = route([{"backendRefs": [backend], "timeouts": {"request": "2s"}}])
    young["metadata"] |= {"name": "a", "creationTimestamp": "2026-02-01T00:00:00Z"}
    old = route([{"backendRefs": [backend], "timeouts": {"request": "1s"}}])
    old["metadata"] |= {"name": "b", "creationTimestamp": "2026-01-01T00:00:00Z"}
    [manifest] = derive(young, old)
    assert [rule["timeouts"]["request"] for rule in manifest["spec"]["rules"]] == ["1s", "2s"]


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ([{"name": f"x-{n}", "value": "1"} for n in range(16)], "16 headers has no room"),
        ([{"name": "X-Kardinal-Flow", "value": "mine"}], "uses the header x-kardinal-flow"),
    ],
)
def test_a_match_that_cannot_take_the_key_is_refused(headers: list[dict[str, str]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        derive(route([{"matches": [{"headers": headers}], "backendRefs": [BACKEND]}]))


def test_a_match_that_cannot_take_the_key_is_of_no_account_where_nothing_leads_to_a_fork() -> None:
    headers = [{"name": "X-Kardinal-Flow", "value": "mine"}]
    backends = [{"name": "voting-app-ui", "port": 80}]
    assert derive(route([{"matches": [{"headers": headers}], "backendRefs": backends}])) == []


def test_filters_of_the_baseline_do_not_touch_the_key() -> None:
    changes = {"set": [{"name": "X-Kardinal-Flow", "value": "x"}], "remove": ["x-kardinal-flow", "x-a"]}
    only_key = {"remove": ["x-kardinal-flow"]}
    backend = {**BACKEND, "filters": [modifier(only_key), modifier(changes)]}
    rule = only_rule(route([{"filters": [modifier(changes)], "backendRefs": [backend]}]))
    assert rule["filters"][0] == modifier({"remove": ["x-a"]})
    assert rule["backendRefs"][0]["filters"] == [modifier({"remove": ["x-a"]})]
    assert changes["remove"] == ["x-kardinal-flow", "x-a"]
    alone = only_rule(
        route(
            [
                {"filters": [modifier(only_key)], "backendRefs": [{"name": "voting-app-ui"}]},
                {"backendRefs": [BACKEND]},
            ]
        ),
        0,
    )
    assert "filters" not in alone


@pytest.mark.parametrize(
    ("mirror", "target"),
    [
        ({"name": "votes-api", "port": 80}, {"name": "votes-api-dev", "port": 80}),
        ({"name": "voting-app-ui", "port": 80}, None),
        ({"name": "votes-api-shadow", "port": 80}, None),
        ({"name": "votes-api", "namespace": "elsewhere", "port": 80}, None),
        ({**HOSTNAME, "name": "votes-api"}, None),
        ({**HOSTNAME, "name": FULL}, {**HOSTNAME, "name": FORK_IN_FULL}),
    ],
)
def test_a_mirror_gets_a_flows_requests_only_where_a_fork_takes_its_place(
    mirror: dict[str, Any], target: dict[str, Any] | None
) -> None:
    item = {"type": "RequestMirror", "requestMirror": {"backendRef": mirror, "percent": 10}}
    rule = only_rule(route([{"filters": [item], "backendRefs": [BACKEND]}]))
    found = [entry["requestMirror"] for entry in rule["filters"] if entry["type"] == "RequestMirror"]
    assert found == ([] if target is None else [{"backendRef": target, "percent": 10}])


def test_a_session_of_a_flow_is_not_productions() -> None:
    session = {"sessionName": "cart", "type": "Cookie", "absoluteTimeout": "1h"}
    rule = only_rule(route([{"sessionPersistence": session, "backendRefs": [BACKEND]}]))
    assert rule["sessionPersistence"] == {**session, "sessionName": "cart-dev"}
    unnamed = only_rule(route([{"sessionPersistence": {"type": "Header"}, "backendRefs": [BACKEND]}]))
    assert unnamed["sessionPersistence"] == {"type": "Header"}


def test_a_backend_in_another_namespace_stays() -> None:
    foreign = {"name": "votes-api", "namespace": "elsewhere", "port": 80}
    [manifest] = derive(route([{"backendRefs": [foreign]}, {"backendRefs": [foreign, BACKEND]}]))
    first, second = manifest["spec"]["rules"]
    assert first["backendRefs"] == [foreign]
    assert second["backendRefs"] == [{"name": "votes-api-dev", "port": 80}]


def test_a_backend_that_is_no_service_is_not_taken_for_one_of_the_name() -> None:
    imported = {"group": "multicluster.x-k8s.io", "kind": "ServiceImport", "name": "votes-api", "port": 80}
    assert only_rule(route([{"backendRefs": [imported, BACKEND]}]))["backendRefs"] == [
        {"name": "votes-api-dev", "port": 80}
    ]
    assert derive(route([{"backendRefs": [imported]}])) == []


def test_a_grpc_route_is_copied_as_one() -> None:
    method = {"type": "Exact", "service": "votes.Votes", "method": "Cast"}
    item = route([{"matches": [{"method": method}], "backendRefs": [BACKEND]}, {"backendRefs": [BACKEND]}])
    [manifest] = derive({**item, "kind": "GRPCRoute"})
    assert (manifest["kind"], manifest["apiVersion"]) == ("GRPCRoute", "gateway.networking.k8s.io/v1")
    assert [rule["matches"] for rule in manifest["spec"]["rules"]] == [
        [{"method": method, "headers": [KEY]}],
        [{"headers": [KEY]}],
    ]


def test_several_routes_on_several_services_and_ports_are_told_apart() -> None:
    item = route([{"backendRefs": [BACKEND]}])
    item["spec"]["parentRefs"] += [
        {"group": "", "kind": "Service", "name": "votes-api", "port": 9000},
        {"group": "", "kind": "Service", "name": "voting-app-ui", "port": 80},
        {"name": "gateway"},
    ]
    for service, port in (("votes-api", 80), ("votes-api", 9000), ("voting-app-ui", 80)):
        [manifest] = flow_routes(Targets(OWNER, service, FORKS, DECLARED), port, [item])
        assert manifest["spec"]["parentRefs"] == [
            {"group": "", "kind": "Service", "name": service, "port": port}
        ]
        assert manifest["metadata"]["name"] == f"{service}-dev-{port}"


def test_the_flows_host_marks_requests_and_leads_to_the_fork() -> None:
    targets = Targets(OWNER, "voting-app-ui", {"voting-app-ui": "voting-app-ui-dev"}, DECLARED)
    manifest = entry_route(targets, topology().gateway, "dev.voting.localhost", 80)
    assert manifest["metadata"]["name"] == "voting-app-ui-dev-entry"
    assert manifest["spec"] == {
        "parentRefs": [
            {
                "group": "gateway.networking.k8s.io",
                "kind": "Gateway",
                "name": "kardinal",
                "namespace": NAMESPACE,
            }
        ],
        "hostnames": ["dev.voting.localhost"],
        "rules": [
            {
                "matches": [{"path": {"type": "PathPrefix", "value": "/"}}],
                "filters": [
                    {
                        "type": "RequestHeaderModifier",
                        "requestHeaderModifier": {
                            "set": [{"name": "x-kardinal-flow", "value": "dev"}],
                            "add": [{"name": "baggage", "value": "kardinal-flow=dev"}],
                        },
                    },
                    {
                        "type": "ResponseHeaderModifier",
                        "responseHeaderModifier": {
                            "set": [
                                {"name": "x-kardinal-fork", "value": "voting-app-ui-dev"},
                                {"name": "x-kardinal-flow", "value": "dev"},
                            ]
                        },
                    },
                ],
                "backendRefs": [{"group": "", "kind": "Service", "name": "voting-app-ui-dev", "port": 80}],
            }
        ],
    }


def test_an_entry_whose_service_is_not_forked_leads_to_the_baseline() -> None:
    targets = Targets(OWNER, "voting-app-ui", {}, DECLARED)
    manifest = entry_route(targets, topology().gateway, "dev.voting.localhost", 80)
    [rule] = manifest["spec"]["rules"]
    assert rule["backendRefs"][0]["name"] == "voting-app-ui"
    assert rule["filters"][1]["responseHeaderModifier"] == {
        "set": [{"name": "x-kardinal-flow", "value": "dev"}]
    }


def test_the_production_host_removes_the_key() -> None:
    [manifest] = production_routes(topology(), BASELINE_STACK)
    [rule] = manifest["spec"]["rules"]
    assert manifest["spec"]["hostnames"] == ["voting.localhost"]
    assert rule["filters"] == [
        {"type": "RequestHeaderModifier", "requestHeaderModifier": {"remove": ["x-kardinal-flow"]}}
    ]
    assert rule["backendRefs"] == [{"group": "", "kind": "Service", "name": "voting-app-ui", "port": 80}]
    assert "kardinal.dev/flow" not in manifest["metadata"]["labels"]


def test_every_routed_port_gets_a_catch_all_that_changes_nothing() -> None:
    ports = [{"port": 80}, {"port": 9000, "protocol": "grpc"}, {"port": 5432, "protocol": "tcp"}]
    application = topology(services={"voting-app-ui": {"ports": ports}})
    manifests = catch_all_routes(application, BASELINE_STACK)
    assert [manifest["spec"]["parentRefs"][0]["port"] for manifest in manifests] == [80, 9000]
    for manifest in manifests:
        port = manifest["spec"]["parentRefs"][0]["port"]
        assert manifest["spec"]["rules"] == [
            {
                "matches": [{"path": {"type": "PathPrefix", "value": "/"}}],
                "backendRefs": [{"group": "", "kind": "Service", "name": "voting-app-ui", "port": port}],
            }
        ]


@pytest.mark.parametrize("port", [80, None])
def test_a_port_with_the_users_own_route_gets_no_catch_all(port: int | None) -> None:
    own = route([{}], port=port)
    names = [
        m["metadata"]["labels"]["kardinal.dev/service"] for m in catch_all_routes(topology(), "s", [own])
    ]
    assert names == ["voting-app-ui"]


def test_the_baseline_stacks_own_catch_alls_stay_on_the_next_update() -> None:
    first = catch_all_routes(topology(), BASELINE_STACK)
    assert catch_all_routes(topology(), BASELINE_STACK, first) == first


@pytest.mark.parametrize(
    ("match", "stays"),
    [
        ({"path": {"type": "PathPrefix", "value": "/api"}}, True),
        ({"method": "GET"}, True),
        ({"path": {"type": "PathPrefix", "value": "/"}}, False),
        ({}, False),
    ],
)
def test_a_catch_all_that_is_there_stays_until_a_route_of_the_users_takes_everything(
    match: dict[str, Any], stays: bool
) -> None:
    first = catch_all_routes(topology(), BASELINE_STACK)
    users = route([{"matches": [match]}], port=80)
    again = catch_all_routes(topology(), BASELINE_STACK, [*first, users])
    assert (again == first) is stays


def test_only_an_accepted_route_of_exactly_that_port_keeps_requests_without_a_key_alive() -> None:
    def guarded(item: dict[str, Any]) -> bool:
        return has_baseline_route([item], NAMESPACE, "votes-api", 80)

    refused = route([{}])
    parent = {"group": "", "kind": "Service", "name": "votes-api", "port": 80}
    no, yes = ({"conditions": [{"type": "Accepted", "status": said}]} for said in ("False", "True"))
    refused["status"] = {"parents": [{"parentRef": parent, **no}]}
    assert guarded(route([{}]))
    assert not guarded(refused)
    # What a Gateway says of it, or one of two controllers, is no refusal on the Service.
    gateway = {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "public"}
    for others in (
        [{"parentRef": gateway, **no}],
        [{"parentRef": parent, **no}, {"parentRef": parent, **yes}],
    ):
        refused["status"] = {"parents": others}
        assert guarded(refused)
    assert not guarded(route([{}], port=None))
    assert not guarded(route([{}], labels={"kardinal.dev/flow": "dev"}))


def test_objects_without_a_spec_are_nobodys_routes() -> None:
    empty: dict[str, Any] = {"metadata": {"name": "empty", "namespace": NAMESPACE}, "spec": None}
    item = route([{"backendRefs": [BACKEND]}])
    assert derive(empty, item) == derive(item)
    for app in (topology(), topology(gateway={"kind": "istio", "name": "empty", "namespace": NAMESPACE})):
        snapshot = live(
            http_routes=[empty], virtual_services=[empty], gateways=[empty], istio_gateways=[empty]
        )
        assert production_routes(app, BASELINE_STACK, snapshot) == production_routes(app, BASELINE_STACK)
        assert claiming(snapshot.virtual_services, NAMESPACE, "votes-api") == []


@pytest.mark.parametrize("other", [{"kind": "Hostname"}, {"group": "multicluster.example"}])
def test_what_is_no_service_of_the_cluster_is_not_taken_for_one(other: dict[str, str]) -> None:
    assert service_of(BACKEND, NAMESPACE) == ServiceRef(NAMESPACE, "votes-api")
    assert service_of({**BACKEND, **other}, NAMESPACE) is None


@pytest.mark.parametrize(
    ("name", "found"),
    [
        (FULL, ServiceRef(NAMESPACE, "votes-api")),
        ("votes-api.data.svc.corp.internal", ServiceRef("data", "votes-api")),
        ("votes-api", None),
        (f"votes-api.{NAMESPACE}", None),
        ("api.example.com", None),
    ],
)
def test_a_hostname_of_istios_is_the_service_that_it_names_in_full(
    name: str, found: ServiceRef | None
) -> None:
    backend = {**HOSTNAME, "name": name, "port": 80}
    assert service_of(backend, NAMESPACE) == found
    assert service_of({**backend, "group": "multicluster.example"}, NAMESPACE) is None


def test_a_hostname_becomes_its_services_fork() -> None:
    own = {**HOSTNAME, "name": FULL, "port": 80}
    made = {**HOSTNAME, "name": FORK_IN_FULL, "port": 80}
    assert only_rule(route([{"backendRefs": [own]}]))["backendRefs"] == [made]
    split = [{**own, "weight": 90}, {"name": "votes-api-canary", "port": 8080, "weight": 10}]
    assert only_rule(route([{"backendRefs": split}]))["backendRefs"] == [made]
