"""Waits until routes are accepted by all their parents.

Facts: docs/facts/mesh.md#accepted-comes-before-its-effect, docs/facts/mesh.md#what-a-status-does-not-say.
"""

import time
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

from lightkube import Client

from kardinal_infra.cluster.client import ask
from kardinal_infra.cluster.kinds import GRPC_ROUTES, HTTP_ROUTES
from kardinal_infra.errors import ClusterError
from kardinal_infra.observed.live import Object, name_of, namespace_of
from kardinal_infra.observed.routes import title_of
from kardinal_infra.routing.acceptance import acceptance_problems

KINDS: Mapping[str, type[Any]] = {"HTTPRoute": HTTP_ROUTES, "GRPCRoute": GRPC_ROUTES}
"""Kinds whose status tells whether they are accepted; VirtualServices have none."""

ACCEPTED_SECONDS = 20.0
"""Longest wait; a mesh answers within 0.1 s, and within some seconds while its Gateway is new."""

PAUSE_SECONDS = 0.1


def wait_until_accepted(client: Client, routes: Iterable[Object], seconds: float = ACCEPTED_SECONDS) -> None:
    """Waits until every parent of every route has accepted it and found what it refers to.

    Args:
        client: The cluster.
        routes: HTTPRoutes and GRPCRoutes, of which `kind`, namespace and name are needed; others are passed
            over.
        seconds: Longest wait for all of them.

    Raises:
        ClusterError: They were not accepted in time, with each parent's reason; or the cluster cannot be
            reached or refuses.
    """
    waiting = [route for route in routes if route.get("kind") in KINDS]
    deadline = time.monotonic() + seconds
    while waiting:
        seen = {title_of(route): list(_problems(client, route)) for route in waiting}
        waiting = [route for route in waiting if seen[title_of(route)]]
        if waiting and time.monotonic() > deadline:
            reasons = "; ".join(problem for problems in seen.values() for problem in problems)
            raise ClusterError(f"not accepted within {seconds:g} s: {reasons}")
        if waiting:
            time.sleep(PAUSE_SECONDS)


def _problems(client: Client, route: Object) -> Iterable[str]:
    kind, namespace, name = str(route["kind"]), namespace_of(route), name_of(route)
    found: Any = ask(
        client,
        f"read {title_of(route)}",
        lambda: client.get(KINDS[kind], name, namespace=namespace).to_dict(),
        tolerate={HTTPStatus.NOT_FOUND},
    )
    if found is None:
        return [f"{title_of(route)} is gone: somebody deleted it"]
    return acceptance_problems({**found, "kind": kind})
