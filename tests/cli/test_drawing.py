"""Applications and flows as graphs, tables and diagrams."""

import io
from typing import Any

from rich.console import Console

from kardinal_infra.cli.drawing import mermaid, overview, table
from kardinal_infra.model.topology import Topology

TOPOLOGY = Topology.model_validate(
    {
        "application": "shop",
        "namespace": "shop",
        "domain": "shop.example",
        "gateway": {"name": "kardinal", "namespace": "shop"},
        "services": {
            "web": {"ports": [{"port": 80}], "dependsOn": ["api"]},
            "api": {"ports": [{"port": 80}], "uses": [{"database": "orders"}]},
        },
        "entries": [{"service": "web", "host": "shop.example"}],
        "databases": {"orders": {"project": "p", "parent": "main", "database": "d", "role": "r"}},
    }
)


def flow(name: str, image: str) -> dict[str, Any]:
    versions = [
        {"version": "baseline", "image": "web:1"},
        {"version": name, "image": image, "fork": f"web-{name}", "reason": "requested"},
    ]
    return {"nodes": [{"id": "service/web", "kind": "service", "name": "web", "versions": versions}]}


def test_overview_lists_every_flows_version_after_the_baselines_once() -> None:
    graph = overview(TOPOLOGY, [flow("dev", "web:2"), flow("pr-7", "web:3")])
    assert [node["id"] for node in graph["nodes"]] == [
        "entry/shop.example",
        "service/api",
        "service/web",
        "database/orders",
    ]
    web = graph["nodes"][2]
    assert [(v["version"], v["image"]) for v in web["versions"]] == [
        ("baseline", "web:1"),
        ("dev", "web:2"),
        ("pr-7", "web:3"),
    ]
    assert graph["edges"] == [
        {"from": "entry/shop.example", "to": "service/web", "kind": "enters"},
        {"from": "service/api", "to": "database/orders", "kind": "uses"},
        {"from": "service/web", "to": "service/api", "kind": "calls"},
    ]


def test_a_store_is_the_service_that_it_is() -> None:
    plain = TOPOLOGY.to_plain()
    plain["services"]["web"]["uses"] = [{"store": "cache", "environment": {"CACHE": "{host}"}}]
    plain["services"]["redis"] = {"ports": [{"port": 6379, "protocol": "tcp"}]}
    plain["stores"] = {"cache": {"service": "redis"}}
    graph = overview(Topology.model_validate(plain), [])
    assert {"from": "service/web", "to": "service/redis", "kind": "uses"} in graph["edges"]
    assert "service/redis" in {node["id"] for node in graph["nodes"]}


def test_a_service_in_a_namespace_of_its_own_is_shown_with_it() -> None:
    plain = TOPOLOGY.to_plain()
    plain["services"]["api"]["namespace"] = "data"
    graph = overview(Topology.model_validate(plain), [])
    assert [node.get("namespace") for node in graph["nodes"]] == [None, "data", None, None]
    assert "api (data)<br/>baseline" in mermaid(graph)
    console = Console(file=io.StringIO(), width=120)
    console.print(table(graph))
    assert "api (data)" in console.file.getvalue()  # type: ignore[attr-defined]


def test_overview_without_flows_shows_the_baseline() -> None:
    graph = overview(TOPOLOGY, [])
    assert graph["nodes"][3]["versions"] == [{"version": "baseline", "branch": "main"}]


def test_mermaid_draws_every_node_and_edge() -> None:
    assert mermaid(overview(TOPOLOGY, [flow("dev", "web:2")])).splitlines() == [
        "flowchart LR",
        '  entry_2f_shop_2e_example(["shop.example<br/>baseline: shop.example"])',
        '  service_2f_api["api<br/>baseline"]',
        '  service_2f_web["web<br/>baseline: web:1<br/>dev: web:2"]',
        '  database_2f_orders[("orders<br/>baseline: main")]',
        "  entry_2f_shop_2e_example ==> service_2f_web",
        "  service_2f_api -.-> database_2f_orders",
        "  service_2f_web --> service_2f_api",
    ]


def test_mermaid_escapes_what_would_end_a_label() -> None:
    drawn = mermaid(overview(TOPOLOGY, [flow("dev", 'web:"<b>&')]))
    assert 'dev: web:&quot;&lt;b&gt;&amp;"]' in drawn


def test_mermaid_identifiers_of_like_named_nodes_differ() -> None:
    nodes = [
        {"id": f"service/{name}", "kind": "service", "name": name, "versions": [{"version": "baseline"}]}
        for name in ("a-b", "a_2d_b")
    ]
    lines = mermaid({"application": "x", "nodes": nodes, "edges": []}).splitlines()[1:]
    assert len({line.split("[")[0] for line in lines}) == 2


def test_table_has_a_line_per_version() -> None:
    console = Console(width=100, file=io.StringIO(), record=True)
    console.print(table(overview(TOPOLOGY, [flow("dev", "web:2")])))
    text = console.export_text()
    row = next(line for line in text.splitlines() if "web:1" in line)
    assert "service" in row
    assert "api" in row
    assert any("dev" in line and "web:2" in line for line in text.splitlines())
