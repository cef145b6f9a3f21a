"""An application and its flows as a graph, and the graph as a table or a diagram."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from rich.table import Table

from kardinal_infra.model.topology import SCHEMA_VERSION, Topology

Graph = Mapping[str, Any]
"""`{schemaVersion, application, nodes, edges}`, as a flow exports it under `topology`."""

ARROWS = {"calls": "-->", "uses": "-.->", "enters": "==>"}
"""Mermaid's arrow per kind of edge."""

SHAPES = {"service": ("[", "]"), "database": ("[(", ")]"), "entry": ("([", "])")}
"""Mermaid's brackets per kind of node."""


def overview(topology: Topology, flows: Iterable[Graph]) -> dict[str, Any]:
    """Puts the application and the flows beside it into one graph.

    Args:
        topology: The application.
        flows: Graphs of its flows.

    Returns:
        A graph whose nodes have the baseline's version first, then those of the flows.
    """
    versions: dict[str, list[dict[str, Any]]] = {}
    for flow in flows:
        for node in flow["nodes"]:
            known = versions.setdefault(node["id"], [])
            known += [version for version in node["versions"] if version not in known]
    nodes: list[dict[str, Any]] = []
    edges: list[dict[str, str]] = []
    for entry in topology.entries:
        nodes.append(_node("entry", entry.host, {"host": entry.host}))
        edges.append(_edge(f"entry/{entry.host}", f"service/{entry.service}", "enters"))
    for name, service in sorted(topology.services.items()):
        place = {} if service.namespace is None else {"namespace": service.namespace}
        nodes.append({**_node("service", name, {}), **place})
        edges += [_edge(f"service/{name}", f"service/{other}", "calls") for other in service.depends_on]
        edges += [_edge(f"service/{name}", f"database/{use.database}", "uses") for use in service.databases]
        edges += [
            _edge(f"service/{name}", f"service/{topology.store_service(use.store)}", "uses")
            for use in service.stores
        ]
    for name, database in sorted(topology.databases.items()):
        nodes.append(_node("database", name, {"branch": database.parent or ""}))
    for node in nodes:
        node["versions"] = versions.get(node["id"]) or node["versions"]
    return {
        "schemaVersion": SCHEMA_VERSION,
        "application": topology.application,
        "nodes": nodes,
        "edges": edges,
    }


def table(graph: Graph) -> Table:
    """Draws a graph as a table, one line per node and version.

    Args:
        graph: The graph.
    """
    result = Table(title=graph["application"], title_justify="left")
    for column in ("kind", "name", "version", "what", "goes to"):
        result.add_column(column, overflow="fold")
    names = {node["id"]: node["name"] for node in graph["nodes"]}
    for node in graph["nodes"]:
        targets = [names[edge["to"]] for edge in graph["edges"] if edge["from"] == node["id"]]
        first, *others = node["versions"]
        result.add_row(
            node["kind"], _title(node), first["version"], _what(first), ", ".join(dict.fromkeys(targets))
        )
        for version in others:
            result.add_row("", "", version["version"], _what(version), "")
    return result


def mermaid(graph: Graph) -> str:
    """Draws a graph as a Mermaid flowchart.

    Args:
        graph: The graph.
    """
    lines = ["flowchart LR"]
    for node in graph["nodes"]:
        opening, closing = SHAPES[node["kind"]]
        text = [
            _title(node),
            *(
                f"{version['version']}: {what}" if (what := _what(version)) else version["version"]
                for version in node["versions"]
            ),
        ]
        lines.append(f'  {_identifier(node["id"])}{opening}"{"<br/>".join(map(_quoted, text))}"{closing}')
    for edge in graph["edges"]:
        lines.append(f"  {_identifier(edge['from'])} {ARROWS[edge['kind']]} {_identifier(edge['to'])}")
    return "\n".join(lines)


def _title(node: Mapping[str, Any]) -> str:
    return f"{node['name']} ({node['namespace']})" if "namespace" in node else str(node["name"])


def _what(version: Mapping[str, str]) -> str:
    for key in ("image", "branch", "host"):
        if version.get(key):
            return version[key]
    return ""


def _identifier(node: str) -> str:
    # The node's characters other than letters and digits by their numbers: two nodes never share one.
    return re.sub(r"[^A-Za-z0-9]", lambda match: f"_{ord(match[0]):x}_", node)


def _quoted(text: str) -> str:
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;").replace(">", "&gt;")


def _node(kind: str, name: str, facts: Mapping[str, str]) -> dict[str, Any]:
    return {
        "id": f"{kind}/{name}",
        "kind": kind,
        "name": name,
        "versions": [{"version": "baseline", **facts}],
    }


def _edge(source: str, target: str, kind: str) -> dict[str, str]:
    return {"from": source, "to": target, "kind": kind}
