"""The config of a baseline stack, key `kardinal:baseline`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from pydantic import Field

from kardinal_infra.config.backends import backend_problem
from kardinal_infra.config.branches import option_problems, together_problems
from kardinal_infra.config.hooks import hook_problems
from kardinal_infra.config.reading import dotted, read_model, unknown_names, whole
from kardinal_infra.config.stores import store_problems, template_problems
from kardinal_infra.errors import ConfigError, Problem
from kardinal_infra.model.base import DatabaseUse, StrictModel, Text
from kardinal_infra.model.certificates import authority_problem
from kardinal_infra.model.egress import Egress
from kardinal_infra.model.hook import Hook
from kardinal_infra.model.names import (
    DEFAULT_GATEWAY,
    address_problem,
    alias_problem,
    host_problem,
    label_problem,
)
from kardinal_infra.model.service import Service
from kardinal_infra.model.store import Store, StoreUse
from kardinal_infra.model.topology import DEFAULT_PORTS, Database, Entry, Gateway, GatewayKind, Topology

KEY = "kardinal:baseline"
"""Config key, the beginning of every path in messages."""


_POOLED_NAME = re.compile(r"[A-Za-z0-9_.-]+")
"""Database names that PgBouncer 1.18 takes; later versions take others in quotes."""


class ExistingGateway(StrictModel):
    """The user's own Gateway.

    Attributes:
        kind: `gateway-api` (of gateway.networking.k8s.io, the default) or `istio` (of networking.istio.io).
        name: Gateway object.
        namespace: Its namespace.
        listener: Listener to attach to; default: all that allow it.
    """

    kind: GatewayKind | None = None
    name: Text
    namespace: Text
    listener: Text | None = None


class GatewayConfig(StrictModel):
    """Where requests from outside enter; without `existing` the baseline stack makes a Gateway.

    Attributes:
        scheme: As in URLs.
        port: As in URLs; default: the scheme's.
        address: `host:port` that a probe connects to; default: the URL's own host.
        certificate: Secret with the certificate of the Gateway that the baseline stack makes.
        certificate_authority: PEM text of a private authority that signs the hosts' certificates.
        existing: The user's Gateway.
    """

    scheme: Literal["http", "https"] = "http"
    port: int | None = Field(default=None, ge=1, le=65535)
    address: Text | None = None
    certificate: Text | None = None
    certificate_authority: Text | None = None
    existing: ExistingGateway | None = None


class BaselineConfig(StrictModel):
    """An application as it runs; fields as in `kardinal_infra.model.topology.Topology`.

    Attributes:
        application: Name of the application, a DNS label; default: the namespace.
        namespace: Namespace of all its services that name no other.
        domain: Flow hosts are made below it.
        gateway: Where its entries are.
        services: By name of the Service.
        entries: Services reached from outside; the first one is a flow's main URL.
        databases: By a name of the config's own.
        stores: What keeps state and cannot be branched, by a name of the config's own.
        hooks: Commands that every flow runs on the machine that runs Pulumi.
        egress: Which connections the forks of flows may open that say nothing about it.
    """

    application: Text = ""
    namespace: Text
    domain: Text
    gateway: GatewayConfig = Field(default_factory=GatewayConfig)
    services: dict[str, Service]
    entries: tuple[Entry, ...] = ()
    databases: dict[str, Database] = Field(default_factory=dict)
    stores: dict[str, Store] = Field(default_factory=dict)
    hooks: tuple[Hook, ...] = ()
    egress: Egress = Field(default_factory=Egress)

    def to_topology(self) -> Topology:
        """Returns the contract that flow stacks read."""
        gateway = self.gateway
        existing = gateway.existing or ExistingGateway(name=DEFAULT_GATEWAY, namespace=self.namespace)
        return Topology(
            application=self.application or self.namespace,
            namespace=self.namespace,
            domain=self.domain,
            gateway=Gateway(
                kind=existing.kind,
                name=existing.name,
                namespace=existing.namespace,
                listener=existing.listener,
                scheme=gateway.scheme,
                port=gateway.port or DEFAULT_PORTS[gateway.scheme],
                address=gateway.address,
                certificate_authority=gateway.certificate_authority,
            ),
            services=self.services,
            entries=self.entries,
            databases=self.databases,
            stores=self.stores,
            hooks=self.hooks,
            egress=self.egress,
        )


def load_baseline(value: object, key: str = KEY) -> BaselineConfig:
    """Reads a baseline's config.

    Args:
        value: The config value, plain data.
        key: Config key for paths in messages.

    Returns:
        The config; every reference in it leads somewhere.

    Raises:
        ConfigError: With every problem and its path.
    """
    config, problems = read_model(BaselineConfig, value, key)
    if config is not None:
        # Names that could not be read are still names: a reference to them is no second mistake.
        names = {part: _keys(value, part) for part in ("services", "databases", "stores")}
        problems += _cross_checks(config, key, names, problems)
    if problems or config is None:
        raise ConfigError(problems)
    return config


def _keys(value: object, part: str) -> set[str]:
    inner = value.get(part) if isinstance(value, Mapping) else None
    return {str(name) for name in inner} if isinstance(inner, Mapping) else set()


def _cross_checks(
    config: BaselineConfig, key: str, names: Mapping[str, set[str]], unread: Sequence[Problem]
) -> Iterator[Problem]:
    services = whole(config.services, f"{key}.services", unread)
    databases = whole(config.databases, f"{key}.databases", unread)
    yield from _check_names(config, key)
    for what, references in _references(config, key).items():
        yield from unknown_names(what, references, names[f"{what}s"])
    for name, service in config.services.items():
        yield from _check_service(service, dotted(key, ["services", name]))
    yield from _check_entries(config, key, services)
    for name, database in config.databases.items():
        path = dotted(key, ["databases", name])
        yield from option_problems(database, path)
        yield from _check_database(database, path)
    for name, database in databases.items():
        yield from together_problems(
            database, database.database, database.role, dotted(key, ["databases", name])
        )
    yield from store_problems(config.stores, names["services"], services, key)
    yield from hook_problems(config.hooks, f"{key}.hooks", names["databases"])


def _references(config: BaselineConfig, key: str) -> dict[str, list[tuple[str, str]]]:
    """Paths and names of what parts of the config say of each other, by what they name."""
    found: dict[str, list[tuple[str, str]]] = {"service": [], "database": [], "store": []}
    for name, service in config.services.items():
        path = dotted(key, ["services", name])
        for index, other in enumerate(service.depends_on):
            found["service"].append((f"{path}.dependsOn[{index}]", other))
        for index, use in enumerate(service.uses):
            what, used = _used(use)
            found[what].append((f"{path}.uses[{index}].{what}", used))
    for index, entry in enumerate(config.entries):
        found["service"].append((f"{key}.entries[{index}].service", entry.service))
    for name, database in config.databases.items():
        if database.migrations is not None:
            path = dotted(key, ["databases", name, "migrations", "service"])
            found["service"].append((path, database.migrations.service))
    return found


def _used(use: DatabaseUse | StoreUse) -> tuple[str, str]:
    """What a service uses, and its name."""
    return ("database", use.database) if isinstance(use, DatabaseUse) else ("store", use.store)


def _check_names(config: BaselineConfig, key: str) -> Iterator[Problem]:
    for field in ("application", "namespace"):
        text = getattr(config, field)
        if (text or field == "namespace") and (problem := label_problem(text)):
            yield Problem(f"{key}.{field}", problem)
    if problem := host_problem(config.domain):
        yield Problem(f"{key}.domain", problem)
    if config.gateway.address and (problem := address_problem(config.gateway.address)):
        yield Problem(f"{key}.gateway.address", problem)
    if config.gateway.certificate_authority and (
        problem := authority_problem(config.gateway.certificate_authority)
    ):
        yield Problem(f"{key}.gateway.certificateAuthority", problem)
    existing, certificate = config.gateway.existing, config.gateway.certificate
    if certificate and existing is not None:
        yield Problem(f"{key}.gateway.certificate", "your Gateway has its own: leave it out")
    elif certificate and any(map(label_problem, certificate.split("."))):
        yield Problem(f"{key}.gateway.certificate", f'"{certificate}" is no name of a Secret')
    if existing is not None and existing.kind == "istio" and existing.listener is not None:
        yield Problem(
            f"{key}.gateway.existing.listener", "an Istio Gateway has none: its hosts decide, leave it out"
        )
    for part in ("services", "databases"):
        for name in getattr(config, part):
            if problem := label_problem(name):
                yield Problem(dotted(key, [part, name]), f"the name {problem}")
    for name, service in config.services.items():
        if service.namespace is not None and (problem := label_problem(service.namespace)):
            yield Problem(dotted(key, ["services", name, "namespace"]), problem)
    if not config.services:
        yield Problem(f"{key}.services", "at least one service is needed")


def _check_service(service: Service, path: str) -> Iterator[Problem]:
    ports = [port.port for port in service.ports]
    for index, port in enumerate(ports):
        if port in ports[:index]:
            yield Problem(f"{path}.ports[{index}].port", f"port {port} is listed twice")
    variables: set[str] = set()
    used: set[tuple[str, str]] = set()
    for index, use in enumerate(service.uses):
        where = f"{path}.uses[{index}]"
        what, name = _used(use)
        if isinstance(use, StoreUse):
            yield from template_problems(use, where)
        if (what, name) in used:
            yield Problem(f"{where}.{what}", f'{what} "{name}" is listed twice')
        used.add((what, name))
        for variable in sorted(variables & use.environment.keys()):
            yield Problem(
                f"{where}.environment.{variable}", f"the variable is already used for another {what}"
            )
        variables |= use.environment.keys()


def _check_entries(config: BaselineConfig, key: str, services: Mapping[str, Service]) -> Iterator[Problem]:
    hosts: set[str] = set()
    flow_hosts: set[str] = set()
    for index, entry in enumerate(config.entries):
        path = f"{key}.entries[{index}]"
        if problem := host_problem(entry.host):
            yield Problem(f"{path}.host", problem)
        if entry.host in hosts:
            yield Problem(f"{path}.host", f'host "{entry.host}" is listed twice')
        hosts.add(entry.host)
        template = entry.flow_host
        if template is not None:
            if "{flow}" not in template:
                yield Problem(f"{path}.flowHost", "must contain {flow}, or all flows would share one host")
            elif problem := host_problem(template.replace("{flow}", "x")):
                yield Problem(f"{path}.flowHost", problem)
        # Without a template the service makes the host unique.
        pattern = template or f"service {entry.service}"
        if pattern in flow_hosts:
            yield Problem(path, "another entry has the same host for flows; give one of them a flowHost")
        flow_hosts.add(pattern)
        service = services.get(entry.service)
        if service is not None:
            routed = [port.port for port in service.routed_ports]
            if entry.port is not None and entry.port not in routed:
                yield Problem(
                    f"{path}.port", f'service "{entry.service}" has no http or grpc port {entry.port}'
                )
            elif not routed:
                yield Problem(f"{path}.service", f'service "{entry.service}" has no http or grpc port')


def _check_database(database: Database, path: str) -> Iterator[Problem]:
    if problem := backend_problem(database.backend):
        yield Problem(f"{path}.backend", problem)
    if database.handover == "sidecar" and not _POOLED_NAME.fullmatch(database.database):
        yield Problem(
            f"{path}.database", 'the hand-over "sidecar" takes names of letters, digits, "_", "." and "-"'
        )
    if database.handover == "sidecar" and not database.host:
        yield Problem(
            f"{path}.host", 'required for the hand-over "sidecar": the host name that the application uses'
        )
    elif database.handover == "sidecar" and (problem := alias_problem(database.host or "")):
        yield Problem(f"{path}.host", problem)
