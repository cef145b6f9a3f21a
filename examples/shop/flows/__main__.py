"""The baseline of the tea shop and its flows; `kardinal:stack` says which of them a stack is."""

import pulumi

from kardinal_infra import Baseline, Flow

config = pulumi.Config("kardinal")

if config.require("stack") == "baseline":
    baseline = Baseline("shop", config.require_object("baseline"))
    pulumi.export("topology", baseline.topology.to_plain())
else:
    flow = Flow(pulumi.get_stack(), config.require_object("flow"))
    for name, value in flow.outputs().items():
        pulumi.export(name, value)
