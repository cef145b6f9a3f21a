"""A probe's objects on the cluster: made, waited for, and removed whatever happens."""

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from datetime import UTC, datetime
from functools import partial
from http import HTTPStatus
from typing import Any, TypeVar

from lightkube import Client
from lightkube.generic_resource import create_namespaced_resource

from kardinal_infra.cluster.client import ask
from kardinal_infra.cluster.kinds import GRPC_ROUTES, HTTP_ROUTES, JOBS, SERVICES, VIRTUAL_SERVICES
from kardinal_infra.cluster.route_status import wait_until_accepted
from kardinal_infra.cluster.sweep import sweep
from kardinal_infra.doctor.marks import LIFE_SECONDS, dead_probes, probe_owner
from kardinal_infra.doctor.plan import ProbePlan
from kardinal_infra.errors import ClusterError
from kardinal_infra.model.names import LABEL_FLOW, LABEL_MANAGED_BY, MANAGED_BY, Owner
from kardinal_infra.observed.live import Object, name_of, namespace_of

log = logging.getLogger(__name__)

PODS = create_namespaced_resource("", "v1", "Pod", "pods")

KINDS: Mapping[str, type[Any]] = {
    "HTTPRoute": HTTP_ROUTES,
    "GRPCRoute": GRPC_ROUTES,
    "VirtualService": VIRTUAL_SERVICES,
    "Service": SERVICES,
    "Job": JOBS,
}
"""Everything that a probe makes, in the order of its removal."""

T = TypeVar("T")

READY_SECONDS = 60.0
"""Longest wait for the collector."""

PAUSE_SECONDS = 0.2


@contextmanager
def made(client: Client, plan: ProbePlan) -> Iterator[dict[str, str]]:
    """Makes a probe's objects, and removes them at the end.

    Args:
        client: The cluster.
        plan: The probe.

    Yields:
        Name of the collector's pod by namespace.

    Raises:
        ClusterError: The cluster refuses, or the collector or the routes do not become ready. A clean-up that
            fails is a warning of this module's logger alone: the cluster removes the rest by itself.
    """
    owners = [plan.owner.at(namespace) for namespace in plan.namespaces]
    try:
        # When this run is killed, each Job ends and deletes itself, and the cluster all that belongs to it.
        references = {namespace_of(job): _reference(job, _create(client, job)) for job in plan.jobs}
        services = [item for item in plan.objects if item["kind"] == "Service"]
        routes = [item for item in plan.objects if item["kind"] != "Service"]
        for manifest in services:
            _create(client, manifest, references[namespace_of(manifest)])
        pods = {
            owner.namespace: _wait("the collector did not start", partial(_ready_pod, client, owner))
            for owner in owners
        }
        for manifest in routes:
            _create(client, manifest, references[namespace_of(manifest)])
        wait_until_accepted(client, routes)
        yield pods
    finally:
        try:
            _remove(client, plan.namespaces, plan.key)
        except ClusterError as error:
            # What the run has found, or what has ended it, is worth more than this.
            log.warning(
                "the clean-up failed: %s; the cluster removes what is left within %d minutes",
                error,
                LIFE_SECONDS // 60,
            )


def _reference(manifest: Object, item: Object) -> dict[str, str]:
    return {
        "apiVersion": manifest["apiVersion"],
        "kind": manifest["kind"],
        "name": name_of(item),
        "uid": item["metadata"]["uid"],
    }


def remove_dead(client: Client, namespaces: Sequence[str], *, now: datetime | None = None) -> list[str]:
    """Removes what killed runs have left.

    Args:
        client: The cluster.
        namespaces: Namespaces of the application.
        now: The present, with a time zone; default: the clock's.

    Returns:
        What was deleted, as `Kind name`.

    Raises:
        ClusterError: The cluster cannot be reached or refuses.
    """
    items = [
        {**item, "kind": kind}
        for namespace in namespaces
        for kind, resource in KINDS.items()
        for item in list_objects(
            client, resource, namespace, {LABEL_FLOW: None, LABEL_MANAGED_BY: MANAGED_BY}
        )
    ]
    return [
        text
        for key in dead_probes(items, now or datetime.now(UTC))
        for text in _remove(client, namespaces, key)
    ]


def list_objects(
    client: Client, kind: type[Any], namespace: str, labels: Mapping[str, str | None] | None = None
) -> list[Object]:
    """Lists a kind; empty where it is not served.

    Args:
        client: The cluster.
        kind: The resource.
        namespace: Namespace.
        labels: Values by label; None stands for any value.

    Raises:
        ClusterError: The cluster cannot be reached or refuses.
    """
    wanted: Any = labels
    found = ask(
        client,
        f"list {kind._api_info.plural}",
        lambda: [item.to_dict() for item in client.list(kind, namespace=namespace, labels=wanted)],
        tolerate={HTTPStatus.NOT_FOUND},
    )
    return found or []


def _remove(client: Client, namespaces: Sequence[str], key: str) -> list[str]:
    return sweep(client, namespaces, key, probe_owner("", key).stack, kinds=[*KINDS.values()])


def _create(client: Client, manifest: Object, owner: Mapping[str, str] | None = None) -> Object:
    body = deepcopy(dict(manifest))
    if owner is not None:
        body["metadata"]["ownerReferences"] = [dict(owner)]
    resource = KINDS[body["kind"]].from_dict(body)
    made: Object | None = ask(
        client, f"create {body['kind']} {name_of(body)}", lambda: client.create(resource).to_dict()
    )
    assert made is not None
    return made


def _wait(problem: str, look: Callable[[], T | None]) -> T:
    deadline = time.monotonic() + READY_SECONDS
    while (found := look()) is None:
        if time.monotonic() > deadline:
            raise ClusterError(f"{problem} within {READY_SECONDS:g} s")
        time.sleep(PAUSE_SECONDS)
    return found


def _ready_pod(client: Client, owner: Owner) -> str | None:
    for pod in list_objects(client, PODS, owner.namespace, {LABEL_FLOW: owner.flow}):
        conditions = (pod.get("status") or {}).get("conditions") or ()
        if any(item["type"] == "Ready" and item["status"] == "True" for item in conditions):
            return name_of(pod)
    return None
