"""The `topology` contract: what the baseline stack tells about an application, and every flow stack reads.

Exported as plain JSON with camelCase keys under the output `topology`. `schemaVersion` counts incompatible
changes; a flow refuses a baseline of another version.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from functools import cached_property
from typing import Literal, Self

from pydantic import Field, ValidationError

from kardinal_infra.errors import OutputsError
from kardinal_infra.model.base import ConnectionField, StrictModel, Text
from kardinal_infra.model.branch_options import BranchOptions
from kardinal_infra.model.egress import Egress
from kardinal_infra.model.hook import Hook
from kardinal_infra.model.names import ServiceRef
from kardinal_infra.model.service import Service
from kardinal_infra.model.store import Store

SCHEMA_VERSION = 1
"""Version of the contract that this package writes and reads."""

DEFAULT_PORTS = {"http": 80, "https": 443}
"""Port of URLs that name none, by scheme."""

GatewayKind = Literal["gateway-api", "istio"]
Handover = Literal["env", "sidecar"]

DEFAULT_BACKEND = "neon"
"""Branching backend of databases that name none."""


class Entry(StrictModel):
    """A service that is reached from outside.

    Attributes:
        service: Key in `services`.
        host: Production host.
        port: Port of the service; default: its first http or grpc port.
        flow_host: Template of a flow's host with `{flow}`; default: `{flow}.<domain>` with one entry,
            `{flow}-<service>.<domain>` with several.
    """

    service: Text
    host: Text
    port: int | None = Field(default=None, ge=1, le=65535)
    flow_host: Text | None = None


class Migrations(StrictModel):
    """How a database's schema is brought to a flow's version, on the branch, before any fork starts.

    Attributes:
        service: Service whose requested image is run; without a requested image of it nothing runs.
        command: Command of the container.
        environment: Environment variable to the part of the branch's connection that it holds.
    """

    service: Text
    command: tuple[Text, ...] = Field(min_length=1)
    environment: dict[str, ConnectionField] = Field(min_length=1)


class Database(BranchOptions):
    """A database that can be branched; how flows branch it as `BranchOptions`.

    Attributes:
        backend: Who branches it: the name of an installed branching backend.
        project: Where it lives, in the backend's words: for Neon a project, id or name.
        parent: Branch that flows branch from, name or id; default: the project's default branch.
        database: Name of the database in the branch.
        role: Role whose connection the forks get.
        host: Host name that the application uses; needed for the hand-over `sidecar`.
        port: Port that the application uses, for the hand-over `sidecar`; default: the backend's usual one.
        handover: How a fork gets to the branch: `env` (variables) or `sidecar` (PgBouncer in the pod).
        pooler_image: Image for the hand-over `sidecar`.
        migrations: Schema migrations.
    """

    backend: Text = DEFAULT_BACKEND
    project: Text
    parent: Text | None = None
    database: Text
    role: Text
    host: Text | None = None
    port: int | None = Field(default=None, ge=1, le=65535)
    handover: Handover = "env"
    pooler_image: Text | None = None
    migrations: Migrations | None = None


class Gateway(StrictModel):
    """Where requests from outside enter.

    Attributes:
        kind: `gateway-api` (of gateway.networking.k8s.io, the default) or `istio` (of networking.istio.io).
        name: Gateway object.
        namespace: Its namespace.
        listener: Listener to attach to; default: all that allow it.
        scheme: As in URLs.
        port: As in URLs.
        address: `host:port` that a probe connects to; default: the URL's own host.
        certificate_authority: PEM text of the authorities that sign the hosts' certificates, trusted by
            probes besides those that are known everywhere.
    """

    kind: GatewayKind | None = None
    name: Text
    namespace: Text
    listener: Text | None = None
    scheme: Literal["http", "https"] = "http"
    port: int = Field(default=80, ge=1, le=65535)
    address: Text | None = None
    certificate_authority: Text | None = None

    def url(self, host: str) -> str:
        """Returns the URL of a host behind this Gateway.

        Args:
            host: DNS name.
        """
        usual = self.port == DEFAULT_PORTS[self.scheme]
        return f"{self.scheme}://{host}" + ("" if usual else f":{self.port}")


class Topology(StrictModel):
    """An application as its baseline stack describes it.

    Attributes:
        schema_version: Version of this contract.
        application: Name of the application, a DNS label.
        namespace: Namespace of all its services that name no other.
        domain: Flow hosts are made below it.
        gateway: Where its entries are.
        services: By name of the Service.
        entries: Services reached from outside; the first one is a flow's main URL.
        databases: By a name of the config's own.
        stores: What keeps state and cannot be branched, by a name of the config's own.
        hooks: Commands of every flow; a flow may replace or skip them by name.
        egress: Which connections the forks of flows may open that say nothing about it.
    """

    schema_version: Literal[1] = 1
    application: Text
    namespace: Text
    domain: Text
    gateway: Gateway
    services: dict[str, Service]
    entries: tuple[Entry, ...] = ()
    databases: dict[str, Database] = Field(default_factory=dict)
    stores: dict[str, Store] = Field(default_factory=dict)
    hooks: tuple[Hook, ...] = ()
    egress: Egress = Field(default_factory=Egress)

    @classmethod
    def from_plain(cls, value: object, stack: str) -> Self:
        """Reads the output `topology` of a baseline stack.

        Args:
            value: The output's value.
            stack: Name of the stack, for messages.

        Returns:
            The topology.

        Raises:
            OutputsError: It is of another version, or not a topology.
        """
        found = value.get("schemaVersion") if isinstance(value, Mapping) else None
        if not isinstance(found, int) or found < SCHEMA_VERSION:
            raise OutputsError(
                f'the topology of baseline stack "{stack}" is too old (schemaVersion {found}, needed is'
                f" {SCHEMA_VERSION}): run `pulumi up` on it with this version of kardinal-infra"
            )
        if found > SCHEMA_VERSION:
            raise OutputsError(
                f'the topology of baseline stack "{stack}" is newer (schemaVersion {found}) than this version'
                f" of kardinal-infra, which reads {SCHEMA_VERSION}: upgrade kardinal-infra"
            )
        try:
            return cls.model_validate(value)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(str(part) for part in first["loc"])
            raise OutputsError(
                f'the output "topology" of baseline stack "{stack}" is not usable ({where}: {first["msg"]}):'
                " run `pulumi up` on it with this version of kardinal-infra"
            ) from None

    @cached_property
    def homes(self) -> Mapping[str, str]:
        """Namespace by service."""
        return {name: service.namespace or self.namespace for name, service in self.services.items()}

    @cached_property
    def namespaces(self) -> tuple[str, ...]:
        """All namespaces of the application, its own first."""
        return tuple(dict.fromkeys((self.namespace, *sorted(self.homes.values()))))

    def ref(self, service: str) -> ServiceRef:
        """Returns where a service is.

        Args:
            service: Key in `services`.
        """
        return ServiceRef(self.homes[service], service)

    def downstream(self, start: Iterable[str]) -> frozenset[str]:
        """Services that requests to some services can reach, themselves included; cycles are allowed.

        Args:
            start: Names of services.

        Returns:
            Names of services.
        """
        return _reached(start, self.services, lambda name: self.services[name].depends_on)

    def upstream(self, start: Iterable[str]) -> frozenset[str]:
        """Services whose requests can reach some services, themselves included; cycles are allowed.

        Args:
            start: Names of services.

        Returns:
            Names of services.
        """
        return _reached(start, self.services, self.callers)

    def users(self, database: str) -> frozenset[str]:
        """Services that connect to a database.

        Args:
            database: Key in `databases`.
        """
        return self._users.get(database, frozenset())

    def store_users(self, store: str) -> frozenset[str]:
        """Services that connect to a store.

        Args:
            store: Key in `stores`.
        """
        return self._store_users.get(store, frozenset())

    def store_service(self, store: str) -> str:
        """Service behind which a store runs.

        Args:
            store: Key in `stores`.
        """
        return self.stores[store].service or store

    def store_port(self, store: str) -> int:
        """Port of a store's service: the one it names, else the service's first tcp port.

        Args:
            store: Key in `stores`.
        """
        ports = self.services[self.store_service(store)].ports
        return self.stores[store].port or next(port.port for port in ports if port.protocol == "tcp")

    def entry_port(self, entry: Entry) -> int:
        """Port of an entry's service: the one it names, else the service's first http or grpc port.

        Args:
            entry: One of `entries`.
        """
        return entry.port or self.services[entry.service].routed_ports[0].port

    def entry_part(self, index: int) -> int:
        """Counts an entry among those of the same service, from 1.

        Args:
            index: Index in `entries`.
        """
        service = self.entries[index].service
        return sum(entry.service == service for entry in self.entries[: index + 1])

    def flow_host(self, entry: Entry, flow: str) -> str:
        """Host of a flow at an entry.

        Args:
            entry: One of `entries`.
            flow: Flow id.
        """
        several = f"{{flow}}-{entry.service}" if len(self.entries) > 1 else "{flow}"
        return (entry.flow_host or f"{several}.{self.domain}").replace("{flow}", flow)

    def callers(self, service: str) -> frozenset[str]:
        """Services that declare to call a service.

        Args:
            service: Key in `services`.
        """
        return self._callers.get(service, frozenset())

    @cached_property
    def _users(self) -> Mapping[str, frozenset[str]]:
        uses = self.services.items()
        return _by_target((name, use.database) for name, service in uses for use in service.databases)

    @cached_property
    def _store_users(self) -> Mapping[str, frozenset[str]]:
        uses = self.services.items()
        return _by_target((name, use.store) for name, service in uses for use in service.stores)

    @cached_property
    def _callers(self) -> Mapping[str, frozenset[str]]:
        calls = self.services.items()
        return _by_target((name, other) for name, service in calls for other in service.depends_on)


def _reached(
    start: Iterable[str], known: Collection[str], following: Callable[[str], Iterable[str]]
) -> frozenset[str]:
    seen: set[str] = set()
    todo = [name for name in start if name in known]
    while todo:
        name = todo.pop()
        if name not in seen:
            seen.add(name)
            todo.extend(following(name))
    return frozenset(seen)


def _by_target(edges: Iterable[tuple[str, str]]) -> Mapping[str, frozenset[str]]:
    """Sources by target."""
    found: dict[str, set[str]] = {}
    for source, target in edges:
        found.setdefault(target, set()).add(source)
    return {target: frozenset(sources) for target, sources in found.items()}
