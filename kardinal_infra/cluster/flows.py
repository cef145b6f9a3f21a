"""Flows on the cluster, in the shape in which `reap` decides on branches: a flow's objects go together."""

from collections.abc import Callable, Sequence
from datetime import datetime
from http import HTTPStatus
from itertools import product
from typing import Any

from lightkube import Client

from kardinal_infra.cluster.client import ask, connect
from kardinal_infra.cluster.sweep import KINDS, UNLISTED, sweep
from kardinal_infra.databases.owned import OwnedBranch
from kardinal_infra.errors import ClusterError
from kardinal_infra.model.base import ConfigReader
from kardinal_infra.model.names import (
    BRANCH_ANNOTATION_FLOW,
    BRANCH_ANNOTATION_STACK,
    LABEL_FLOW,
    LABEL_MANAGED_BY,
    MANAGED_BY,
)
from kardinal_infra.observed.live import flow_of, owner_of


class ClusterFlows:
    """The flows of an application; `project` is its namespace.

    Which cluster it is follows `kubernetes:kubeconfig` and `kubernetes:context` of the configuration.

    Args:
        others: Further namespaces of the application.
    """

    name = "cluster"

    def __init__(self, others: Sequence[str] = ()) -> None:
        self._others = others

    def owned(self, project: str, config: ConfigReader) -> list[OwnedBranch]:
        """Lists the flows that have objects in the namespaces, by flow id and stack.

        Args:
            project: The application's namespace.
            config: The configuration of a stack, by `namespace:key`.

        Raises:
            ClusterError: They cannot be listed completely.
        """
        with _client(project, config) as client:
            return _flows(client, (project, *self._others))

    def remove(self, branch: OwnedBranch, config: ConfigReader, still: Callable[[OwnedBranch], bool]) -> bool:
        """Deletes all objects of a listed flow, after one more look at it.

        Args:
            branch: As it was listed.
            config: The configuration of a stack, by `namespace:key`.
            still: Says whether the flow, as it is now, is to go.

        Returns:
            Whether it was deleted.

        Raises:
            ClusterError: Another stack has a flow of the same id there, or the deletion failed.
        """
        with _client(branch.project, config) as client:
            namespaces = (branch.project, *self._others)
            present = _flows(client, namespaces)
            now = next((flow for flow in present if flow.branch_id == branch.branch_id), None)
            if now is None:
                return False
            flow = now.annotations[BRANCH_ANNOTATION_FLOW]
            others = {item.stack for item in present if item.annotations[BRANCH_ANNOTATION_FLOW] == flow}
            if others != {now.stack}:
                # Entries of a VirtualService name the flow, not the stack.
                holder = min(others - {now.stack})
                raise ClusterError(
                    f"flow {flow} is also one of stack {holder}: delete the older objects by hand"
                )
            return still(now) and bool(sweep(client, namespaces, flow, now.stack))


def _client(namespace: str, config: ConfigReader) -> Client:
    kubeconfig, context = config("kubernetes:kubeconfig"), config("kubernetes:context")
    return connect(namespace, kubeconfig=kubeconfig, context=context)


def _flows(client: Client, namespaces: Sequence[str]) -> list[OwnedBranch]:
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for namespace, kind in product(namespaces, KINDS):
        for item in _list(client, kind, namespace):
            if stack := owner_of(item):
                metadata = {**item["metadata"], "namespace": namespace}
                found.setdefault((str(flow_of(item)), stack), []).append(metadata)
    return [_flow(namespaces[0], flow, stack, items) for (flow, stack), items in sorted(found.items())]


def _list(client: Client, kind: type[Any], namespace: str) -> list[dict[str, Any]]:
    labels: Any = {LABEL_FLOW: None, LABEL_MANAGED_BY: MANAGED_BY}
    return (
        ask(
            client,
            f"list {kind._api_info.plural}",
            lambda: [item.to_dict() for item in client.list(kind, namespace=namespace, labels=labels)],
            tolerate={HTTPStatus.NOT_FOUND, HTTPStatus.FORBIDDEN}
            if kind in UNLISTED
            else {HTTPStatus.NOT_FOUND},
        )
        or []
    )


def _flow(namespace: str, flow: str, stack: str, items: list[dict[str, Any]]) -> OwnedBranch:
    made = [
        datetime.fromisoformat(item["creationTimestamp"]) for item in items if "creationTimestamp" in item
    ]
    plural = "" if len(items) == 1 else "s"
    homes = dict.fromkeys(item["namespace"] for item in items)
    return OwnedBranch(
        branch_id=f"{namespace}/{flow} of {stack}",
        name=f"flow {flow}, {len(items)} object{plural} in {', '.join(homes)}",
        project=namespace,
        annotations={BRANCH_ANNOTATION_STACK: stack, BRANCH_ANNOTATION_FLOW: flow},
        # The youngest: a flow that is just being made has objects of all ages.
        created_at=max(made) if len(made) == len(items) else None,
        other_ids=frozenset(f"{item['namespace']}/{item['name']}" for item in items),
    )
