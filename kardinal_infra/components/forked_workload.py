"""A fork: one workload beside the baseline's, what guards its pods, and the Service that reaches it."""

from collections.abc import Mapping, Sequence
from typing import Any, NotRequired, TypedDict, cast

import pulumi
import pulumi_kubernetes as k8s

from kardinal_infra.components.manifests import custom_resource, owned


class ForkedWorkloadArgs(TypedDict):
    """Arguments of `ForkedWorkload`."""

    workload: Mapping[str, Any]
    """Manifest of a Deployment or StatefulSet, as `kardinal_infra.forking` derives it; values may be
    outputs."""

    service: NotRequired[Mapping[str, Any]]
    """Service manifest; leave it out for a worker without ports."""

    policies: NotRequired[Sequence[Mapping[str, Any]]]
    """Manifests of policies that select the fork's pods; they are in place before the first pod."""

    timeout: NotRequired[str]
    """How long the workload may take to become available, e.g. "5m" (the default)."""


class ForkedWorkload(pulumi.ComponentResource):
    """The forked workload with its policies and its Service.

    Attributes:
        workload: The fork's Deployment or StatefulSet; ready when its pods are available.
        service: The fork's Service, or None for a worker.
        policies: What guards the fork's pods.
    """

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
        # Not declared on the class: what is declared there counts as an output of the component's schema.
        self.policies: list[pulumi.Resource] = [
            custom_resource(
                policy,
                pulumi.ResourceOptions(parent=self, depends_on=after),
                f"{policy['metadata']['name']}-{policy['kind'].lower()}",
            )
            for policy in args.get("policies", ())
        ]
        workload = args["workload"]
        kind = k8s.apps.v1.StatefulSet if workload.get("kind") == "StatefulSet" else k8s.apps.v1.Deployment
        self.workload: k8s.apps.v1.Deployment | k8s.apps.v1.StatefulSet = kind(
            name,
            metadata=cast("Any", owned(workload["metadata"])),
            spec=workload["spec"],
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=cast("Any", self.policies or after),
                custom_timeouts=pulumi.CustomTimeouts(create=timeout, update=timeout),
            ),
        )
        self.service: k8s.core.v1.Service | None = None
        if "service" in args:
            self.service = k8s.core.v1.Service(
                name,
                metadata=cast("Any", owned(args["service"]["metadata"])),
                spec=args["service"]["spec"],
                opts=pulumi.ResourceOptions(parent=self, depends_on=after),
            )
        self.register_outputs({})
