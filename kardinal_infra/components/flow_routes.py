"""The routes of a flow, in an order that loses no request."""

from collections.abc import Mapping, Sequence
from typing import Any, NotRequired, TypedDict

import pulumi
import pulumi_kubernetes as k8s
from pulumi_command import local

from kardinal_infra.components.manifests import custom_resource

DEFAULT_DRAIN_SECONDS = 2
"""Pause after routes were removed and before what they pointed at goes.

A deleted route stays in effect for up to 0.2 s; requests of the flow that are under way need a little longer.
"""


class FlowRoutesArgs(TypedDict):
    """Arguments of `FlowRoutes`."""

    mesh: Sequence[Mapping[str, Any]]
    """HTTPRoute manifests whose parent is a Service: the flow's requests to its forks."""

    entries: Sequence[Mapping[str, Any]]
    """HTTPRoute manifests whose parent is a Gateway: the flow's own public hosts."""

    drain_seconds: NotRequired[int]
    """Seconds of pause on destroy, after the entries went and again after the mesh routes went. Default 2."""


class FlowRoutes(pulumi.ComponentResource):
    """Mesh routes first, the flow's public host last; on destroy the reverse, with a pause between the steps.

    Attributes:
        routes: Every HTTPRoute, in the order of its making.
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
        mesh: list[k8s.apiextensions.CustomResource] = []
        for index, manifest in enumerate(args["mesh"]):
            # Of two objects on one Service the older wins a tie, so the parts of a split route take turns.
            split = index > 0 and _parents(manifest) == _parents(args["mesh"][index - 1])
            mesh.append(self._route(manifest, [mesh_drain, *(mesh[-1:] if split else ())]))
        entry_drain = self._drain(f"{name}-entry-drain", seconds, [*mesh, mesh_drain])
        # Not declared on the class: what is declared there counts as an output of the component's schema.
        self.entry_routes: list[k8s.apiextensions.CustomResource] = [
            self._route(manifest, [entry_drain]) for manifest in args["entries"]
        ]
        self.routes: list[k8s.apiextensions.CustomResource] = [*mesh, *self.entry_routes]
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


def _parents(manifest: Mapping[str, Any]) -> Any:
    return manifest["spec"]["parentRefs"]
