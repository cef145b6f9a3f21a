"""The egress lock: which connections the pods of a fork may open, and nothing else.

A `Sidecar` with REGISTRY_ONLY and an explicit list of hosts closes everything else for what goes through the
proxy. What each part does was seen on a mesh (docs/facts/mesh.md#the-egress-lock):

- `./*` instead of a list would leave a parent database that runs in the cluster open
  (docs/facts/mesh.md#a-list-of-hosts-not-the-whole-namespace).
- A ServiceEntry of plain TCP without `addresses` takes over its port for every address. It therefore gets a
  port that nobody else uses: whoever connects to that port reaches the branch and nothing else, and the
  database's own port stays closed (docs/facts/mesh.md#serviceentries-of-plain-tcp).
- Init containers run before a classic sidecar: the fork asks for a native one.

It contains mistakes (a hard-coded host, an old Secret), not an image that wants to get out: UDP, and a
process that runs as the proxy's own user, are not captured. A connection that is open when the lock comes
lives on for a while (docs/facts/mesh.md#open-connections-outlive-a-lock).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from kardinal_infra.config import Destination
from kardinal_infra.forking.spec import ForkSpec
from kardinal_infra.model.names import Owner, ServiceRef, shorten

BRANCH_PORTS = (28200, 28967)
"""Ports from which each branch gets one of its own.

All pods of the namespace see a branch's port. None of these is registered for anything that applications dial
(as 15672 is, or 27017), so nobody who does not know the branch connects to them.
"""

_API = "networking.istio.io/v1"
_INTERNAL = "kardinal.internal"
_NO_ADDRESSES = {"galley.istio.io/analyze-suppress": "IST0134"}
"""A branch's port alone tells it apart: the analyzer need not ask for addresses."""


def branch_port(flow: str, database: str) -> int:
    """Port that leads locked forks to a branch.

    Args:
        flow: Flow id.
        database: Key in the topology's `databases`.

    Returns:
        One of `BRANCH_PORTS`, the same on every run. Two flows may share one: each fork's Sidecar imports its
        own flow's entries only.
    """
    first, last = BRANCH_PORTS
    digest = hashlib.sha256(f"{flow}/{database}".encode()).digest()
    return first + int.from_bytes(digest[:4], "big") % (last - first + 1)


def branch_ports(flow: str, databases: Sequence[str]) -> dict[str, int]:
    """Gives every branch of a flow a port of its own.

    Args:
        flow: Flow id.
        databases: Keys in the topology's `databases`.
    """
    first, last = BRANCH_PORTS
    ports: dict[str, int] = {}
    for database in sorted(databases):
        port = branch_port(flow, database)
        while port in ports.values():
            port = first + (port - first + 1) % (last - first + 1)
        ports[database] = port
    return ports


def branch_host(flow: str, database: str) -> str:
    """Name under which the mesh knows a branch; nobody resolves it.

    Args:
        flow: Flow id.
        database: Key in the topology's `databases`.
    """
    return f"{database}.{flow}.{_INTERNAL}"


def locked_hosts(
    owner: Owner, services: Iterable[ServiceRef], databases: Iterable[str], allowed: Iterable[Destination]
) -> list[str]:
    """Lists what locked forks may reach, as a Sidecar names it.

    Args:
        owner: Stack, flow, and the namespace of what is allowed without one.
        services: The Services that they may call, their flow's forks included.
        databases: Branched databases of the flow.
        allowed: What else they may reach.
    """
    hosts = {_service_host(*service) for service in services}
    hosts |= {f"./{branch_host(str(owner.flow), name)}" for name in databases}
    for item in allowed:
        if item.kind == "service":
            hosts.add(_service_host(item.namespace or owner.namespace, item.host))
        else:
            hosts.add(f"./{_entry_host(item)}")
    return sorted(hosts)


def lock_sidecar(spec: ForkSpec, hosts: Sequence[str]) -> dict[str, Any]:
    """Makes the Sidecar that locks a fork.

    Args:
        spec: The fork.
        hosts: As `locked_hosts` lists them.

    Returns:
        The manifest.
    """
    return {
        "apiVersion": _API,
        "kind": "Sidecar",
        "metadata": spec.owner.metadata(shorten(f"{spec.name}-lock"), spec.service),
        "spec": {
            "workloadSelector": {"labels": spec.selector},
            "outboundTrafficPolicy": {"mode": "REGISTRY_ONLY"},
            "egress": [{"hosts": hosts}],
        },
    }


def allowed_entries(owner: Owner, allowed: Sequence[Destination]) -> list[dict[str, Any]]:
    """Makes the ServiceEntries of an allow list; Services of the cluster need none.

    Args:
        owner: Stack, namespace and flow.
        allowed: The allow list.

    Returns:
        One manifest per host or address.
    """
    return [_allowed_entry(owner, item) for item in allowed if item.kind != "service"]


def branch_entry(owner: Owner, database: str, port: int, host: str, target: int) -> dict[str, Any]:
    """Makes the ServiceEntry that leads to a branch.

    Args:
        owner: Stack, namespace and flow.
        database: Key in the topology's `databases`.
        port: The branch's own port in the mesh.
        host: Where the branch listens: a name or an IPv4 address.
        target: Port there.

    Returns:
        The manifest.
    """
    flow = str(owner.flow)
    is_address = host.replace(".", "").isdigit()
    spec = {
        "hosts": [branch_host(flow, database)],
        "ports": [{"number": port, "name": "tcp-branch", "protocol": "TCP"}],
        "location": "MESH_EXTERNAL",
        "resolution": "STATIC" if is_address else "DNS",
        "endpoints": [{"address": host, "ports": {"tcp-branch": target}}],
        "exportTo": ["."],
    }
    return _entry(owner, f"{database}-{flow}-branch", spec, _NO_ADDRESSES)


def _allowed_entry(owner: Owner, item: Destination) -> dict[str, Any]:
    protocol = {"tls": "TLS", "http": "HTTP", "tcp": "TCP"}[item.kind]
    spec: dict[str, Any] = {
        "hosts": [_entry_host(item)],
        "ports": [{"number": item.port, "name": f"{item.kind}-{item.port}", "protocol": protocol}],
        "location": "MESH_EXTERNAL",
        "resolution": "NONE" if item.kind == "tcp" else "DNS",
        "exportTo": ["."],
    }
    if item.kind == "tcp":
        spec["addresses"] = [item.host]
    return _entry(owner, f"{owner.flow}-{_slug(item)}", spec)


def _entry(
    owner: Owner, name: str, spec: dict[str, Any], annotations: Mapping[str, str] | None = None
) -> dict[str, Any]:
    metadata = owner.metadata(shorten(name), annotations=annotations)
    return {"apiVersion": _API, "kind": "ServiceEntry", "metadata": metadata, "spec": spec}


def _entry_host(item: Destination) -> str:
    # One of an address has to have some name; two ports of a host are two entries of one name.
    return f"{_slug(item)}.{_INTERNAL}" if item.kind == "tcp" else item.host


def _slug(item: Destination) -> str:
    return f"{item.host.replace('.', '-').replace('/', '-')}-{item.port}"


def _service_host(namespace: str, name: str) -> str:
    return f"{namespace}/{name}.{namespace}.svc.cluster.local"
