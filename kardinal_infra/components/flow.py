"""A flow: everything that one ephemeral environment adds beside production."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NotRequired, TypedDict, cast

import pulumi
from pulumi_command import local

from kardinal_infra.cluster.snapshot import read_live
from kardinal_infra.components.branch_requests import branch_requests
from kardinal_infra.components.branched_database import BranchedDatabase, BranchedDatabaseArgs
from kardinal_infra.components.egress_lock import declare_egress
from kardinal_infra.components.flow_outputs import flow_outputs
from kardinal_infra.components.flow_routes import FlowRoutes
from kardinal_infra.components.forked_workload import ForkedWorkload, ForkedWorkloadArgs
from kardinal_infra.components.hooks import declare_hooks
from kardinal_infra.components.leftovers import Leftovers
from kardinal_infra.components.manifests import with_secrets
from kardinal_infra.components.probe import Probe, flow_checks, probe_hosts
from kardinal_infra.config import read_flow
from kardinal_infra.config.flow import KEY
from kardinal_infra.databases.branching import BranchRequest, capabilities_of
from kardinal_infra.databases.sidecar import DEFAULT_POOLER_IMAGE, SECRET_KEYS, add_pooler
from kardinal_infra.engine.program_errors import message_alone
from kardinal_infra.engine.stack_outputs import qualified_stack_name, read_stack_outputs
from kardinal_infra.errors import ConfigError, OutputsError
from kardinal_infra.model.hook import HookMoment
from kardinal_infra.model.topology import Topology
from kardinal_infra.observed.live import LiveObjects, pod_template
from kardinal_infra.plan import BranchPlan, FlowPlan, ForkPlan, make_plan
from kardinal_infra.plan.drift import drift
from kardinal_infra.plan.stores import starting_order


class FlowArgs(TypedDict):
    """Arguments of `Flow`; nested mappings have the keys of the stack's config (camelCase)."""

    baseline: str
    """Stack that exports the application's topology."""

    services: NotRequired[Mapping[str, Any]]
    """Requested services by name: image (default: the baseline's), env, command, replicas, container."""

    id: NotRequired[str]
    """Flow id, a DNS label; default: the stack's name."""

    databases: NotRequired[Mapping[str, Any]]
    """Databases to branch besides those that the requested services reach, and their settings: handover,
    migrations, and how they are branched: init, maskingRules, parentTimestamp, parentLsn, ttl, protected,
    compute, extraDatabases, extraRoles."""

    stores: NotRequired[Mapping[str, str]]
    """What the flow does with stores: fresh or share, by name; default: the baseline's word."""

    isolation: NotRequired[str]
    """services, data (the default) or full."""

    hooks: NotRequired[Sequence[Mapping[str, Any]]]
    """Commands on the machine that runs Pulumi: name, after, create, update, delete, environment, uses."""

    skip_hooks: NotRequired[Sequence[str]]
    """Names of the baseline's hooks that this flow does without."""

    egress: NotRequired[Any]
    """locked, open, or a mapping: mode, allow; default: what the baseline says."""

    acknowledge: NotRequired[Sequence[str]]
    """Names of safety rules whose findings this flow accepts (docs/safety.md)."""


class Flow(pulumi.ComponentResource):
    """Branches, forks, routes and public hosts of one flow, and the proof that they answer.

    Attributes:
        plan: What was decided, before anything was made.
        databases: Branched databases by name.
        forks: Forked workloads by service.
        routes: The flow's routes.
        hooks: The hooks' commands by name.
    """

    @message_alone
    def __init__(
        self,
        name: str,
        args: FlowArgs,
        opts: pulumi.ResourceOptions | None = None,
        *,
        topology: Topology | None = None,
        live: LiveObjects | None = None,
        kubeconfig: str | None = None,
        context: str | None = None,
    ) -> None:
        """Plans and declares the flow.

        Args:
            name: Pulumi name, a prefix of the children's names.
            args: What is requested.
            opts: Resource options; the provider decides on the cluster.
            topology: The application; default: read from the stack `baseline`.
            live: Snapshot of the cluster; default: read now.
            kubeconfig: Content or path, for the snapshot; default: the environment's.
            context: Context, for the snapshot; default: the current one.

        Raises:
            ConfigError: The request, the topology or the cluster does not fit; lists every problem.
            ClusterError: The cluster cannot be read.
            OutputsError: The baseline's stack cannot be read or is of another version.
        """
        loaded = read_flow(args, pulumi.get_stack())
        # Without a baseline to read there is nothing to compare the rest with.
        if loaded.config is None or any(problem.path == f"{KEY}.baseline" for problem in loaded.problems):
            raise ConfigError(loaded.problems)
        topology = topology or read_topology(loaded.config.baseline)
        live = live or read_live(*topology.namespaces, kubeconfig=kubeconfig, context=context)
        stack = qualified_stack_name(pulumi.get_stack())
        plan = make_plan(
            topology,
            loaded.config,
            live,
            stack=stack,
            problems=loaded.problems,
            capabilities=capabilities_of,
        )
        # Not declared on the class: what is declared there counts as an output of the component's schema.
        self.plan: FlowPlan = plan
        super().__init__("kardinal:index:Flow", name, None, opts)
        if pulumi.runtime.is_dry_run():
            pulumi.log.info("\n".join([plan.describe(), *drift(_earlier_outputs(stack), plan)]), self)
        requests = branch_requests(plan.databases)
        self._leftovers = Leftovers(
            name,
            {
                "namespaces": topology.namespaces,
                "flow": plan.flow,
                "stack": stack,
                "branches": [
                    {"backend": branch.database.backend, "request": requests[branch.name]}
                    for branch in plan.databases
                ],
                "kubeconfig": kubeconfig,
                "context": context,
            },
            # Everything else comes after this one, and so after what the whole flow comes after.
            pulumi.ResourceOptions(parent=self, depends_on=opts.depends_on if opts else None),
        )
        self.databases: dict[str, BranchedDatabase] = {
            branch.name: self._database(branch, requests[branch.name]) for branch in plan.databases
        }
        # All branches, not only a fork's own: a failed migration stops the flow before any pod exists.
        ready = [self._leftovers, *(database.ready for database in self.databases.values())]
        self.hooks: dict[str, local.Command] = self._hooks("databases", ready)
        branched = {key: database.branch for key, database in self.databases.items()}
        egress = declare_egress(plan, branched, self, [self._leftovers])
        self._ready = [*ready, *self.hooks.values(), *egress]
        self.forks: dict[str, ForkedWorkload] = {}
        for fork in starting_order(plan.forks, plan.stores):
            self.forks[fork.service] = self._fork(fork)
        self.routes: FlowRoutes = FlowRoutes(
            name,
            {
                "mesh": [*plan.routes, *plan.grants],
                "insertions": plan.insertions,
                "entries": [entry.route for entry in plan.entries],
                "kubeconfig": kubeconfig,
                "context": context,
            },
            pulumi.ResourceOptions(parent=self, depends_on=self._forked_resources()),
        )
        probe = self._probe(name)
        answering = [self.routes, *self._forked_resources(), *([probe] if probe else [])]
        self.hooks |= self._hooks("flow", answering)
        self.register_outputs({"url": plan.url})

    def outputs(self) -> dict[str, Any]:
        """Returns the flow's contract, to be exported by its stack (`kardinal_infra.outputs` reads it)."""
        return flow_outputs(self.plan, {key: database.branch for key, database in self.databases.items()})

    def _database(self, branch: BranchPlan, request: BranchRequest) -> BranchedDatabase:
        plan, database = self.plan, branch.database
        metadata = plan.owner.metadata("")
        del metadata["name"]
        args: BranchedDatabaseArgs = {
            "backend": database.backend,
            "request": request,
            "metadata": metadata,
            "consumers": {
                fork.service: _secret_keys(fork, branch.name)
                for fork in plan.forks
                if _secret_keys(fork, branch.name)
            },
            "homes": plan.topology.homes,
        }
        if branch.name in plan.mesh_ports:
            args["mesh_port"] = plan.mesh_ports[branch.name]
        if branch.migrations is not None:
            container, pod = self._pod_of(branch.migrations.service)
            same_server = capabilities_of(database.backend).project_is_server
            if branch.handover == "sidecar" and not same_server:
                # An image with the parent's host built in must not migrate the parent: nobody listens there.
                # Where the parent's server is the branch's too, this would cut the branch off.
                pod["hostAliases"] = [{"ip": "127.0.0.1", "hostnames": [database.host]}]
            args["migrations"] = {
                "image": branch.migrations.image,
                "command": list(branch.migrations.command),
                "environment": branch.migrations.environment,
                "pod": pod,
                "namespace": plan.topology.homes[branch.migrations.service],
            }
            if "imagePullPolicy" in container:
                args["migrations"]["image_pull_policy"] = container["imagePullPolicy"]
        return BranchedDatabase(
            f"{plan.flow}-{branch.name}",
            args,
            pulumi.ResourceOptions(parent=self, depends_on=[self._leftovers]),
        )

    def _pod_of(self, service: str) -> tuple[Mapping[str, Any], dict[str, Any]]:
        """The service's container, and what of its pod lets another pod pull and run the image."""
        spec = next(fork.spec for fork in self.plan.forks if fork.service == service)
        pod = pod_template(spec.workload)["spec"]
        container = next(item for item in pod["containers"] if item["name"] == spec.container)
        kept = ("imagePullSecrets", "serviceAccountName", "nodeSelector", "tolerations", "securityContext")
        return container, {key: pod[key] for key in kept if key in pod}

    def _fork(self, fork: ForkPlan) -> ForkedWorkload:
        secrets = {
            use.database: self.databases[use.database].secrets[fork.service].metadata.name
            for use in fork.spec.databases
            if fork.service in self.databases[use.database].secrets
        }
        deployment = fork.workload(secrets)
        for use in fork.spec.databases:
            if use.handover == "sidecar":
                database = self.plan.topology.databases[use.database]
                deployment = add_pooler(
                    deployment,
                    secret_name=secrets[use.database],
                    client_host=database.host or "",
                    client_port=database.port or _usual_port(database.backend),
                    client_database=database.database,
                    image=database.pooler_image or DEFAULT_POOLER_IMAGE,
                )
        args: ForkedWorkloadArgs = {"workload": with_secrets(deployment), "policies": fork.policies}
        if fork.service_manifest is not None:
            args["service"] = fork.service_manifest
        fresh = [self.plan.topology.store_service(use.store) for use in fork.spec.stores]
        after = [*self._ready, *self._forked_resources({*fresh} - {fork.service})]
        return ForkedWorkload(fork.name, args, pulumi.ResourceOptions(parent=self, depends_on=after))

    def _hooks(self, moment: HookMoment, after: Sequence[pulumi.Resource]) -> dict[str, local.Command]:
        hooks = [hook for hook in self.plan.hooks if hook.after == moment]
        branches = {name: database.branch for name, database in self.databases.items()}
        return declare_hooks(self.plan, hooks, branches, self, after)

    def _forked_resources(self, services: Collection[str] | None = None) -> list[pulumi.Resource]:
        """Workloads and Services of some forks, by default of all."""
        names = self.forks if services is None else sorted(services)
        forks = [self.forks[name] for name in names if name in self.forks]
        return [item for fork in forks for item in (fork.workload, fork.service) if item is not None]

    def _probe(self, name: str) -> Probe | None:
        """Asks every public host who answers: the flow on its own, production without it on production's."""
        plan = self.plan
        if not plan.entries:
            return None
        metadata = [
            *(cast("Any", route).metadata for route in self.routes.routes),
            *(fork.workload.metadata for fork in self.forks.values()),
        ]
        return probe_hosts(name, plan.topology.gateway, flow_checks(plan), metadata, self, [self.routes])


def read_topology(stack: str) -> Topology:
    """Reads the application's topology from its baseline stack.

    Args:
        stack: `stack`, `project/stack` or `organization/project/stack`.

    Raises:
        OutputsError: No such stack, not a baseline, or of another version.
    """
    outputs = read_stack_outputs(stack)
    return Topology.from_plain(outputs.require("topology"), outputs.stack)


def _earlier_outputs(stack: str) -> Mapping[str, Any]:
    """What this stack exported at its last `up`; nothing before the first one."""
    try:
        return read_stack_outputs(stack).values
    except OutputsError:
        return {}


def _usual_port(backend: str) -> int:
    port = capabilities_of(backend).sidecar_port
    # The plan refuses the hand-over of backends that have none.
    assert port is not None
    return port


def _secret_keys(fork: ForkPlan, database: str) -> dict[str, str]:
    """What a fork's Secret for a database holds: key to part of the connection."""
    for use in fork.spec.databases:
        if use.database == database:
            return dict(use.environment) if use.handover == "env" else {key: key for key in SECRET_KEYS}
    return {}
