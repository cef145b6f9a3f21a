"""Flows of the demonstration's application, and variants of it, declared over the mocks."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pulumi

from kardinal_infra import Flow
from kardinal_infra.model.topology import Topology
from kardinal_infra.observed.live import LiveObjects
from kardinal_infra.routing import catch_all_routes
from tests.components.recorder import Stack, run
from tests.pure import samples
from tests.pure.samples import BASELINE_STACK, FLOW, TOPOLOGY, secret_env, service, workload

URL = "postgresql://votes_owner:pa%27ss-of-dev-votes@ep-dev-votes.example.test:5433/votes?sslmode=require"


def declare(
    *,
    preview: bool = False,
    topology: Topology | None = None,
    live: LiveObjects | None = None,
    opts: pulumi.ResourceOptions | None = None,
    **changes: Any,
) -> Stack:
    """The stack of the demonstration's flow, with changes of its arguments."""

    def program() -> None:
        args: Any = {**deepcopy(FLOW), **changes}
        flow = Flow("dev", args, opts, topology=topology or samples.topology(), live=live or samples.live())
        for name, value in flow.outputs().items():
            pulumi.export(name, value)

    return run(program, preview=preview)


def shop(**database: Any) -> tuple[Topology, LiveObjects]:
    """Page -> API with two databases, and a worker on the first of them.

    Args:
        database: Changes of the first database.
    """
    databases = {
        "orders": {"project": "shop", "database": "orders", "role": "shop", **database},
        "users": {"project": "shop", "database": "users", "role": "reader", "host": "users-db"},
    }
    uses = [
        {"database": "orders", "environment": {"ORDERS_URL": "uri", "ORDERS_POOL": "pooledUri"}},
        {
            "database": "users",
            "environment": {"USERS_HOST": "host", "USERS_PORT": "port", "USERS_PASSWORD": "password"},
        },
    ]
    described = Topology.from_plain(
        {
            **deepcopy(TOPOLOGY),
            "application": "shop",
            "services": {
                "page": {"ports": [{"port": 80}], "dependsOn": ["api"]},
                "api": {"ports": [{"port": 80}], "uses": uses},
                "worker": {"uses": uses[:1]},
            },
            "entries": [{"service": "page", "host": "shop.test"}],
            "databases": databases,
        },
        BASELINE_STACK,
    )
    names = ["ORDERS_URL", "ORDERS_POOL", "USERS_HOST", "USERS_PORT", "USERS_PASSWORD"]
    objects = samples.live(
        services=[service("page"), service("api")],
        deployments=[
            workload("page"),
            workload("api", env=[secret_env(name) for name in names]),
            workload("worker", env=[secret_env(name) for name in names[:2]]),
        ],
        http_routes=catch_all_routes(described, BASELINE_STACK),
    )
    return described, objects


def container(deployment: Any) -> dict[str, Any]:
    """The only container of a workload's or Job's pod."""
    [found] = deployment.inputs["spec"]["template"]["spec"]["containers"]
    return dict(found)


def environment(deployment: Any) -> dict[str, Any]:
    """What a workload's only container gets: value or source by variable."""
    return {
        entry["name"]: entry.get("value", entry.get("valueFrom")) for entry in container(deployment)["env"]
    }
