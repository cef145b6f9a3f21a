"""The flow stack: makes what `kardinal:flow` describes and exports the flow's contract."""

import pulumi

from kardinal_infra import Flow


def program() -> None:
    """Declares the flow.

    Raises:
        KardinalError: The config, the baseline or the cluster does not fit.
    """
    kubernetes = pulumi.Config("kubernetes")
    flow = Flow(
        pulumi.get_stack(),
        pulumi.Config("kardinal").get_object("flow"),
        kubeconfig=kubernetes.get("kubeconfig"),
        context=kubernetes.get("context"),
    )
    for name, value in flow.outputs().items():
        pulumi.export(name, value)
