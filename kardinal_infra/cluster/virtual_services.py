"""Writes a flow's rules into VirtualServices of somebody else, many flows at a time.

The `http` list is one field to Kubernetes: neither server-side apply nor a merge patch can share it (a merge
patch loses updates). So the object is read, changed and written back under its `resourceVersion`; whoever is
second gets a conflict, reads again and repeats. Ten writers at once need at most five attempts.

Fact: docs/facts/mesh.md#the-http-list-is-one-field.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, cast

from lightkube import Client
from tenacity import (
    RetryCallState,
    retry,
    retry_if_exception_type,
    stop_after_delay,
    wait_random_exponential,
)

from kardinal_infra.cluster.client import ask
from kardinal_infra.cluster.kinds import VIRTUAL_SERVICES
from kardinal_infra.errors import ClusterError
from kardinal_infra.observed.live import spec_of
from kardinal_infra.routing.istio.mesh import inserted, removed, rule_flow

DEADLINE_SECONDS = 60.0
"""How long one write is tried again after conflicts."""

FIRST_PAUSE_SECONDS = 0.05
LONGEST_PAUSE_SECONDS = 1.0

Rules = Sequence[Mapping[str, Any]]


class _ConflictError(Exception):
    """Somebody else wrote the object between our read and our write."""


def read_virtual_service(client: Client, namespace: str, name: str) -> dict[str, Any] | None:
    """Reads a VirtualService.

    Args:
        client: The cluster.
        namespace: Its namespace.
        name: Its name.

    Returns:
        The object; None when it does not exist.

    Raises:
        ClusterError: The cluster cannot be reached or refuses.
    """
    item = ask(
        client,
        f"read VirtualService {namespace}/{name}",
        lambda: client.get(VIRTUAL_SERVICES, name, namespace=namespace),
        tolerate={HTTPStatus.NOT_FOUND},
    )
    return None if item is None else _plain(item)


def flow_rules_of(virtual_service: Mapping[str, Any], flow: str) -> list[dict[str, Any]]:
    """Returns a flow's rules as they are.

    Args:
        virtual_service: The object.
        flow: Flow id.
    """
    http = spec_of(virtual_service).get("http") or ()
    return [dict(rule) for rule in http if rule_flow(rule) == flow]


def insert_rules(client: Client, namespace: str, name: str, flow: str, rules: Rules) -> dict[str, Any]:
    """Puts a flow's rules in front of all others, in place of those that it has there already.

    Args:
        client: The cluster.
        namespace: Namespace of the VirtualService.
        name: Its name.
        flow: Flow id.
        rules: Items of `spec.http`.

    Returns:
        The object as written; as it was when it held exactly these rules.

    Raises:
        ClusterError: It does not exist, the cluster refuses, or others write all the time.
    """
    written = _rewrite(client, namespace, name, lambda http: inserted(http, flow, rules))
    if written is None:
        raise ClusterError(
            f"VirtualService {namespace}/{name}, which the flow's routes go into, does not exist any more;"
            " `pulumi up` again derives them from what is there now"
        )
    return written


def remove_rules(client: Client, namespace: str, name: str, flow: str) -> bool:
    """Takes exactly a flow's rules out; everything else stays as it is.

    Args:
        client: The cluster.
        namespace: Namespace of the VirtualService.
        name: Its name.
        flow: Flow id.

    Returns:
        False when there was nothing to take out, or no such object.

    Raises:
        ClusterError: The cluster refuses, or others write all the time.
    """
    there = read_virtual_service(client, namespace, name)
    if there is None or not flow_rules_of(there, flow):
        return False
    return _rewrite(client, namespace, name, lambda http: removed(http, flow)) is not None


def sweep_rules(client: Client, namespace: str, flow: str) -> list[str]:
    """Takes a flow's rules out of every VirtualService of a namespace.

    Args:
        client: The cluster.
        namespace: The flow's namespace.
        flow: Flow id.

    Returns:
        What was changed, as `rules of VirtualService name`.

    Raises:
        ClusterError: The cluster cannot be reached or refuses.
    """
    items = ask(
        client,
        "list virtualservices",
        lambda: [_plain(item) for item in client.list(VIRTUAL_SERVICES, namespace=namespace)],
        # Not served, or not for this user: then it cannot have written there either.
        tolerate={HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND},
    )
    holding = [item["metadata"]["name"] for item in items or () if flow_rules_of(item, flow)]
    return [
        f"rules of VirtualService {name}" for name in holding if remove_rules(client, namespace, name, flow)
    ]


def _give_up(state: RetryCallState) -> None:
    _, namespace, name, _ = state.args
    raise ClusterError(
        f"VirtualService {namespace}/{name} could not be written: others changed it all the time"
        f" ({state.attempt_number} attempts in {DEADLINE_SECONDS:g} s)"
    )


@retry(
    retry=retry_if_exception_type(_ConflictError),
    stop=stop_after_delay(DEADLINE_SECONDS),
    wait=wait_random_exponential(FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS),
    retry_error_callback=_give_up,
)
def _rewrite(
    client: Client,
    namespace: str,
    name: str,
    change: Callable[[Iterable[Mapping[str, Any]]], list[Mapping[str, Any]]],
) -> dict[str, Any] | None:
    """Reads, changes and writes; None when the object is gone."""
    there = read_virtual_service(client, namespace, name)
    if there is None:
        return None
    http = list(spec_of(there).get("http") or ())
    wanted = change(http)
    if wanted == http:
        return there
    # Written with the resourceVersion that was read: Kubernetes refuses when it is not the newest.
    there["spec"] = {**spec_of(there), "http": wanted}
    written = ask(
        client,
        f"write VirtualService {namespace}/{name}",
        lambda: client.replace(cast("Any", VIRTUAL_SERVICES).from_dict(there)),
        tolerate={HTTPStatus.CONFLICT, HTTPStatus.NOT_FOUND},
    )
    if written is None:
        raise _ConflictError
    return _plain(written)


def _plain(item: Any) -> dict[str, Any]:
    return dict(item.to_dict())
