"""Which backend becomes which fork: decided here, in no dialect's words, for everything that routes a flow.

The mesh's routes, the public hosts and the doctor's probes all ask `Targets`, in both dialects. So a request
to a flow's host reaches no Service that the flow's routes inside the mesh would not have chosen.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from kardinal_infra.model.names import Owner, ServiceRef
from kardinal_infra.model.topology import Topology
from kardinal_infra.routing.key import DEFAULT_KEY, Key


class Backend(NamedTuple):
    """Where a rule sends requests, or some of them.

    Attributes:
        service: The Service; None when it is anything else.
        port: Its port; None where the rule leaves that to the mesh.
        weight: Its share. Nothing goes where it is 0.
    """

    service: ServiceRef | None
    port: int | None
    weight: int


class Chosen(NamedTuple):
    """A fork that takes the place of one or more backends of a rule.

    Attributes:
        fork: Its name; it is in the namespace of the Service that it stands for.
        port: Its port; None as of `Backend`.
        weight: Its share; None when all requests go there.
        backend: Index of the first backend that it takes the place of.
    """

    fork: str
    port: int | None
    weight: int | None
    backend: int


@dataclass(frozen=True)
class Targets:
    """Where a flow's requests to one Service go.

    Attributes:
        owner: Stack, namespace of the Service, and flow.
        service: The Service: forked, or only sending requests on to a forked one; of a public host the one
            that it leads to.
        forks: Fork by service, of this flow; each is in its service's namespace.
        declared: Services of the topology.
        homes: Namespace by service; those that are not in it are in the owner's.
        mirrors: Whether forks get what is mirrored to their services.
        key: What carries the flow.
    """

    owner: Owner
    service: str
    forks: Mapping[str, str]
    declared: Collection[str]
    homes: Mapping[str, str] = field(default_factory=dict)
    mirrors: bool = True
    key: Key = DEFAULT_KEY

    @classmethod
    def of(
        cls,
        topology: Topology,
        owner: Owner,
        service: str,
        forks: Mapping[str, str],
        key: Key = DEFAULT_KEY,
    ) -> Targets:
        """Returns the targets for a service of an application.

        Args:
            topology: The application.
            owner: Stack and flow.
            service: Name of the service.
            forks: Fork by service.
            key: What carries the flow.
        """
        homes = topology.homes
        return cls(owner.at(homes[service]), service, forks, topology.services, homes, key=key)

    @property
    def flow(self) -> str:
        """The flow's id."""
        return str(self.owner.flow)

    def declares(self, service: ServiceRef) -> bool:
        """Says whether a Service is one of the topology's.

        Args:
            service: The Service.
        """
        home = self.homes.get(service.name, self.owner.namespace)
        return service.name in self.declared and service.namespace == home

    def meant_by(self, backends: Iterable[Backend], called: int | None) -> list[Backend | None]:
        """Tells which declared service each backend of a rule is, or is a version of.

        A Service that the topology does not declare, for example a canary, is a version of the one declared
        service of its namespace that stands beside it in the rule, whatever their weights: a rollout ends
        with the service at 0 and the canary at 100. Where none stands there, or several do, it is a version
        of `service`, if it is in the same namespace as that.

        Args:
            backends: All of the rule's, in their order.
            called: Port of `service` that requests are for; None leaves it to the mesh.

        Returns:
            For each backend the declared service, with that one's port in this rule: a version may listen on
            another. None for what is outside of the application.
        """
        written = [*backends]
        declared = {
            item.service: item for item in reversed(written) if item.service and self.declares(item.service)
        }
        return [self._meant(item, declared, called) for item in written]

    def _meant(
        self, backend: Backend, declared: Mapping[ServiceRef, Backend], called: int | None
    ) -> Backend | None:
        service = backend.service
        if service is None or service in declared:
            return backend if service else None
        beside = [item for ref, item in declared.items() if ref.namespace == service.namespace]
        if len(beside) == 1:
            return beside[0]._replace(weight=backend.weight)
        if service.namespace != self.owner.namespace:
            return None
        port = None if backend.port is None else called
        return Backend(ServiceRef(service.namespace, self.service), port, backend.weight)

    def mirror_fork(self, service: ServiceRef | None) -> str | None:
        """Finds the fork that gets what is mirrored to a Service.

        Args:
            service: The Service; None for anything else.

        Returns:
            The fork; None for an undeclared Service and for one without a fork, which get nothing: nobody
            waits for a mirror's answer, so nothing of the flow is lost, and production's services are not
            sent requests of a flow behind its back.
        """
        if service is None or not self.mirrors or not self.declares(service):
            return None
        return self.forks.get(service.name)

    def chosen(self, backends: Iterable[Backend], called: int | None) -> list[Chosen]:
        """Chooses the forks that a rule leads the flow's requests to.

        Requests of a flow take no part in the baseline's split of weights with what is not forked.

        Args:
            backends: All of the rule's, in their order.
            called: Port of `service` that requests are for; None leaves it to the mesh.

        Returns:
            Each fork and port once. Empty when no backend leads to a fork: then requests go where the rule
            sends everybody's.
        """
        found: dict[tuple[str, int | None], tuple[int, int]] = {}
        for index, backend in enumerate(self.meant_by(backends, called)):
            fork = self.forks.get(backend.service.name) if backend and backend.service else None
            if fork is None or backend is None or backend.weight <= 0:
                continue
            target = (fork, backend.port)
            first, weight = found.get(target, (index, 0))
            found[target] = (first, weight + backend.weight)
        alone = len(found) == 1
        return [
            Chosen(fork, port, None if alone else weight, first)
            for (fork, port), (first, weight) in found.items()
        ]
