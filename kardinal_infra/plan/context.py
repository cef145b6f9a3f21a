"""What all parts of planning share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from kardinal_infra.config import Capabilities, Egress, FlowConfig
from kardinal_infra.forking import BranchSecret
from kardinal_infra.model.names import Owner
from kardinal_infra.model.topology import Handover, Topology
from kardinal_infra.observed.live import LiveObjects


@dataclass(frozen=True)
class Context:
    """The input of planning.

    Attributes:
        topology: The application.
        config: The flow.
        live: The snapshot.
        owner: Stack, the application's namespace, and flow.
        handovers: Hand-over by branched database.
        key: Config key for paths.
        fresh: Stores of which the flow gets a new, empty one.
        capabilities: What the backends of branched databases can do, by database; without those that are not
            known.
    """

    topology: Topology
    config: FlowConfig
    live: LiveObjects
    owner: Owner
    handovers: Mapping[str, Handover]
    key: str
    fresh: frozenset[str] = frozenset()
    capabilities: Mapping[str, Capabilities] = field(default_factory=dict)

    @cached_property
    def egress(self) -> Egress:
        """Which connections the forks may open: the flow's word, else the baseline's."""
        return self.topology.egress if self.config.egress is None else self.config.egress

    @property
    def egress_path(self) -> str:
        """Where it is said."""
        return f"{'topology' if self.config.egress is None else self.key}.egress"

    @cached_property
    def fresh_services(self) -> frozenset[str]:
        """Services behind which the fresh stores run."""
        return frozenset(map(self.topology.store_service, self.fresh))

    @cached_property
    def branch_secrets(self) -> Mapping[str, BranchSecret]:
        """What stands for the Secret of each branched database until it is made."""
        return {database: BranchSecret(database) for database in self.handovers}

    def owner_of(self, service: str) -> Owner:
        """Whose the objects are that the flow adds beside a service.

        Args:
            service: Name of the service.
        """
        return self.owner.at(self.topology.homes[service])

    def service_host(self, service: str, fork: str | None = None) -> str:
        """Name under which every pod of the cluster reaches a service of the application, or its fork.

        Args:
            service: Name of the service.
            fork: Name of its fork; None for the service itself.
        """
        return f"{fork or service}.{self.topology.homes[service]}.svc.cluster.local"

    def service_path(self, name: str) -> str:
        """Path of a service: in the flow's config when it is requested there, else in the topology.

        Args:
            name: Name of the service.
        """
        return f"{self.key if name in self.config.services else 'topology'}.services.{name}"
