"""Your own commands at three moments of a flow's life, on the machine that runs Pulumi."""

import pulumi

from kardinal_infra import Flow

flow = Flow(
    pulumi.get_stack(),
    {
        "baseline": pulumi.Config().require("baseline"),
        "services": {"voting-app-ui": {"image": "voting-app-ui-dev"}},
        "hooks": [
            {
                # On the branch, after the migrations and before any pod of the flow starts.
                "name": "seed",
                "after": "databases",
                "create": ["python3", "seed.py"],
                "uses": [{"database": "votes", "environment": {"PGHOST": "host", "PGPORT": "port"}}],
                # Another text here runs it again.
                "triggers": ["seeds of november"],
            },
            {
                # When the flow's URL answers; `delete` runs first on `pulumi destroy`.
                "name": "tell",
                "create": 'echo "$KARDINAL_FLOW is up: $KARDINAL_URL" >> flows.log',
                "delete": 'echo "$KARDINAL_FLOW goes down" >> flows.log',
            },
        ],
    },
)

for name, value in flow.outputs().items():
    pulumi.export(name, value)
