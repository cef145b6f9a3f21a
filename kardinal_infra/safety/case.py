"""What safety rules judge: the cluster as it is, and what one flow would add to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from kardinal_infra.forking import DatabaseEnv, StoreEnv
from kardinal_infra.model.names import Owner
from kardinal_infra.model.topology import Topology
from kardinal_infra.observed.live import LiveObjects, Object, containers, name_of, pod_template
from kardinal_infra.routing.key import DEFAULT_KEY, Key
from kardinal_infra.routing.public_hosts import PublicHost, production_host
from kardinal_infra.routing.retarget import Targets


@dataclass(frozen=True)
class ProposedFork:
    """One fork, as manifests.

    Attributes:
        service: Name of the baseline service.
        path: Where config or topology speaks of it.
        baseline: The live workload that it is made from, with its `kind`.
        workload: Manifest of the fork's Deployment or StatefulSet.
        service_manifest: Manifest of the fork's Service; None for a worker without ports.
        databases: Branched databases that it uses.
        stores: Fresh stores that it uses.
        requested_env: Names of the variables that the flow sets in that container.
        policies: Manifests of the policies that are made for it.
    """

    service: str
    path: str
    baseline: Object = field(repr=False)
    workload: Object = field(repr=False)
    service_manifest: Object | None = field(default=None, repr=False)
    databases: tuple[DatabaseEnv, ...] = ()
    stores: tuple[StoreEnv, ...] = ()
    requested_env: frozenset[str] = frozenset()
    policies: tuple[Object, ...] = field(default=(), repr=False)

    @property
    def title(self) -> str:
        """The baseline's workload as `Kind name`."""
        return f"{self.baseline['kind']} {name_of(self.baseline)}"

    @property
    def name(self) -> str:
        """Name of the fork."""
        return name_of(self.workload)

    @property
    def template(self) -> Object:
        """The fork's pod template."""
        return pod_template(self.workload)

    @property
    def labels(self) -> Mapping[str, str]:
        """Labels of the fork's pods."""
        return (self.template.get("metadata") or {}).get("labels") or {}

    def containers(self) -> Iterator[Object]:
        """Yields the fork's init containers, then its containers."""
        return containers(self.template)


@dataclass(frozen=True)
class Case:
    """A flow before it is made.

    Attributes:
        live: The cluster.
        topology: The application.
        flow: Flow id.
        forks: Everything that would be forked, whether or not it was asked for.
        routes: Manifests of all mesh routes of the flow (HTTPRoutes; other dialects as they write them).
        entries: Manifests of the routes of its public hosts.
        key: Config key for paths, e.g. `kardinal:flow`.
        requested: Services that the flow's config names.
        locked: Names of services whose forks get the egress lock.
        routing_key: What carries flows.
        refused_ports: Services and ports of which the plan says by itself why they cannot be routed.
    """

    live: LiveObjects = field(repr=False)
    topology: Topology = field(repr=False)
    flow: str
    forks: tuple[ProposedFork, ...]
    routes: tuple[Mapping[str, Any], ...] = field(default=(), repr=False)
    entries: tuple[Mapping[str, Any], ...] = field(default=(), repr=False)
    key: str = "kardinal:flow"
    requested: frozenset[str] = frozenset()
    locked: frozenset[str] = frozenset()
    routing_key: Key = DEFAULT_KEY
    refused_ports: frozenset[tuple[str, int]] = frozenset()

    def service_path(self, name: str) -> str:
        """Path of a service: in the flow's config when it is requested there, else in the topology.

        Args:
            name: Name of the service.
        """
        return f"{self.key if name in self.requested else 'topology'}.services.{name}"

    def home(self, service: str) -> str:
        """Returns the namespace of a service, and of its fork.

        Args:
            service: Name of the service.
        """
        return self.topology.homes[service]

    def targets(self, service: str) -> Targets:
        """Returns where the flow's requests to a service go.

        Args:
            service: Name of the service.
        """
        owner = Owner("", self.topology.namespace, self.flow)
        return Targets.of(self.topology, owner, service, self._fork_names, self.routing_key)

    def live_of(self, service: str) -> LiveObjects:
        """Returns the cluster as it is in the namespace of a service.

        Args:
            service: Name of the service.
        """
        return self.live.of(self.home(service))

    def forked(self) -> frozenset[str]:
        """Returns the names of the forked services."""
        return self._forked

    def fresh(self) -> frozenset[str]:
        """Returns the stores of which the flow has a fresh one: those whose own service is forked."""
        return self._fresh

    def fresh_services(self) -> frozenset[str]:
        """Returns the services of the fresh stores: nothing is routed to their forks."""
        return self._fresh_services

    @cached_property
    def _fork_names(self) -> Mapping[str, str]:
        """Fork by service, once for all: where everything is forked it is as large as the application."""
        return {fork.service: fork.name for fork in self.forks}

    @cached_property
    def production_hosts(self) -> tuple[PublicHost, ...]:
        """The production hosts of the application's entries."""
        return tuple(production_host(self.topology, self.live, entry) for entry in self.topology.entries)

    @cached_property
    def routed_ports(self) -> frozenset[int]:
        """Ports of forked services that are routed."""
        services = (self.topology.services[name] for name in self._forked)
        return frozenset(port.port for service in services for port in service.routed_ports)

    @cached_property
    def _forked(self) -> frozenset[str]:
        return frozenset(fork.service for fork in self.forks)

    @cached_property
    def _fresh(self) -> frozenset[str]:
        stores = self.topology.stores
        return frozenset(name for name in stores if self.topology.store_service(name) in self._forked)

    @cached_property
    def _fresh_services(self) -> frozenset[str]:
        return frozenset(map(self.topology.store_service, self._fresh))
