"""From apiVersion and kind to the REST path, as the API server itself describes it."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

from lab_plugins.common.failures import OperationError
from lab_plugins.kubernetes.api import Api, ApiError


class NoMatchError(OperationError):
    """The API server serves no such kind."""

    def __init__(self, api_version: str, kind: str) -> None:
        super().__init__(f'no matches for kind "{kind}" in version "{api_version}"')


@dataclass(frozen=True)
class ResourceType:
    """One served resource: where its objects live.

    Attributes:
        api_version: `v1` or `group/version`.
        kind: the kind, e.g. `Deployment`.
        plural: the path's word, e.g. `deployments`.
        namespaced: whether objects live in a namespace.
    """

    api_version: str
    kind: str
    plural: str
    namespaced: bool

    def collection(self, namespace: str) -> str:
        """Return the path of all objects, in the namespace when there are namespaces."""
        root = "/api" if "/" not in self.api_version else "/apis"
        middle = f"/namespaces/{namespace}" if self.namespaced and namespace else ""
        return f"{root}/{self.api_version}{middle}/{self.plural}"

    def path(self, namespace: str, name: str) -> str:
        """Return the path of one object."""
        return f"{self.collection(namespace)}/{name}"


class Discovery:
    """Looks kinds up, one request per group and version, and remembers what was found.

    What was not found is asked for again every time: a CustomResourceDefinition may have been created since.

    Args:
        api: the API server.
    """

    def __init__(self, api: Api) -> None:
        self._api = api
        self._found: dict[tuple[str, str], ResourceType] = {}
        self._declared_scopes: dict[tuple[str, str], bool] = {}
        self._lock = threading.Lock()

    def find(self, api_version: str, kind: str) -> ResourceType:
        """Return the resource of a kind.

        Raises:
            NoMatchError: nothing serves it.
            ApiError, UnreachableError: the question was not answered.
        """
        with self._lock:
            known = self._found.get((api_version, kind))
        if known is not None:
            return known
        root = "/api" if "/" not in api_version else "/apis"
        try:
            served = self._api.get(f"{root}/{api_version}").get("resources") or []
        except ApiError as error:
            if error.code == 404:
                raise NoMatchError(api_version, kind) from None
            raise
        with self._lock:
            for entry in served:
                if "/" in entry["name"]:  # a subresource such as deployments/scale
                    continue
                self._found[(api_version, entry["kind"])] = ResourceType(
                    api_version, entry["kind"], entry["name"], bool(entry["namespaced"])
                )
            found = self._found.get((api_version, kind))
        if found is None:
            raise NoMatchError(api_version, kind)
        return found

    def exists(self, api_version: str, kind: str) -> bool:
        """Tell whether the kind is served now."""
        try:
            self.find(api_version, kind)
        except NoMatchError:
            return False
        return True

    def namespaced(self, api_version: str, kind: str) -> bool:
        """Tell whether objects of a kind live in a namespace; a kind that nobody knows is taken to."""
        try:
            return self.find(api_version, kind).namespaced
        except NoMatchError:
            group = api_version.rpartition("/")[0]
            return self._declared_scopes.get((group, kind), True)

    def declare(self, definition: dict[str, Any]) -> None:
        """Note the scope of a CustomResourceDefinition that the program is about to create."""
        spec = definition.get("spec") or {}
        kind = (spec.get("names") or {}).get("kind")
        if isinstance(kind, str) and isinstance(spec.get("group"), str):
            self._declared_scopes[(spec["group"], kind)] = spec.get("scope") != "Cluster"

    def forget(self) -> None:
        """Drop what was found, after a CustomResourceDefinition has changed."""
        with self._lock:
            self._found.clear()
