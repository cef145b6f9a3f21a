"""What a probe makes, decided before anything is made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from kardinal_infra.doctor.collector import collector_job, collector_service
from kardinal_infra.doctor.entry import watched_entry
from kardinal_infra.doctor.marks import probe_owner
from kardinal_infra.doctor.routes import probe_routes
from kardinal_infra.doctor.verdict import callees
from kardinal_infra.errors import ConfigError, Problem
from kardinal_infra.model.names import Owner
from kardinal_infra.model.topology import Entry, Topology
from kardinal_infra.observed.live import LiveObjects, namespace_of
from kardinal_infra.observed.virtual_services import claiming
from kardinal_infra.routing import Targets
from kardinal_infra.routing.conflicts import fork_conflicts
from kardinal_infra.routing.dialect import dialect_conflicts
from kardinal_infra.routing.key import DEFAULT_KEY, Key
from kardinal_infra.routing.public_hosts import flow_entry


@dataclass(frozen=True)
class ProbePlan:
    """A probe.

    Attributes:
        owner: Whose its objects are; `owner.flow` is the key.
        entry: Where its request enters.
        host: Its own host at the Gateway.
        jobs: The collectors, one in each namespace with objects of the probe; each owns what is there. A
            mirror leads to the one of its own namespace, for which nobody needs leave.
        objects: Manifests of everything else, what leads requests to the collectors last.
        mute: Why calls of a service cannot be seen, by the called service.
    """

    owner: Owner
    entry: Entry
    host: str
    jobs: tuple[Mapping[str, Any], ...] = field(repr=False)
    objects: tuple[Mapping[str, Any], ...] = field(repr=False)
    mute: Mapping[str, str]

    @property
    def key(self) -> str:
        """The key that the probe's request carries."""
        return str(self.owner.flow)

    @property
    def namespaces(self) -> list[str]:
        """The namespaces with objects of the probe."""
        return [namespace_of(job) for job in self.jobs]


def plan_probe(
    topology: Topology,
    live: LiveObjects,
    key: str,
    image: str,
    *,
    forks: Mapping[str, str] | None = None,
    entry: str | None = None,
    routing_key: Key = DEFAULT_KEY,
) -> ProbePlan:
    """Plans a probe.

    Args:
        topology: The application.
        live: What is on the cluster.
        key: A new key (`marks.new_key`).
        image: Image of the mesh's proxies, for the collector.
        forks: Fork by service, of the flow to look at; default: the baseline is looked at.
        entry: Service to enter by; default: the topology's first entry.
        routing_key: On which carriers the key is watched.

    Returns:
        The plan. A Service whose requests without a key would be touched by a route of ours is left alone and
        is in `mute`.

    Raises:
        ConfigError: The application has no such entry, or its host cannot be routed.
    """
    owner = probe_owner(topology.namespace, key)
    chosen = _entry(topology, entry)
    routes: list[dict[str, Any]] = []
    mute: dict[str, str] = {}
    for name in sorted(topology.downstream([chosen.service])):
        if not any(name in callees(topology, caller) for caller in topology.services):
            continue
        if problem := next(_obstacles(topology, name, live), None):
            mute[name] = problem
            continue
        targets = Targets.of(topology, owner, name, forks or {}, routing_key)
        try:
            made = [
                route
                for port in topology.services[name].routed_ports
                for route in probe_routes(targets, port.port, live.routes)
            ]
        except ValueError as error:
            mute[name] = f"its routes cannot be copied: {error}"
            continue
        routes += made
    host = topology.flow_host(chosen, key)
    routes.append(_entry_route(topology, live, owner, chosen, host, forks or {}, routing_key))
    owners = [owner.at(namespace) for namespace in sorted({namespace_of(route) for route in routes})]
    return ProbePlan(
        owner=owner,
        entry=chosen,
        host=host,
        jobs=tuple(collector_job(each, image, routing_key) for each in owners),
        objects=(*map(collector_service, owners), *routes),
        mute=mute,
    )


def _entry(topology: Topology, service: str | None) -> Entry:
    for entry in topology.entries:
        if service in (None, entry.service):
            return entry
    known = ", ".join(dict.fromkeys(entry.service for entry in topology.entries)) or "none"
    wanted = f'no entry at service "{service}"' if service else "no entry to send a request through"
    raise ConfigError(
        [Problem("topology.entries", f"{topology.application} has {wanted}; its entries: {known}")]
    )


def _obstacles(topology: Topology, name: str, live: LiveObjects) -> Iterator[str]:
    """Why a route on a Service would touch requests without the key, or would not see those with it."""
    namespace = topology.homes[name]
    for conflict in fork_conflicts(namespace, name, topology.services[name], live):
        yield conflict.message
    for conflict in dialect_conflicts(namespace, name, live):
        yield conflict.message
    if claiming(live.virtual_services, namespace, name):
        yield "a VirtualService takes its requests in the mesh, and a route of ours would switch it off"


def _entry_route(
    topology: Topology,
    live: LiveObjects,
    owner: Owner,
    entry: Entry,
    host: str,
    forks: Mapping[str, str],
    routing_key: Key,
) -> dict[str, Any]:
    index = topology.entries.index(entry)
    try:
        made = flow_entry(topology, live, owner, index, forks, routing_key)
    except ValueError as error:
        raise ConfigError(
            [Problem(f"topology.entries[{index}]", f'host "{host}" cannot be routed: {error}')]
        ) from error
    return watched_entry(made, str(owner.flow))
