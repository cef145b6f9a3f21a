"""What all parts of planning share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kardinal_infra.config import FlowConfig
from kardinal_infra.live import LiveObjects
from kardinal_infra.names import Owner
from kardinal_infra.topology import Handover, Topology


@dataclass(frozen=True)
class Context:
    """The input of planning.

    Attributes:
        topology: The application.
        config: The flow.
        live: The snapshot.
        owner: Stack, namespace and flow.
        handovers: Hand-over by branched database.
        key: Config key for paths.
    """

    topology: Topology
    config: FlowConfig
    live: LiveObjects
    owner: Owner
    handovers: Mapping[str, Handover]
    key: str

    def service_path(self, name: str) -> str:
        """Path of a service: in the flow's config when it is requested there, else in the topology.

        Args:
            name: Name of the service.
        """
        return f"{self.key if name in self.config.services else 'topology'}.services.{name}"
