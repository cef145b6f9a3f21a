"""Adopts a running application behind a Gateway that is there already."""

import pulumi

from kardinal_infra import Baseline

config = pulumi.Config()
host = config.require("host")

baseline = Baseline(
    "voting-app",
    {
        "namespace": config.require("namespace"),
        "domain": host,  # flows answer at <flow>.<domain>
        "gateway": {
            "scheme": "https",
            "port": 443,
            "existing": {
                "name": "public",
                "namespace": config.require("gatewayNamespace"),
                "listener": "https",
            },
        },
        "services": {
            "voting-app-ui": {"ports": [{"port": 80}], "dependsOn": ["votes-api"]},
            "votes-api": {
                "ports": [{"port": 80}],
                "uses": [{"database": "votes", "environment": {"DATABASE_URL": "uri"}}],
            },
        },
        "entries": [{"service": "voting-app-ui", "host": host}],
        "databases": {"votes": {"project": "kardinal-demo", "database": "votes", "role": "votes_owner"}},
    },
)

# What flow stacks read; they name this stack as their `baseline`.
pulumi.export("topology", baseline.topology.to_plain())
