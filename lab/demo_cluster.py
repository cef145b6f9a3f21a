"""What is in a namespace, object by object, in a form that can be compared."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from lab.settings import LabError
from lab_plugins.common.failures import OperationError
from lab_plugins.kubernetes.api import Api, ApiError
from lab_plugins.kubernetes.kubeconfig import KubeconfigError, connect

Object = dict[str, Any]

PASSING = frozenset({"Endpoints", "EndpointSlice", "Event", "Lease", "ControllerRevision"})
"""Kinds that the cluster itself writes and rewrites all the time."""

NOT_OBJECTS = frozenset({"metrics.k8s.io"})
"""Groups whose answers are measurements."""

VOLATILE = ("resourceVersion", "managedFields", "selfLink")
"""Metadata that changes without the object changing. The uid stays: a new one is a new object."""

READERS = 8
"""Lists under way at once."""


class Cluster:
    """Reads a cluster.

    Args:
        source: Path or text of a kubeconfig; None for the environment's.
        context: Context of it; None for the current one.

    Raises:
        LabError: There is no usable kubeconfig.
    """

    def __init__(self, source: str | None = None, context: str | None = None) -> None:
        try:
            connection = connect(source, context)
        except KubeconfigError as error:
            raise LabError(str(error)) from error
        self.server = connection.server
        self._client = connection.client
        self._api = Api(connection)

    def close(self) -> None:
        """Ends the connections."""
        self._client.close()

    def version(self) -> str:
        """Version of the API server.

        Raises:
            LabError: It does not answer.
        """
        try:
            return str(self._api.get("/version")["gitVersion"])
        except OperationError as error:
            raise LabError(f"the cluster at {self.server} cannot be used: {error}") from error

    def snapshot(self, namespace: str) -> dict[str, Object]:
        """Reads every object of a namespace.

        Args:
            namespace: The namespace.

        Returns:
            Object by `Kind/name`, without its status and what changes by itself.
        """
        with ThreadPoolExecutor(READERS) as pool:
            kinds = list(self._kinds())
            paths = [path.format(namespace=namespace) for _, path in kinds]
            lists = list(pool.map(self._items, paths))
        return {
            f"{kind}/{item['metadata']['name']}": stable(item)
            for (kind, _), items in zip(kinds, lists, strict=True)
            for item in items
        }

    def get(self, path: str) -> Object | None:
        """Reads one object by its path; None when it is not there."""
        try:
            return self._api.get(path)
        except ApiError as error:
            if error.code == 404:
                return None
            raise

    def delete(self, path: str) -> None:
        """Deletes one object by its path, as a person would by hand."""
        self._api.delete(path, "Foreground")

    def patch(self, path: str, operations: list[Object]) -> Object:
        """Changes one object by RFC 6902 operations, as a person would by hand."""
        return self._api.json_patch(path, operations)

    def create(self, collection: str, body: Object) -> Object:
        """Creates an object, as a person would by hand."""
        return self._api.create(collection, body, "kubectl", dry_run=False)

    def gateway_address(self, namespace: str, name: str) -> str | None:
        """The first address of a Gateway; None as long as it has none."""
        gateway = self.get(f"/apis/gateway.networking.k8s.io/v1/namespaces/{namespace}/gateways/{name}")
        addresses = (gateway or {}).get("status", {}).get("addresses") or []
        return str(addresses[0]["value"]) if addresses else None

    def _kinds(self) -> Iterator[tuple[str, str]]:
        """Every namespaced kind that can be listed, with the path of its objects."""
        groups = self._api.get("/apis")["groups"]
        roots = [
            f"/apis/{group['preferredVersion']['groupVersion']}"
            for group in groups
            if group["name"] not in NOT_OBJECTS
        ]
        seen = set()
        for root in ("/api/v1", *roots):
            for resource in self._api.get(root).get("resources") or ():
                kind, name = resource["kind"], resource["name"]
                listable = resource["namespaced"] and "list" in resource["verbs"] and "/" not in name
                if listable and kind not in PASSING and (kind, name) not in seen:
                    seen.add((kind, name))
                    yield kind, f"{root}/namespaces/{{namespace}}/{name}"

    def _items(self, path: str) -> list[Object]:
        try:
            return list(self._api.list(path, {}).get("items") or ())
        except ApiError as error:
            if error.code in (403, 404, 405):  # not ours to read: not ours to change either
                return []
            raise


def stable(item: Mapping[str, Any]) -> Object:
    """Drops an object's status and what changes by itself.

    Args:
        item: The object.
    """
    metadata = {key: value for key, value in item["metadata"].items() if key not in VOLATILE}
    rest = {key: value for key, value in item.items() if key not in ("metadata", "status")}
    return {**rest, "metadata": metadata}


def differences(before: Mapping[str, Object], after: Mapping[str, Object]) -> list[str]:
    """Compares two snapshots object by object.

    Args:
        before: The earlier one.
        after: The later one.

    Returns:
        One line per difference, naming the object and the field; no content, which may be secret.
    """
    lines = [f"{name} is gone" for name in sorted(before.keys() - after.keys())]
    lines += [f"{name} was not there before" for name in sorted(after.keys() - before.keys())]
    for name in sorted(before.keys() & after.keys()):
        lines += [f"{name} differs in {path}" for path in _changed(before[name], after[name], "")]
    return lines


def _changed(before: Any, after: Any, path: str) -> Iterator[str]:
    if isinstance(before, dict) and isinstance(after, dict):
        for key in sorted(before.keys() | after.keys()):
            yield from _changed(before.get(key), after.get(key), f"{path}.{key}")
    elif json.dumps(before, sort_keys=True) != json.dumps(after, sort_keys=True):
        yield path
