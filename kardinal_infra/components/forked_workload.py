"""A fork: one Deployment beside the baseline's workload, and the Service that reaches it."""

from collections.abc import Mapping
from typing import Any, NotRequired, TypedDict, cast

import pulumi
import pulumi_kubernetes as k8s

from kardinal_infra.components.manifests import owned


class ForkedWorkloadArgs(TypedDict):
    """Arguments of `ForkedWorkload`."""

    deployment: Mapping[str, Any]
    """Deployment manifest, as `kardinal_infra.forking` derives it; values may be outputs."""

    service: NotRequired[Mapping[str, Any]]
    """Service manifest; leave it out for a worker without ports."""

    timeout: NotRequired[str]
    """How long the Deployment may take to become available, e.g. "5m" (the default)."""


class ForkedWorkload(pulumi.ComponentResource):
    """The forked Deployment with its Service.

    Attributes:
        deployment: The fork's Deployment; ready when its pods are available.
        service: The fork's Service, or None for a worker.
    """

    deployment: k8s.apps.v1.Deployment
    service: k8s.core.v1.Service | None

    def __init__(
        self, name: str, args: ForkedWorkloadArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        """Declares the fork.

        Args:
            name: Pulumi name, also the name of the children.
            args: The manifests.
            opts: Resource options; the provider decides on the cluster.
        """
        super().__init__("kardinal:index:ForkedWorkload", name, None, opts)
        # Children do not take it over from their component.
        after = opts.depends_on if opts else None
        timeout = args.get("timeout", "5m")
        deployment = args["deployment"]
        self.deployment = k8s.apps.v1.Deployment(
            name,
            metadata=cast("Any", owned(deployment["metadata"])),
            spec=deployment["spec"],
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=after,
                custom_timeouts=pulumi.CustomTimeouts(create=timeout, update=timeout),
            ),
        )
        self.service = None
        if "service" in args:
            self.service = k8s.core.v1.Service(
                name,
                metadata=cast("Any", owned(args["service"]["metadata"])),
                spec=args["service"]["spec"],
                opts=pulumi.ResourceOptions(parent=self, depends_on=after),
            )
        self.register_outputs({})
