"""The baseline stack: adopts the application that `kardinal:baseline` describes and exports its topology."""

from typing import cast

import pulumi

from kardinal_infra import Baseline, BaselineArgs
from kardinal_infra.config import load_baseline


def program() -> None:
    """Declares the baseline.

    Raises:
        KardinalError: The config or the cluster does not fit.
    """
    config = pulumi.Config("kardinal").get_object("baseline")
    kubernetes = pulumi.Config("kubernetes")
    name = load_baseline(config).to_topology().application
    baseline = Baseline(
        name,
        cast("BaselineArgs", config),  # it was read for its name: it has this shape
        kubeconfig=kubernetes.get("kubeconfig"),
        context=kubernetes.get("context"),
    )
    pulumi.export("topology", baseline.topology.to_plain())
