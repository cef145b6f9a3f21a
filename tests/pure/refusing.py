"""What the tests of refusals share: the error's lines, and things that are wrong."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from kardinal_infra.config import read_flow
from kardinal_infra.errors import ConfigError
from kardinal_infra.model.topology import Topology
from kardinal_infra.observed.live import LiveObjects
from kardinal_infra.plan import make_plan
from tests.pure.samples import (
    FLOW,
    NAMESPACE,
    STACK,
    TOPOLOGY,
    live,
    secret_env,
    topology,
    workload,
)

UI = "kardinal:flow.services.voting-app-ui"
API = "topology.services.votes-api"
ID = "kardinal:flow.id"


def refusals(
    value: dict[str, Any] | None = None, *, snapshot: LiveObjects | None = None, app: Topology | None = None
) -> list[str]:
    loaded = read_flow(value or FLOW, "dev")
    assert loaded.config is not None
    with pytest.raises(ConfigError) as caught:
        make_plan(app or topology(), loaded.config, snapshot or live(), stack=STACK, problems=loaded.problems)
    return str(caught.value).splitlines()


def flow(**changes: Any) -> dict[str, Any]:
    return {**deepcopy(FLOW), **changes}


def app(name: str = "voting-app-ui", **changes: Any) -> Topology:
    services = deepcopy(TOPOLOGY["services"])
    services[name] |= changes
    return topology(services=services)


def route(name: str = "own", **metadata: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "namespace": NAMESPACE, **metadata},
        "spec": {
            "parentRefs": [{"group": "", "kind": "Service", "name": "voting-app-ui"}],
            "rules": [{"backendRefs": [{"name": "voting-app-ui", "port": 80}]}],
        },
    }


def with_route(item: dict[str, Any]) -> LiveObjects:
    return live(http_routes=[*live().http_routes, item])


def with_ui(item: dict[str, Any]) -> LiveObjects:
    return live(deployments=[item, workload("votes-api", env=[secret_env("DATABASE_URL")])])


def mark(item: dict[str, Any], flow: str, stack: str) -> dict[str, Any]:
    item["metadata"]["labels"] = {"kardinal.dev/flow": flow}
    item["metadata"]["annotations"] = {"kardinal.dev/stack": stack}
    return item
