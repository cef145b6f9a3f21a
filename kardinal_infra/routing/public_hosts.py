"""What answers for a public host already, and where a route for it has to hang."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from kardinal_infra.model.names import LABEL_MANAGED_BY, MANAGED_BY, Owner
from kardinal_infra.model.topology import Entry, Gateway, Topology
from kardinal_infra.observed.gateways import Home, Listener, host_rank, listeners_for
from kardinal_infra.observed.live import LiveObjects, Object, flow_of, name_of, namespace_of, spec_of
from kardinal_infra.observed.routes import age, rules_of
from kardinal_infra.observed.virtual_services import gateways_named, gateways_of
from kardinal_infra.routing.entries import entry_route
from kardinal_infra.routing.gateway_api.host import is_redirect
from kardinal_infra.routing.istio.host import gateway_reference
from kardinal_infra.routing.key import DEFAULT_KEY, Key
from kardinal_infra.routing.retarget import Targets

_GROUP = "gateway.networking.k8s.io"


@dataclass(frozen=True)
class PublicHost:
    """A host at the application's Gateway.

    Attributes:
        gateway: The topology's words about the Gateway.
        live: The snapshot.
        host: The host.
        namespace: Where a route of it would be: the namespace of the entry's service.
    """

    gateway: Gateway
    live: LiveObjects
    host: str
    namespace: str

    @cached_property
    def found(self) -> Object | None:
        """The Gateway; None when it is not there, or may not be read."""
        items = self.live.istio_gateways if self.gateway.kind == "istio" else self.live.gateways
        wanted = (self.gateway.namespace, self.gateway.name)
        return next((item for item in items if (namespace_of(item), name_of(item)) == wanted), None)

    @cached_property
    def listeners(self) -> Sequence[Listener]:
        """The Gateway's listeners, each with what it thinks of the host; none where it is not known."""
        if self.found is None or "spec" not in self.found:
            return ()
        home = Home(self.namespace, self.live.of(self.namespace).namespace_labels)
        return listeners_for(self.gateway, self.found, self.host, home)

    @cached_property
    def serving(self) -> Sequence[Listener]:
        """The listeners through which the host's URL leads."""
        taking = [item for item in self.listeners if item.obstacle is None]
        # Where TLS ends before the Gateway, none has the URL's scheme.
        return [item for item in taking if item.scheme == self.gateway.scheme] or taking

    @cached_property
    def routes(self) -> Sequence[Object]:
        """Routes of the user's, of any namespace, that answer for the host's URL now; oldest first.

        Those with the closest host name count: a Gateway asks no others.
        """
        serving = self.serving if self.listeners else None
        return self._closest(item for item in self._users if self._attached(item, serving))

    @cached_property
    def answering(self) -> Sequence[Object]:
        """The same for all listeners of the Gateway, those without TLS among them."""
        return self._closest(item for item in self._users if self._attached(item, self.listeners or None))

    @property
    def own(self) -> Sequence[Object]:
        """Those of the host's namespace, whose rules can be copied for another host.

        Raises:
            ValueError: They hang on different listeners, and nothing says which of them the URL leads to.
        """
        own = [item for item in self.routes if namespace_of(item) == self.namespace]
        sections = {
            ref["sectionName"] for item in own for ref in self._references(item) if "sectionName" in ref
        }
        if not self.listeners and len(sections) > 1:
            raise ValueError(
                f"the routes of {self.host} hang on several listeners ({', '.join(sorted(sections))}): say"
                " which one by gateway.existing.listener in the baseline stack"
            )
        return own

    @property
    def sections(self) -> tuple[str, ...]:
        """Listeners that a route for the host has to name; none: the Gateway as a whole.

        A listener that only redirects the host, as of http to https, is left to the user's redirect.
        """
        if self.gateway.kind == "istio":
            return ()  # a VirtualService hangs on all servers of a Gateway
        if self.gateway.listener is not None:
            return (self.gateway.listener,)
        taking = [item for item in self.listeners if item.obstacle is None]
        left = [item for item in taking if item in self.serving or not self._redirected(item)]
        return () if len(left) == len(taking) else tuple(item.name for item in left)

    @cached_property
    def _users(self) -> list[Object]:
        items = self.live.virtual_services if self.gateway.kind == "istio" else self.live.gateway_routes
        return [
            item
            for item in items
            if flow_of(item) is None
            and (item.get("metadata", {}).get("labels") or {}).get(LABEL_MANAGED_BY) != MANAGED_BY
        ]

    def _redirected(self, listener: Listener) -> bool:
        taking = self._closest(item for item in self._users if self._attached(item, [listener]))
        return bool(taking) and all(is_redirect(rule) for item in taking for rule in rules_of(item))

    def _closest(self, items: Iterator[Object]) -> list[Object]:
        ranked = [(rank, item) for item in items if (rank := host_rank(_hosts(item), self.host)) is not None]
        best = max((rank for rank, _ in ranked), default=0)
        return sorted((item for rank, item in ranked if rank == best), key=age)

    def _attached(self, item: Object, listeners: Sequence[Listener] | None) -> bool:
        if self.gateway.kind == "istio":
            return gateway_reference(self.gateway) in gateways_named(gateways_of(item), namespace_of(item))
        for ref in self._references(item):
            section, port = ref.get("sectionName"), ref.get("port")
            if listeners is None:
                if self.gateway.listener is None or section in (None, self.gateway.listener):
                    return True
            elif any(section in (None, found.name) and port in (None, found.port) for found in listeners):
                return True
        return False

    def _references(self, route: Object) -> Iterator[Mapping[str, Any]]:
        for ref in spec_of(route).get("parentRefs") or ():
            kind = ref.get("group", _GROUP), ref.get("kind", "Gateway")
            where = ref.get("namespace") or namespace_of(route)
            if kind == (_GROUP, "Gateway") and (where, ref["name"]) == (
                self.gateway.namespace,
                self.gateway.name,
            ):
                yield ref


def production_host(topology: Topology, live: LiveObjects, entry: Entry) -> PublicHost:
    """Returns the production host of an entry.

    Args:
        topology: The application.
        live: The snapshot.
        entry: One of its entries.
    """
    return PublicHost(topology.gateway, live, entry.host, topology.homes[entry.service])


def flow_host(topology: Topology, live: LiveObjects, entry: Entry, flow: str) -> PublicHost:
    """Returns the host of a flow at an entry.

    Args:
        topology: The application.
        live: The snapshot.
        entry: One of its entries.
        flow: Flow id.
    """
    return replace(production_host(topology, live, entry), host=topology.flow_host(entry, flow))


def flow_entry(
    topology: Topology,
    live: LiveObjects,
    owner: Owner,
    index: int,
    forks: Mapping[str, str],
    key: Key = DEFAULT_KEY,
) -> dict[str, Any]:
    """Makes the route of a flow's host at an entry.

    Args:
        topology: The application.
        live: The snapshot.
        owner: Stack and flow.
        index: Index of the entry.
        forks: Fork by service.
        key: What carries the flow.

    Returns:
        As `entry_route`.

    Raises:
        ValueError: The rules of the production host cannot be copied.
    """
    entry, flow = topology.entries[index], str(owner.flow)
    return entry_route(
        Targets.of(topology, owner, entry.service, forks, key),
        topology.gateway,
        topology.flow_host(entry, flow),
        topology.entry_port(entry),
        topology.entry_part(index),
        production=production_host(topology, live, entry).own,
        listeners=flow_host(topology, live, entry, flow).sections,
    )


def _hosts(item: Object) -> Sequence[str]:
    spec = spec_of(item)
    return spec.get("hostnames") or spec.get("hosts") or ()
