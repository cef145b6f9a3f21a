"""Deletes what is left of a flow on the cluster: the objects that carry its label and its stack's name.

A `pulumi up` that is killed may have made an object that its state does not know. The next `up` takes such an
object over; a `destroy` finds it only by its marks, which is what happens here.
"""

import time
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Any

from lightkube import Client
from lightkube.resources.core_v1 import Secret
from lightkube.types import CascadeType

from kardinal_infra.cluster.client import ask
from kardinal_infra.cluster.kinds import (
    AUTHORIZATION_POLICIES,
    CLAIMS,
    DEPLOYMENTS,
    GRPC_ROUTES,
    HTTP_ROUTES,
    JOBS,
    NETWORK_POLICIES,
    PEER_AUTHENTICATIONS,
    REFERENCE_GRANTS,
    REQUEST_AUTHENTICATIONS,
    SERVICE_ENTRIES,
    SERVICES,
    SIDECARS,
    STATEFUL_SETS,
    VIRTUAL_SERVICES,
)
from kardinal_infra.cluster.virtual_services import sweep_rules
from kardinal_infra.errors import ClusterError
from kardinal_infra.model.names import LABEL_FLOW, LABEL_MANAGED_BY, MANAGED_BY
from kardinal_infra.observed.live import owner_of

POLICIES: tuple[type[Any], ...] = (
    NETWORK_POLICIES,
    AUTHORIZATION_POLICIES,
    PEER_AUTHENTICATIONS,
    REQUEST_AUTHENTICATIONS,
    SIDECARS,
    SERVICE_ENTRIES,
    REFERENCE_GRANTS,
)
"""What guards a flow's forks or opens them to Gateways; whoever may not list a kind has made none of it."""

UNLISTED: tuple[type[Any], ...] = (*POLICIES, CLAIMS)
"""What need not be listed by whoever may not: a StatefulSet's claims go with it, too."""

KINDS: tuple[type[Any], ...] = (
    HTTP_ROUTES,
    GRPC_ROUTES,
    VIRTUAL_SERVICES,
    SERVICES,
    DEPLOYMENTS,
    STATEFUL_SETS,
    CLAIMS,
    JOBS,
    *POLICIES,
    Secret,
)
"""Everything that a flow makes, in the order of its removal: first what leads requests to it, and what guards
its pods after them."""


DEADLINE_SECONDS = 120.0
PAUSE_SECONDS = 0.5


def sweep(
    client: Client,
    namespaces: Sequence[str],
    flow: str,
    stack: str,
    *,
    kinds: Sequence[type[Any]] = KINDS,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> list[str]:
    """Deletes a flow's remaining objects and waits until they are gone.

    Args:
        client: The cluster.
        namespaces: The flow's namespaces, all of them: of each kind everything goes before the next kind's.
        flow: Flow id.
        stack: `organization/project/stack`; objects of another stack are never touched.
        kinds: What to look for.
        clock: Monotonic seconds.
        sleep: Pauses between two looks.

    Returns:
        What was deleted, as `Kind name`, with its namespace where there are several.

    Raises:
        ClusterError: The cluster cannot be reached, refuses, or does not finish in time.
    """
    where = {namespace: f" in {namespace}" if len(namespaces) > 1 else "" for namespace in namespaces}
    deleted = [
        f"{text}{where[namespace]}"
        for namespace in namespaces
        for text in sweep_rules(client, namespace, flow)
    ]
    deadline = clock() + DEADLINE_SECONDS
    for kind in kinds:
        while left := [
            (namespace, name)
            for namespace in namespaces
            for name in _owned(client, kind, namespace, flow, stack)
        ]:
            for namespace, name in left:
                text = f"{kind._api_info.resource.kind} {name}{where[namespace]}"
                if text not in deleted:
                    _delete(client, kind, namespace, name)
                    deleted.append(text)
            if clock() >= deadline:
                listed = ", ".join(f"{name} in namespace {namespace}" for namespace, name in left)
                raise ClusterError(f"{listed} did not go away in time")
            sleep(PAUSE_SECONDS)
    return deleted


def _owned(client: Client, kind: type[Any], namespace: str, flow: str, stack: str) -> list[str]:
    labels: Any = {LABEL_FLOW: flow, LABEL_MANAGED_BY: MANAGED_BY}
    items = ask(
        client,
        f"list {kind._api_info.plural}",
        lambda: [item.to_dict() for item in client.list(kind, namespace=namespace, labels=labels)],
        tolerate={HTTPStatus.NOT_FOUND, HTTPStatus.FORBIDDEN}
        if kind in (*UNLISTED, VIRTUAL_SERVICES)
        else {HTTPStatus.NOT_FOUND},
    )
    return [item["metadata"]["name"] for item in items or () if owner_of(item) == stack]


def _delete(client: Client, kind: type[Any], namespace: str, name: str) -> None:
    ask(
        client,
        f"delete {name}",
        lambda: client.delete(kind, name, namespace=namespace, cascade=CascadeType.FOREGROUND),
        tolerate={HTTPStatus.NOT_FOUND, HTTPStatus.FORBIDDEN} if kind is CLAIMS else {HTTPStatus.NOT_FOUND},
    )
