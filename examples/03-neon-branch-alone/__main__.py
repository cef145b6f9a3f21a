"""A branch of a Neon database, without any Kubernetes."""

import pulumi

from kardinal_infra import NeonBranch

config = pulumi.Config()

branch = NeonBranch(
    "preview",
    {
        "project": config.require("project"),
        "name": f"preview/{pulumi.get_stack()}",
        "database": config.require("database"),
        "role": config.require("role"),
        "ttl": "7d",
    },
)

pulumi.export("host", branch.host)
pulumi.export("expiresAt", branch.expires_at)
pulumi.export("uri", branch.uri)  # secret, in the state too
