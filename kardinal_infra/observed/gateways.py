"""Which listeners of a Gateway take a public host, and why the others do not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kardinal_infra.model.topology import Gateway
from kardinal_infra.observed.live import Object, namespace_of, spec_of
from kardinal_infra.observed.selectors import matches

NAME_LABEL = "kubernetes.io/metadata.name"
"""Label of every namespace, with its name."""

_REACHING = frozenset({"SIMPLE", "MUTUAL", "OPTIONAL_MUTUAL"})
"""Modes of TLS in which an Istio Gateway sees requests."""


@dataclass(frozen=True)
class Home:
    """Where a route would be.

    Attributes:
        namespace: Its namespace.
        labels: The namespace's labels; only its name where they may not be read.
    """

    namespace: str
    labels: Mapping[str, str]


@dataclass(frozen=True)
class Listener:
    """A listener, or a server of an Istio Gateway, as a host meets it.

    Attributes:
        name: Its name; of an Istio server its port's.
        port: Its port.
        scheme: `http`, `https`, or another protocol.
        obstacle: Why it does not take the host from a route there; None if it does.
    """

    name: str
    port: int
    scheme: str
    obstacle: str | None


def listeners_for(gateway: Gateway, found: Object, host: str, home: Home) -> list[Listener]:
    """Judges the listeners of a live Gateway.

    Args:
        gateway: The topology's words about it; where they name a listener, only that counts.
        found: The live object.
        host: A public host.
        home: Where its route would be.

    Returns:
        All of them.
    """
    if gateway.kind == "istio":
        return [_of_server(server, found, host, home) for server in spec_of(found).get("servers") or ()]
    return [_of_listener(item, gateway, found, host, home) for item in spec_of(found).get("listeners") or ()]


def host_rank(patterns: Sequence[str], host: str) -> int | None:
    """Says how closely patterns name a host.

    Args:
        patterns: Hosts, with `*` or `*.` in front; none stands for every host.
        host: A host.

    Returns:
        More for a closer pattern, the most for the host itself; None when they do not name it. Requests only
        meet the routes with the closest pattern.
    """
    ranks = [rank for pattern in patterns or ("*",) if (rank := _rank(pattern, host)) is not None]
    return max(ranks, default=None)


def _rank(pattern: str, host: str) -> int | None:
    if pattern == host:
        return len(host) + 1
    if pattern.startswith("*") and host.endswith(pattern[1:]):
        return len(pattern)
    return None


def _of_listener(item: Mapping[str, Any], gateway: Gateway, found: Object, host: str, home: Home) -> Listener:
    scheme = str(item["protocol"]).lower()
    return Listener(
        str(item["name"]),
        int(item["port"]),
        scheme,
        next(_listener_obstacles(item, scheme, gateway, found, host, home), None),
    )


def _listener_obstacles(
    item: Mapping[str, Any], scheme: str, gateway: Gateway, found: Object, host: str, home: Home
) -> Iterator[str]:
    if gateway.listener not in (None, item["name"]):
        yield "is not the one that gateway.existing.listener names"
    if scheme not in ("http", "https"):
        yield f"is for {item['protocol']}"
    allowed = item.get("allowedRoutes") or {}
    kinds = allowed.get("kinds") or ()
    if kinds and all(kind["kind"] != "HTTPRoute" for kind in kinds):
        yield "allows no HTTPRoutes"
    if not _allows(allowed.get("namespaces") or {}, namespace_of(found), home):
        yield f"does not allow routes of namespace {home.namespace}"
    if item.get("hostname") and host_rank([item["hostname"]], host) is None:
        yield f"is for {item['hostname']}"


def _allows(namespaces: Mapping[str, Any], own: str, home: Home) -> bool:
    rule = namespaces.get("from", "Same")
    if rule == "Selector":
        selector = namespaces.get("selector") or {}
        asked = {*(selector.get("matchLabels") or ())}
        asked |= {item["key"] for item in selector.get("matchExpressions") or ()}
        # Without leave to read the namespace only its name is known; then the route's condition tells.
        unread = asked - {NAME_LABEL} and set(home.labels) <= {NAME_LABEL}
        return bool(unread) or matches(selector, home.labels)
    return rule == "All" or (rule == "Same" and own == home.namespace)


def _of_server(server: Mapping[str, Any], found: Object, host: str, home: Home) -> Listener:
    port = server["port"]
    protocol = str(port["protocol"])
    encrypted = protocol.upper() == "HTTPS"
    return Listener(
        str(port.get("name") or port["number"]),
        int(port["number"]),
        "https" if encrypted else "http",
        next(_server_obstacles(server, protocol, found, host, home), None),
    )


def _server_obstacles(
    server: Mapping[str, Any], protocol: str, found: Object, host: str, home: Home
) -> Iterator[str]:
    tls = server.get("tls") or {}
    if protocol.upper() not in ("HTTP", "HTTPS", "HTTP2", "GRPC", "GRPC-WEB"):
        yield f"is for {protocol}"
    if protocol.upper() == "HTTPS" and tls.get("mode", "PASSTHROUGH") not in _REACHING:
        yield "passes TLS through, and so sees no requests"
    if tls.get("httpsRedirect"):
        yield "redirects to https"
    hosts = [_split(item, namespace_of(found)) for item in server.get("hosts") or ()]
    if all(_rank(pattern, host) is None for _, pattern in hosts):
        yield f"is for {', '.join(server.get('hosts') or ()) or 'no host'}"
    elif all(_rank(pattern, host) is None for where, pattern in hosts if where in ("*", home.namespace)):
        yield f"takes no VirtualService of namespace {home.namespace}"


def _split(item: str, own: str) -> tuple[str, str]:
    """Namespace and host: `./` stands for the Gateway's own namespace."""
    namespace, slash, host = item.rpartition("/")
    return ("*" if not slash else own if namespace == "." else namespace), host
