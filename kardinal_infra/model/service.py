"""A service of the application, as the `topology` contract describes it."""

from __future__ import annotations

from collections.abc import Collection
from functools import cached_property
from typing import Literal

from pydantic import Field

from kardinal_infra.model.base import DatabaseUse, StrictModel, Text
from kardinal_infra.model.store import StoreUse, Use

Protocol = Literal["http", "grpc", "tcp"]


class Port(StrictModel):
    """A port of a Service.

    Attributes:
        port: Number as callers use it, 1 to 65535.
        protocol: `http` and `grpc` can be routed by header, `tcp` cannot.
    """

    port: int = Field(ge=1, le=65535)
    protocol: Protocol = "http"


class Workload(StrictModel):
    """The workload behind a service, when the Service's selector does not tell.

    Attributes:
        kind: Deployment or StatefulSet.
        name: Name in the application's namespace.
    """

    kind: Literal["Deployment", "StatefulSet"] = "Deployment"
    name: Text


class Service(StrictModel):
    """A service of the application.

    Attributes:
        ports: Ports that callers use; none for a worker.
        depends_on: Services that it calls.
        uses: Databases and stores that it connects to.
        workload: Deployment or StatefulSet behind it; default: found by the Service's selector, for a worker
            the one of the same name.
        container: Container that a flow's image goes into; default: the only one, or the one named like the
            service.
        queues: Environment variables that name the queues, topics or consumer groups that it takes work from;
            a fork must not take production's. Empty: it takes none; None: not known.
        propagates: It passes the routing key of a request on to the services that it calls.
        namespace: Namespace of its Service and workload; default: the application's.
    """

    ports: tuple[Port, ...] = ()
    depends_on: tuple[Text, ...] = ()
    uses: tuple[Use, ...] = ()
    workload: Workload | None = None
    container: Text | None = None
    queues: tuple[Text, ...] | None = None
    propagates: bool = True
    namespace: Text | None = None

    @cached_property
    def routed_ports(self) -> tuple[Port, ...]:
        """Ports whose requests carry headers."""
        return tuple(port for port in self.ports if port.protocol != "tcp")

    @cached_property
    def databases(self) -> tuple[DatabaseUse, ...]:
        """Databases among what it uses."""
        return tuple(use for use in self.uses if isinstance(use, DatabaseUse))

    @cached_property
    def stores(self) -> tuple[StoreUse, ...]:
        """Stores among what it uses."""
        return tuple(use for use in self.uses if isinstance(use, StoreUse))

    def works_on(self, fresh: Collection[str]) -> bool:
        """Says whether all stores that it may take work from are a flow's own.

        Args:
            fresh: Stores of which the flow has a fresh one.
        """
        return bool(self.stores) and all(use.store in fresh for use in self.stores)
