"""Changes of a few collections of objects, as one stream."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from lab_plugins.kubernetes.api import Api, ApiError, UnreachableError
from lab_plugins.kubernetes.discovery import ResourceType

_RETRY_SECONDS = 1.0
# The server ends the watch after this long and it is opened anew, so that a lost connection is noticed.
_WATCH_SECONDS = "240"


@dataclass(frozen=True)
class Selection:
    """Which objects to follow.

    Attributes:
        type: their resource.
        namespace: their namespace.
        name: only the object of this name; empty for all.
        labels: only objects that match this label selector; empty for all.
    """

    type: ResourceType
    namespace: str
    name: str = ""
    labels: str = ""

    def parameters(self) -> dict[str, str]:
        """Return the query that selects them."""
        query = {}
        if self.name:
            query["fieldSelector"] = f"metadata.name={self.name}"
        if self.labels:
            query["labelSelector"] = self.labels
        return query


@dataclass(frozen=True)
class Event:
    """One change.

    Attributes:
        kind: the object's kind.
        deleted: whether it went.
        object: the object, its last state if it went.
    """

    kind: str
    deleted: bool
    object: dict[str, Any]


class Feed:
    """Follows collections, each in a thread of its own, while used as a context manager.

    Objects that exist already come first. What cannot be listed is tried again; `troubles` says why.

    Args:
        api: the API server.
        selections: what to follow.
        known: objects whose present state the reader has already; their absence is announced as a deletion.
    """

    def __init__(self, api: Api, selections: list[Selection], known: list[dict[str, Any]]) -> None:
        self._api = api
        self._selections = selections
        self._known = known
        self._events: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        self._stopped = threading.Event()
        self._hang_ups: dict[Selection, Callable[[], None]] = {}
        self.troubles: dict[str, str] = {}

    def __enter__(self) -> Feed:
        for selection in self._selections:
            threading.Thread(
                target=self._follow, args=(selection,), name=f"watch-{selection.type.plural}", daemon=True
            ).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        for hang_up in list(self._hang_ups.values()):
            hang_up()

    def next(self, seconds: float) -> Event | None:
        """Return the next change; None when there was none in time or `wake` was called."""
        try:
            return self._events.get(timeout=max(seconds, 0.001))
        except queue.Empty:
            return None

    def wake(self) -> None:
        """Make a waiting `next` return at once."""
        self._events.put(None)

    def _follow(self, selection: Selection) -> None:
        known = {obj["metadata"]["uid"]: obj for obj in self._known if obj.get("kind") == selection.type.kind}
        while not self._stopped.is_set():
            try:
                version = self._list(selection, known)
                self.troubles.pop(selection.type.plural, None)
                self._watch(selection, known, version)
            except (ApiError, UnreachableError) as error:
                if self._stopped.is_set():
                    return
                self.troubles[selection.type.plural] = f"cannot watch {selection.type.plural}: {error}"
                self._stopped.wait(_RETRY_SECONDS)
            except Exception as error:  # noqa: BLE001 - hanging up breaks the read in whatever way it was reading
                if self._stopped.is_set():
                    return
                self.troubles[selection.type.plural] = f"cannot watch {selection.type.plural}: {error!r}"
                self._stopped.wait(_RETRY_SECONDS)

    def _list(self, selection: Selection, known: dict[str, dict[str, Any]]) -> str:
        """Announce what differs from what was known; return the version to go on from."""
        collection = selection.type.collection(selection.namespace)
        answer = self._api.list(collection, selection.parameters())
        present = set()
        for item in answer.get("items") or []:
            # Items of a list do not say what they are.
            item.setdefault("apiVersion", selection.type.api_version)
            item.setdefault("kind", selection.type.kind)
            metadata = item["metadata"]
            present.add(metadata["uid"])
            if (
                known.get(metadata["uid"], {}).get("metadata", {}).get("resourceVersion")
                != metadata["resourceVersion"]
            ):
                known[metadata["uid"]] = item
                self._events.put(Event(selection.type.kind, False, item))
        for uid in [uid for uid in known if uid not in present]:
            self._events.put(Event(selection.type.kind, True, known.pop(uid)))
        self.wake()  # an empty list is news too
        return str(answer["metadata"]["resourceVersion"])

    def _watch(self, selection: Selection, known: dict[str, dict[str, Any]], version: str) -> None:
        query = {**selection.parameters(), "resourceVersion": version, "timeoutSeconds": _WATCH_SECONDS}
        with self._api.watch(selection.type.collection(selection.namespace), query) as (events, hang_up):
            self._hang_ups[selection] = hang_up
            if self._stopped.is_set():
                return
            for event in events:
                obj = event["object"]
                if event["type"] == "ERROR":  # the version is too old: list again
                    return
                if event["type"] == "BOOKMARK":
                    continue
                deleted = event["type"] == "DELETED"
                if deleted:
                    known.pop(obj["metadata"]["uid"], None)
                else:
                    known[obj["metadata"]["uid"]] = obj
                self._events.put(Event(selection.type.kind, deleted, obj))
                if self._stopped.is_set():
                    return


def label_query(selector: dict[str, Any] | None) -> str:
    """Write a LabelSelector as a query: `app=web,tier in (a,b),!old`."""
    selector = selector or {}
    terms = [f"{key}={value}" for key, value in (selector.get("matchLabels") or {}).items()]
    for rule in selector.get("matchExpressions") or []:
        key, values = rule["key"], ",".join(rule.get("values") or [])
        terms.append(
            {
                "In": f"{key} in ({values})",
                "NotIn": f"{key} notin ({values})",
                "Exists": key,
                "DoesNotExist": f"!{key}",
            }[rule["operator"]]
        )
    return ",".join(terms)
