"""The demonstration's application with its API in a namespace of its own."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from typing import Any

from kardinal_infra.model.topology import Topology
from kardinal_infra.observed.live import LiveObjects
from kardinal_infra.routing import catch_all_routes
from tests.pure import samples
from tests.pure.samples import BASELINE_STACK, TOPOLOGY, secret_env, service, workload

UI, API = "voting-app-ui", "votes-api"
BACK = "voting-data"
"""Namespace of the API; the page is in the application's own."""


def topology(**changes: Any) -> Topology:
    services = deepcopy(TOPOLOGY["services"])
    services[API]["namespace"] = BACK
    return samples.topology(services=services, **changes)


def moved(item: dict[str, Any], namespace: str = BACK) -> dict[str, Any]:
    return {**item, "metadata": {**item["metadata"], "namespace": namespace}}


def live(
    described: Topology | None = None, back: dict[str, Any] | None = None, **changes: Any
) -> LiveObjects:
    """The cluster with the application and its baseline stack.

    Args:
        described: The application; default: `topology()`.
        back: Changes of the API's namespace.
        changes: Changes of the application's own.
    """
    first = replace(
        samples.live(http_routes=catch_all_routes(described or topology(), BASELINE_STACK)),
        services=[service(UI)],
        deployments=[workload(UI, env=[{"name": "VOTES_API", "value": f"http://{API}.{BACK}"}])],
        secret_keys={},
    )
    first = replace(first, **changes)
    second = replace(
        first,
        namespace=BACK,
        namespace_labels={**first.namespace_labels, "kubernetes.io/metadata.name": BACK},
        services=[moved(service(API))],
        deployments=[moved(workload(API, env=[secret_env("DATABASE_URL")]))],
        secret_keys={"votes-database": frozenset({"DATABASE_URL"})},
    )
    return replace(first, others={BACK: replace(second, **(back or {}))})


def home(item: Any) -> tuple[str, str]:
    """Namespace and name of a manifest."""
    return item["metadata"]["namespace"], item["metadata"]["name"]
