"""A flow whose database branch has a life time and migrations of its own."""

import pulumi

from kardinal_infra import Flow

config = pulumi.Config()

flow = Flow(
    pulumi.get_stack(),
    {
        "baseline": config.require("baseline"),
        "services": {"voting-app-ui": {"image": config.require("image")}},
        "databases": {
            "votes": {
                # A branch that is forgotten ends by itself; an `up` in the second half of its life renews it.
                "ttl": config.require("ttl"),
                # Runs as a Job on the branch, with the requested image, before any pod of the flow starts.
                "migrations": {
                    "service": "voting-app-ui",
                    "command": ["python3", "/app/migrate.py"],
                    "environment": {"DATABASE_URL": "uri"},
                },
            }
        },
    },
)

for name, value in flow.outputs().items():
    pulumi.export(name, value)
