"""The baseline: adopts a running application and adds what flows stand on, changing nothing of it."""

from collections.abc import Mapping, Sequence
from typing import Any, NotRequired, TypedDict, cast

import pulumi
import pulumi_kubernetes as k8s

from kardinal_infra.cluster.snapshot import read_live
from kardinal_infra.components.acceptance import accepted
from kardinal_infra.components.manifests import custom_resource
from kardinal_infra.components.probe import probe_hosts
from kardinal_infra.config import load_baseline
from kardinal_infra.config.baseline import KEY
from kardinal_infra.engine.program_errors import message_alone
from kardinal_infra.engine.stack_outputs import qualified_stack_name
from kardinal_infra.errors import ConfigError
from kardinal_infra.model.names import ANSWER_FLOW, Owner
from kardinal_infra.model.topology import Topology
from kardinal_infra.observed.gateways import NAME_LABEL
from kardinal_infra.observed.live import LiveObjects
from kardinal_infra.plan import baseline_problems
from kardinal_infra.plan.gateway import existing_gateway_problems
from kardinal_infra.routing import catch_all_routes, production_routes


class BaselineArgs(TypedDict):
    """Arguments of `Baseline`; nested mappings have the keys of the stack's config (camelCase)."""

    namespace: str
    """Namespace of the application's services."""

    domain: str
    """Flow hosts are made below this domain."""

    services: Mapping[str, Any]
    """Services by the name of their Kubernetes Service: ports, dependsOn, uses, workload, container."""

    application: NotRequired[str]
    """Name of the application; default: the namespace."""

    gateway: NotRequired[Mapping[str, Any]]
    """Where the entries are: scheme, port, address, certificate, certificateAuthority; `existing` names a
    Gateway of the user's own."""

    entries: NotRequired[Sequence[Mapping[str, Any]]]
    """Services reached from outside, with their production hosts."""

    databases: NotRequired[Mapping[str, Any]]
    """Databases that flows may branch."""

    stores: NotRequired[Mapping[str, Any]]
    """What keeps state and cannot be branched: service, port, flows (fresh or share)."""

    hooks: NotRequired[Sequence[Mapping[str, Any]]]
    """Commands that every flow runs on the machine that runs Pulumi; their `environment` is not secret."""

    egress: NotRequired[Any]
    """Which connections the forks of flows may open that say nothing about it: locked, open (the default), or
    a mapping: mode, allow."""


class Baseline(pulumi.ComponentResource):
    """Adds the Gateway, the production hosts' routes and a catch-all route per Service.

    The catch-all routes are protected: a Service with a flow's route but without one answers every request of
    production with 404. `pulumi state unprotect --all` is needed before the baseline can be destroyed.

    Attributes:
        topology: The contract that flow stacks read.
    """

    @message_alone
    def __init__(
        self,
        name: str,
        args: BaselineArgs,
        opts: pulumi.ResourceOptions | None = None,
        *,
        live: LiveObjects | None = None,
        kubeconfig: str | None = None,
        context: str | None = None,
    ) -> None:
        """Declares the baseline.

        Args:
            name: Pulumi name, a prefix of the children's names.
            args: The application.
            opts: Resource options; the provider decides on the cluster.
            live: Snapshot of the cluster; default: read now.
            kubeconfig: Content or path, for the snapshot; default: the environment's.
            context: Context, for the snapshot; default: the current one.

        Raises:
            ConfigError: The arguments or the cluster do not fit; lists every problem.
            ClusterError: The cluster cannot be read.
        """
        config = load_baseline(args)
        topology = config.to_topology()
        # Not declared on the class: what is declared there counts as an output of the component's schema.
        self.topology: Topology = topology
        live = live or read_live(*topology.namespaces, kubeconfig=kubeconfig, context=context)
        problems = baseline_problems(topology, live)
        if config.gateway.existing is not None:
            problems += existing_gateway_problems(topology, live, f"{KEY}.gateway.existing")
        if problems:
            raise ConfigError(problems)
        super().__init__("kardinal:index:Baseline", name, None, opts)
        stack = qualified_stack_name(pulumi.get_stack())
        child = pulumi.ResourceOptions(parent=self)
        after: list[pulumi.Resource] = []
        if config.gateway.existing is None:
            owner = Owner(stack, topology.namespace)
            after.append(self._gateway(owner, config.gateway.certificate, child))
        manifests = catch_all_routes(topology, stack, live.routes, live.virtual_services)
        protected = pulumi.ResourceOptions(parent=self, protect=True)
        catch_alls = [custom_resource(manifest, protected) for manifest in manifests]
        accepted(f"{name}-mesh-accepted", manifests, catch_alls, self, kubeconfig=kubeconfig, context=context)
        manifests = production_routes(topology, stack, live)
        routed = pulumi.ResourceOptions(parent=self, depends_on=after)
        routes = [custom_resource(manifest, routed) for manifest in manifests]
        settled = accepted(
            f"{name}-entry-accepted", manifests, routes, self, kubeconfig=kubeconfig, context=context
        )
        if routes:
            gateway = topology.gateway
            # Not those that the user routes: there `/` may lead nowhere.
            specs = [manifest["spec"] for manifest in manifests]
            made = [host for spec in specs for host in spec.get("hostnames") or spec["hosts"]]
            checks = [{"url": gateway.url(host), "absent": [ANSWER_FLOW]} for host in made]
            metadata = [cast("Any", route).metadata for route in routes]
            probe_hosts(name, gateway, checks, metadata, self, [*routes, *settled])
        self.register_outputs({"topology": topology.to_plain()})

    def _route_namespaces(self) -> dict[str, Any]:
        """Whose routes the Gateway takes: those of the entries' services."""
        topology, own = self.topology, self.topology.gateway.namespace
        homes = {own, *(topology.homes[entry.service] for entry in topology.entries)}
        if homes == {own}:
            return {"from": "Same"}
        named = {"key": NAME_LABEL, "operator": "In", "values": sorted(homes)}
        return {"from": "Selector", "selector": {"matchExpressions": [named]}}

    def _gateway(
        self, owner: Owner, certificate: str | None, opts: pulumi.ResourceOptions
    ) -> k8s.apiextensions.CustomResource:
        allowed = {"namespaces": self._route_namespaces()}
        listeners: list[dict[str, Any]] = [
            {"name": "http", "port": 80, "protocol": "HTTP", "allowedRoutes": allowed}
        ]
        if certificate:
            tls = {"mode": "Terminate", "certificateRefs": [{"name": certificate}]}
            listeners.append(
                {"name": "https", "port": 443, "protocol": "HTTPS", "tls": tls, "allowedRoutes": allowed}
            )
        gateway = self.topology.gateway
        metadata = {
            **owner.metadata(gateway.name, self.topology.application),
            "namespace": gateway.namespace,
        }
        metadata["annotations"]["pulumi.com/waitFor"] = "condition=Programmed"
        return custom_resource(
            {
                "apiVersion": "gateway.networking.k8s.io/v1",
                "kind": "Gateway",
                "metadata": metadata,
                "spec": {"gatewayClassName": "istio", "listeners": listeners},
            },
            opts,
        )
