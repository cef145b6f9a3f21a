"""The routes of a flow, in an order that loses no request.

Facts: docs/facts/mesh.md#removal-needs-a-pause, docs/facts/mesh.md#a-dead-fork-answers-503.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NotRequired, TypedDict

import pulumi
import pulumi_kubernetes as k8s
from pulumi_command import local

from kardinal_infra.components.acceptance import accepted
from kardinal_infra.components.manifests import custom_resource
from kardinal_infra.components.virtual_service_rules import VirtualServiceRules
from kardinal_infra.routing import Insertion

# To Pulumi's schema analyser an insertion is any data: it reads no annotations of the pure core.
if TYPE_CHECKING:
    Rules = Insertion
else:
    Rules = Any

DEFAULT_DRAIN_SECONDS = 2
"""Pause after routes were removed and before what they pointed at goes.

A deleted route stays in effect for up to 0.2 s; requests of the flow that are under way need a little longer.
"""


class FlowRoutesArgs(TypedDict):
    """Arguments of `FlowRoutes`."""

    mesh: Sequence[Mapping[str, Any]]
    """HTTPRoute and GRPCRoute manifests whose parent is a Service: the flow's requests to its forks; and the
    ReferenceGrants that the entries need."""

    entries: Sequence[Mapping[str, Any]]
    """Manifests of the flow's own public hosts: HTTPRoutes, or VirtualServices of an Istio Gateway."""

    insertions: NotRequired[Sequence[Rules]]
    """The flow's rules in VirtualServices that take a Service's requests in the mesh."""

    drain_seconds: NotRequired[int]
    """Seconds of pause on destroy, after the entries went and again after the mesh routes went. Default 2."""

    kubeconfig: NotRequired[str | None]
    """Content or path of the kubeconfig, for what needs no provider; default: the environment's."""

    context: NotRequired[str | None]
    """Context of the kubeconfig; default: its current one."""


class FlowRoutes(pulumi.ComponentResource):
    """Mesh routes first, the flow's public host last; on destroy the reverse, with a pause between the steps.

    Attributes:
        routes: Everything that routes, in the order of its making; each has `metadata`.
        entry_routes: The routes of the public hosts.
    """

    def __init__(self, name: str, args: FlowRoutesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Declares the routes.

        Args:
            name: Pulumi name, a prefix of the children's names.
            args: The manifests.
            opts: Resource options; `depends_on` must name the forks' Deployments and Services.
        """
        super().__init__("kardinal:index:FlowRoutes", name, None, opts)
        seconds = args.get("drain_seconds", DEFAULT_DRAIN_SECONDS)
        # Written on the first child too, so that the state's graph holds the order for `pulumi destroy`.
        mesh_drain = self._drain(f"{name}-mesh-drain", seconds, opts.depends_on if opts else None)
        mesh: list[pulumi.Resource] = [self._route(manifest, [mesh_drain]) for manifest in args["mesh"]]
        settled = self._accepted(f"{name}-mesh", args, args["mesh"], mesh)
        mesh += [self._rules(insertion, args, mesh_drain) for insertion in args.get("insertions", ())]
        entry_drain = self._drain(f"{name}-entry-drain", seconds, [*mesh, *settled, mesh_drain])
        # Not declared on the class: what is declared there counts as an output of the component's schema.
        self.entry_routes: list[k8s.apiextensions.CustomResource] = [
            self._route(manifest, [entry_drain]) for manifest in args["entries"]
        ]
        self._accepted(f"{name}-entry", args, args["entries"], self.entry_routes)
        self.routes: list[pulumi.Resource] = [*mesh, *self.entry_routes]
        self.register_outputs({})

    def _drain(self, name: str, seconds: int, after: Any) -> local.Command:
        """A pause on destroy: what depends on it goes before, what it depends on after."""
        return local.Command(
            name,
            create=":",
            delete=f"sleep {seconds}",
            opts=pulumi.ResourceOptions(parent=self, depends_on=after),
        )

    def _route(
        self, manifest: Mapping[str, Any], after: list[pulumi.Resource]
    ) -> k8s.apiextensions.CustomResource:
        return custom_resource(manifest, pulumi.ResourceOptions(parent=self, depends_on=after))

    def _accepted(
        self,
        prefix: str,
        args: FlowRoutesArgs,
        manifests: Sequence[Mapping[str, Any]],
        resources: Sequence[Any],
    ) -> list[pulumi.Resource]:
        """A tagged request must not come in before the routes to the forks are there."""
        cluster = {"kubeconfig": args.get("kubeconfig"), "context": args.get("context")}
        return accepted(f"{prefix}-accepted", manifests, resources, self, **cluster)

    def _rules(
        self, insertion: Insertion, args: FlowRoutesArgs, after: pulumi.Resource
    ) -> VirtualServiceRules:
        return VirtualServiceRules(
            f"{insertion.service}-{insertion.flow}-rules",
            {
                "namespace": insertion.namespace,
                "virtual_service": insertion.virtual_service,
                "flow": insertion.flow,
                "rules": insertion.rules,
                "lost_at": insertion.lost_at,
                "kubeconfig": args.get("kubeconfig"),
                "context": args.get("context"),
            },
            pulumi.ResourceOptions(parent=self, depends_on=[after]),
        )
