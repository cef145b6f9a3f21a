"""One service with another image, beside production."""

import pulumi

from kardinal_infra import Flow

config = pulumi.Config()

flow = Flow(
    pulumi.get_stack(),
    {
        "baseline": config.require("baseline"),
        "services": {"voting-app-ui": {"image": config.require("image")}},
    },
)

# The contract that other programs read; example 04 does.
for name, value in flow.outputs().items():
    pulumi.export(name, value)
