"""Every service forked, and an application whose database host cannot be configured."""

import pulumi

from kardinal_infra import Flow

flow = Flow(
    pulumi.get_stack(),
    {
        "baseline": pulumi.Config().require("baseline"),
        # All services and all databases, whether or not they were asked for.
        "isolation": "full",
        "services": {"voting-app-ui": {"image": "voting-app-ui-dev", "replicas": 2}},
        # A PgBouncer in each fork's pod answers in the place of the host name that the application knows
        # (`host` of the database in the baseline) and leads to the branch.
        "databases": {"votes": {"handover": "sidecar"}},
    },
)

for name, value in flow.outputs().items():
    pulumi.export(name, value)
