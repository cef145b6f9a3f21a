"""How programs use the package; mypy and pyright accept all of it. Checked, never run."""

# pyright: strict

from collections.abc import Mapping

import pulumi
import pulumi_kubernetes as k8s
from pulumi_command import local

import kardinal_infra as kardinal
from kardinal_infra import (
    Baseline,
    BaselineArgs,
    BranchedDatabase,
    Flow,
    FlowArgs,
    FlowRoutes,
    ForkedWorkload,
)
from kardinal_infra.databases.branching import BranchRequest
from kardinal_infra.errors import ConfigError, KardinalError

# A flow with dictionaries, and with arguments that were made elsewhere.
flow = Flow(
    "dev",
    {
        "baseline": "organization/kardinal/baseline",
        "services": {"voting-app-ui": {"image": "voting-app-ui-dev", "env": {"COLOUR": "blue"}}},
        "databases": {"votes": {"ttl": "24h"}},
        "isolation": "data",
        "hooks": [{"name": "tell", "create": ["curl", "chat.test"]}],
        "skip_hooks": ["seed"],
    },
    pulumi.ResourceOptions(provider=k8s.Provider("staging", context="staging")),
    context="staging",
)
wanted: FlowArgs = {"baseline": "baseline"}
Flow("small", wanted)
for name, value in flow.outputs().items():
    pulumi.export(name, value)

url: str | None = flow.plan.url
hook: local.Command = flow.hooks["tell"]
uri: pulumi.Output[str] = flow.databases["votes"].branch.uri
fork: ForkedWorkload = flow.forks["voting-app-ui"]
service: k8s.core.v1.Service | None = fork.service
routes: FlowRoutes = flow.routes

# A baseline.
application: BaselineArgs = {"namespace": "voting-app", "domain": "voting.localhost", "services": {}}
baseline: Baseline = kardinal.Baseline("voting-app", application)
pulumi.export("topology", baseline.topology.to_plain())

# A branch by itself; inputs may be outputs.
branch = kardinal.NeonBranch(
    "votes",
    {"project": pulumi.Output.from_input("shop"), "name": "dev", "database": "votes", "role": "owner"},
)
secret: pulumi.Output[str] = branch.password
expires: pulumi.Output[str | None] = branch.expires_at
found = kardinal.NeonBranch.get("main", "project/br-1", database="votes", role="owner")
BranchedDatabase(
    "orders",
    {
        "request": BranchRequest(name="b", project="p", database="d", role="r"),
        "metadata": {"namespace": "shop", "labels": {}, "annotations": {}},
        "consumers": {"api": {"DATABASE_URL": "uri"}},
        "migrations": {"image": "api:2", "command": ["migrate"], "environment": {"URL": "uri"}},
    },
)

# Readers for other programs.
outputs: kardinal.FlowOutputs = kardinal.FlowOutputs.from_stack("organization/kardinal/dev")
images: dict[str, str] = {name: forked.image for name, forked in outputs.services.items()}
uris: pulumi.Output[Mapping[str, str]] | None = outputs.connection_uris
adopted: kardinal.BaselineOutputs = kardinal.BaselineOutputs.from_stack("baseline")
domain: str = adopted.topology.domain

# Errors.
try:
    Flow("other", wanted)
except ConfigError as error:
    paths: list[str] = [problem.path for problem in error.problems]
except KardinalError as error:
    text: str = str(error)
