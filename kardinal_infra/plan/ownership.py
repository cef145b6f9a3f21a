"""Whether the names that a flow needs are free: its id, its objects, its hosts.

Fact: docs/facts/kubernetes-plugin.md#a-create-is-a-plain-post.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kardinal_infra.errors import Problem
from kardinal_infra.model.names import Owner, host_problem
from kardinal_infra.model.topology import Topology
from kardinal_infra.observed.index import grouped
from kardinal_infra.observed.live import (
    LiveObjects,
    Object,
    flow_of,
    name_of,
    namespace_of,
    owner_of,
    spec_of,
)

_LISTED = 3


def taken_flow(live: LiveObjects, owner: Owner, path: str) -> Iterator[Problem]:
    """Finds objects of this flow that another stack made.

    Args:
        live: The snapshot.
        owner: Stack and flow.
        path: Path of the flow id, for the message.
    """
    foreign: dict[str, set[str]] = {}
    for snapshot in live.everywhere():
        for item in snapshot.of_flow(str(owner.flow)):
            if owner_of(item) != owner.stack:
                foreign.setdefault(owner_of(item), set()).add(f"{item['kind']} {name_of(item)}")
    for stack, objects in foreign.items():
        holder = f'stack "{stack}"' if stack else "somebody who left no name"
        more = f" and {len(objects) - _LISTED} more" if len(objects) > _LISTED else ""
        listed = ", ".join(sorted(objects)[:_LISTED])
        yield Problem(path, f'flow "{owner.flow}" is taken by {holder} ({listed}{more}); choose another id')


def taken_names(
    live: LiveObjects, owner: Owner, manifests: list[Mapping[str, Any]], path: str
) -> Iterator[Problem]:
    """Finds objects that have the name of one of the flow's but belong to something else.

    Args:
        live: The snapshot.
        owner: Stack and flow.
        manifests: Objects that the flow will make, with kind, and name and namespace in their metadata.
        path: Path of the flow id, for the message.
    """
    existing = {snapshot.namespace: _by_place(snapshot) for snapshot in live.everywhere()}
    for manifest in manifests:
        kind, name, namespace = manifest["kind"], name_of(manifest), namespace_of(manifest)
        for item in existing[namespace].get((kind, name), ()):
            # The flow's own id under another stack is reported once, as a taken flow.
            if flow_of(item) != owner.flow:
                whose = f'flow "{flow_of(item)}"' if flow_of(item) else "something else"
                where = "" if namespace == owner.namespace else f" in namespace {namespace}"
                message = f'{kind} "{name}" exists{where} and belongs to {whose}; choose another id'
                yield Problem(path, message)


def _by_place(live: LiveObjects) -> dict[tuple[str, str], list[Object]]:
    """Objects of the namespace by kind and name."""
    own = (
        *(("Service", item) for item in live.services),
        *(("Deployment", item) for item in live.deployments),
        *(("StatefulSet", item) for item in live.statefulsets),
    )
    others = (
        *(("HTTPRoute", item) for item in live.http_routes),
        *(("GRPCRoute", item) for item in live.grpc_routes),
        *(("VirtualService", item) for item in live.virtual_services),
        *((item["kind"], item) for item in live.policies),
    )
    here = ((kind, item) for kind, item in others if namespace_of(item) == live.namespace)
    return grouped(((kind, name_of(item)), item) for kind, item in (*own, *here))


def host_problems(live: LiveObjects, owner: Owner, topology: Topology, path: str) -> Iterator[Problem]:
    """Finds hosts of the flow that are no host names or lead elsewhere.

    Args:
        live: The snapshot.
        owner: Stack and flow.
        topology: The application.
        path: Path of the flow id, for the message.
    """
    production = {entry.host for entry in topology.entries}
    for entry in topology.entries:
        host = topology.flow_host(entry, str(owner.flow))
        if problem := host_problem(host):
            yield Problem(path, f'the host of entry "{entry.service}" cannot be made: {problem}')
        if host in production:
            yield Problem(path, f'host "{host}" would be a production host; choose another id')
        istio = topology.gateway.kind == "istio"
        kind, field = ("VirtualService", "hosts") if istio else ("HTTPRoute", "hostnames")
        for route in live.virtual_services if istio else live.http_routes:
            if host in (spec_of(route).get(field) or ()) and flow_of(route) != owner.flow:
                taken_by = f"{kind} {namespace_of(route)}/{name_of(route)}"
                yield Problem(path, f'host "{host}" is taken by {taken_by}; choose another id')
