"""The parts of a plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from kardinal_infra.config import Egress, Isolation
from kardinal_infra.forking import ForkSpec, allowed_entries, branch_ports, name_secrets
from kardinal_infra.model.base import ConnectionField
from kardinal_infra.model.branch_options import BranchOptions
from kardinal_infra.model.hook import Hook
from kardinal_infra.model.names import (
    BRANCH_ANNOTATION_DATABASE,
    BRANCH_ANNOTATION_FLOW,
    BRANCH_ANNOTATION_STACK,
    FlowId,
    Owner,
)
from kardinal_infra.model.store import StoreMode
from kardinal_infra.model.topology import Database, Handover, Topology
from kardinal_infra.plan.describe import contract, describe
from kardinal_infra.routing import Insertion, reference_grants
from kardinal_infra.routing.key import DEFAULT_KEY, Key
from kardinal_infra.safety import Finding

ReasonKind = Literal["requested", "uses-database", "uses-store", "fresh-store", "full"]


@dataclass(frozen=True)
class Reason:
    """Why a service is forked.

    Attributes:
        kind: `requested` by the flow; `uses-database`: it connects to a branched one; `uses-store`: it
            connects to a fresh one; `fresh-store`: it is one; `full` isolation.
        databases: The databases, for `uses-database`.
        stores: The fresh stores, for `uses-database`, `uses-store` and `fresh-store`.
    """

    kind: ReasonKind
    databases: tuple[str, ...] = ()
    stores: tuple[str, ...] = ()

    def __str__(self) -> str:
        if self.kind in {"requested", "full"}:
            return "requested" if self.kind == "requested" else "isolation full"
        parts = [f"branched database {', '.join(self.databases)}"] if self.databases else []
        parts += [f"fresh store {', '.join(self.stores)}"] if self.stores else []
        return ("" if self.kind == "fresh-store" else "uses ") + " and ".join(parts)


@dataclass(frozen=True)
class ForkPlan:
    """A service that gets a fork.

    Attributes:
        service: Name of the service.
        reason: Why.
        image: Image that the fork runs, the baseline's when none was requested.
        spec: What the workload is made from.
        manifest: The fork's Deployment or StatefulSet, with a `BranchSecret` for each branch's Secret.
        service_manifest: The fork's Service; None for a worker without ports.
        policies: Manifests of what guards the fork's pods, in place before them.
    """

    service: str
    reason: Reason
    image: str
    spec: ForkSpec
    manifest: Mapping[str, Any] = field(repr=False)
    service_manifest: Mapping[str, Any] | None = field(repr=False)
    policies: tuple[Mapping[str, Any], ...] = field(default=(), repr=False)

    @property
    def name(self) -> str:
        """Name of the fork's workload and Service."""
        return self.spec.name

    def workload(self, secrets: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the manifest as it is applied.

        Args:
            secrets: As for `kardinal_infra.forking.fork_workload`: the Secret's name by database.
        """
        named: dict[str, Any] = name_secrets(self.manifest, secrets)
        return named


@dataclass(frozen=True)
class MigrationPlan:
    """Migrations that run on a branch before any fork starts.

    Attributes:
        service: Service whose image is run.
        image: The requested image.
        command: Command of the container.
        environment: Environment variable to the part of the branch's connection.
    """

    service: str
    image: str
    command: tuple[str, ...]
    environment: Mapping[str, ConnectionField]


@dataclass(frozen=True)
class BranchPlan:
    """A database that gets a branch.

    Attributes:
        name: Key in the topology's `databases`.
        branch_name: Name of the branch, unique in the project.
        database: The topology's own words about it (project, parent, role, host, pooler image, ...).
        options: How it is branched: the flow's word, else the baseline's.
        handover: How forks get to it.
        users: Forked services that use it.
        migrations: What runs on it first.
        annotations: Ownership marks of the branch.
    """

    name: str
    branch_name: str
    database: Database
    options: BranchOptions
    handover: Handover
    users: tuple[str, ...]
    migrations: MigrationPlan | None
    annotations: Mapping[str, str]

    @property
    def ttl(self) -> str | None:
        """Life time, e.g. `24h`; None: until the flow is destroyed."""
        return self.options.ttl

    @staticmethod
    def marks(owner: Owner, database: str) -> dict[str, str]:
        """Returns the ownership marks of a flow's branch.

        Args:
            owner: Stack and flow.
            database: Key in the topology's `databases`.
        """
        return {
            BRANCH_ANNOTATION_STACK: owner.stack,
            BRANCH_ANNOTATION_FLOW: str(owner.flow),
            BRANCH_ANNOTATION_DATABASE: database,
        }


@dataclass(frozen=True)
class StorePlan:
    """A store that the flow touches.

    Attributes:
        name: Key in the topology's `stores`.
        mode: `fresh`: the flow's own, new and empty; `share`: production's.
        service: Service behind which the baseline's runs.
        host: Name under which the flow's services reach it.
        port: Its port there.
        users: Services that use it.
        fork: Fork that is the fresh one; None for a shared store.
    """

    name: str
    mode: StoreMode
    service: str
    host: str
    port: int
    users: tuple[str, ...]
    fork: str | None


@dataclass(frozen=True)
class EntryPlan:
    """A public host of the flow.

    Attributes:
        service: Service that it leads to.
        host: The flow's host.
        url: Its URL.
        production_url: URL of the same entry without the flow.
        fork: Fork that answers; None when the baseline does and calls the flow's forks.
        route: HTTPRoute manifest.
    """

    service: str
    host: str
    url: str
    production_url: str
    fork: str | None
    route: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True)
class FlowPlan:
    """A whole flow.

    Attributes:
        owner: Stack, the application's namespace, and flow.
        flow: Flow id.
        baseline: Stack with the topology, as configured.
        isolation: What is kept apart.
        topology: The application.
        forks: By service name.
        databases: Branches by database name.
        stores: Stores that the flow touches.
        routes: Mesh HTTPRoute and GRPCRoute manifests.
        insertions: Entries for mesh VirtualServices of the baseline's.
        entries: In the topology's order; the first is the main one.
        baseline_images: Image of each service of the topology that has a workload.
        baseline_version: Changes when an image of the application or a forked pod template does.
        hooks: Commands on the machine that runs Pulumi, in their order.
        findings: What the safety rules say and does not stop the flow: warnings, and what it acknowledges.
        acknowledged: Names of the safety rules that the flow accepts.
        egress: Which connections the forks may open.
        warnings: What the user should know.
        key: What carries the flow.
    """

    owner: Owner
    flow: FlowId
    baseline: str
    isolation: Isolation
    topology: Topology = field(repr=False)
    forks: tuple[ForkPlan, ...]
    databases: tuple[BranchPlan, ...]
    routes: tuple[Mapping[str, Any], ...] = field(repr=False)
    entries: tuple[EntryPlan, ...]
    baseline_images: Mapping[str, str]
    baseline_version: str
    stores: tuple[StorePlan, ...] = ()
    insertions: tuple[Insertion, ...] = ()
    hooks: tuple[Hook, ...] = ()
    findings: tuple[Finding, ...] = ()
    acknowledged: frozenset[str] = frozenset()
    egress: Egress = field(default_factory=Egress)
    warnings: tuple[str, ...] = ()
    key: Key = DEFAULT_KEY

    @property
    def url(self) -> str | None:
        """URL of the main entry, None when the application has no entry."""
        return self.entries[0].url if self.entries else None

    @property
    def hosts(self) -> dict[str, str]:
        """Host by service; of several entries of one service the first."""
        result: dict[str, str] = {}
        for entry in self.entries:
            result.setdefault(entry.service, entry.host)
        return result

    @property
    def header(self) -> dict[str, str]:
        """The routing header as `{name, value}`."""
        return {"name": self.key.header, "value": self.flow}

    @property
    def baggage(self) -> str:
        """The W3C baggage member that carries the flow."""
        return self.key.baggage(self.flow)

    @property
    def accepted(self) -> list[Finding]:
        """Findings that would stop the flow if it did not acknowledge them."""
        return [finding for finding in self.findings if finding.severity == "error"]

    @property
    def mesh_ports(self) -> dict[str, int]:
        """Port that leads locked forks to each branch, by database; empty without the egress lock."""
        if not self.egress.locked:
            return {}
        return branch_ports(self.flow, [branch.name for branch in self.databases])

    @property
    def allowed_entries(self) -> list[dict[str, Any]]:
        """Manifests of the ServiceEntries that the egress lock's allow list needs."""
        if not self.egress.locked:
            return []
        return [entry for owner in self.owners for entry in allowed_entries(owner, self.egress.destinations)]

    @property
    def grants(self) -> list[dict[str, Any]]:
        """Manifests of the ReferenceGrants that let the public hosts lead to forks in other namespaces."""
        forks = [fork.name for fork in self.forks]
        return reference_grants(self.owner, [entry.route for entry in self.entries], forks)

    @property
    def owners(self) -> tuple[Owner, ...]:
        """Whose objects there are in the namespaces of the forks: one per namespace, sorted."""
        homes = {fork.spec.owner.namespace for fork in self.forks}
        return tuple(map(self.owner.at, sorted(homes)))

    def describe(self) -> str:
        """Returns the plan as readable text of several lines, without secrets."""
        return describe(self)

    def to_contract(self) -> dict[str, Any]:
        """Returns the flow's `topology` output: nodes with their versions, and edges."""
        return contract(self)
