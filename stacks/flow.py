"""The flow stack: makes what `kardinal:flow` describes and exports the flow's contract."""

from typing import cast

import pulumi

from kardinal_infra import Flow, FlowArgs


def program() -> None:
    """Declares the flow.

    Raises:
        KardinalError: The config, the baseline or the cluster does not fit.
    """
    kubernetes = pulumi.Config("kubernetes")
    flow = Flow(
        pulumi.get_stack(),
        # Data of whatever shape, or none: what is wrong with it is the flow's to say.
        cast("FlowArgs", pulumi.Config("kardinal").get_object("flow")),
        kubeconfig=kubernetes.get("kubeconfig"),
        context=kubernetes.get("context"),
    )
    for name, value in flow.outputs().items():
        pulumi.export(name, value)
