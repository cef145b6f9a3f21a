"""An application with a queue that nobody can branch: page -> api -> queue -> worker -> orders database."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from typing import Any

from kardinal_infra.config import read_flow
from kardinal_infra.model.topology import Topology
from kardinal_infra.observed.live import LiveObjects
from kardinal_infra.plan import FlowPlan, make_plan
from kardinal_infra.routing import catch_all_routes
from tests.pure.samples import BASELINE_STACK, NAMESPACE, STACK, TOPOLOGY, live, secret_env, service, workload

TEMPLATES = {"QUEUE_URL": "redis://{host}:{port}/0"}
SHARED_URL = "redis://queue:6379/0"
FRESH_HOST = f"queue-dev.{NAMESPACE}.svc.cluster.local"
FRESH_URL = f"redis://{FRESH_HOST}:6379/0"

SHOP: dict[str, Any] = {
    **deepcopy(TOPOLOGY),
    "application": "shop",
    "services": {
        "page": {"ports": [{"port": 80}], "dependsOn": ["api"]},
        "api": {"ports": [{"port": 80}], "uses": [{"store": "queue", "environment": TEMPLATES}]},
        "worker": {
            "uses": [
                {"store": "queue", "environment": TEMPLATES},
                {"database": "orders", "environment": {"DATABASE_URL": "uri"}},
            ]
        },
        "queue": {"ports": [{"port": 6379, "protocol": "tcp"}]},
        "stats": {"ports": [{"port": 80}]},
    },
    "entries": [{"service": "page", "host": "shop.test"}],
    "databases": {"orders": {"project": "shop", "database": "orders", "role": "shop"}},
    "stores": {"queue": {"flows": "fresh"}},
}

FLOW: dict[str, Any] = {"baseline": BASELINE_STACK, "services": {"api": {"image": "api:2.0"}}}


def shop(**stores: Any) -> Topology:
    """The application; `stores` replaces what it says of stores."""
    return Topology.from_plain({**deepcopy(SHOP), **({"stores": stores} if stores else {})}, BASELINE_STACK)


def changed(name: str, **changes: Any) -> Topology:
    """The application with changes of one service."""
    plain = deepcopy(SHOP)
    plain["services"][name] |= changes
    return Topology.from_plain(plain, BASELINE_STACK)


def queue_url(value: str = SHARED_URL) -> dict[str, str]:
    return {"name": "QUEUE_URL", "value": value}


def redis(**spec: Any) -> dict[str, Any]:
    """The queue's StatefulSet, with a claim of its own."""
    item = workload("queue", image="redis:7")
    item["spec"] |= {
        "serviceName": "queue",
        "volumeClaimTemplates": [
            {
                "metadata": {"name": "data"},
                "spec": {
                    "accessModes": ["ReadWriteOnce"],
                    "resources": {"requests": {"storage": "1Gi"}},
                    "volumeName": "production",
                },
            }
        ],
        **spec,
    }
    return item


def cluster(**changes: Any) -> LiveObjects:
    tcp = service("queue", 6379, ports=[{"name": "tcp-redis", "port": 6379, "protocol": "TCP"}])
    objects = live(
        services=[service("page"), service("api"), service("stats"), tcp],
        deployments=[
            workload("page"),
            workload("api", env=[queue_url()]),
            workload("worker", env=[queue_url(), secret_env("DATABASE_URL")]),
            workload("stats"),
        ],
        statefulsets=[redis()],
        http_routes=catch_all_routes(shop(), BASELINE_STACK),
    )
    return replace(objects, **changes)


def plan(topology: Topology | None = None, live: LiveObjects | None = None, **changes: Any) -> FlowPlan:
    loaded = read_flow({**deepcopy(FLOW), **changes}, "dev")
    assert loaded.config is not None
    return make_plan(
        topology or shop(), loaded.config, live or cluster(), stack=STACK, problems=loaded.problems
    )
