"""Reads the live objects that a plan needs, once.

Only reads, and only what the plan asks for. Secrets are listed for their key names; their values are dropped
at once. What may not be read is left out where the plan can do without it. Lists come in pages; one that
takes long is named on standard error, so that nobody has to guess what a preview waits for.
"""

import sys
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from http import HTTPStatus
from typing import Any, TypeVar, cast

import httpx
from lightkube import Client
from lightkube.resources.core_v1 import ConfigMap, Namespace, Secret

from kardinal_infra.cluster.client import ask, connect
from kardinal_infra.cluster.kinds import (
    AUTOSCALERS,
    CLAIMS,
    DAEMON_SETS,
    DEPLOYMENTS,
    DISRUPTION_BUDGETS,
    GATEWAYS,
    GRPC_ROUTES,
    HTTP_ROUTES,
    ISTIO_GATEWAYS,
    JOBS,
    MESH_POLICIES,
    NETWORK_POLICIES,
    SERVICE_ENTRIES,
    SERVICES,
    STATEFUL_SETS,
    VIRTUAL_SERVICES,
    WEBHOOKS,
)
from kardinal_infra.errors import ClusterError
from kardinal_infra.model.names import LABEL_FLOW
from kardinal_infra.observed.live import GATEWAY_API, ROOT_NAMESPACE, LiveObjects, Object

T = TypeVar("T")


PARALLEL_READS = 6
"""Lists under way at once."""

PAGE = 500
"""Objects in one answer of a list, as kubectl asks for them."""

SLOW_SECONDS = 2.0
"""A list that takes longer is told of."""

INJECTOR_LABEL = "sidecar-injector"
"""Value of the label `app` on every webhook configuration that Istio's installer makes for injection."""

Jobs = dict[str, Callable[[], Any]]


def read_live(
    namespace: str, *others: str, kubeconfig: str | None = None, context: str | None = None
) -> LiveObjects:
    """Takes a snapshot.

    Args:
        namespace: The application's namespace.
        others: Further namespaces with services of the application.
        kubeconfig: Content or path of a kubeconfig; default: `KUBECONFIG`, the user's own, the pod's.
        context: Context of the kubeconfig; default: its current one.

    Returns:
        The snapshot; empty lists where a namespace does not exist or an API is not served.

    Raises:
        ClusterError: The cluster cannot be reached, or a list that the plan cannot do without is forbidden.
    """
    namespaces = (namespace, *others)
    client = connect(namespace, kubeconfig=kubeconfig, context=context)
    with client, ThreadPoolExecutor(PARALLEL_READS) as pool:
        reader = _Reader(client, namespaces)
        jobs = {("", name): job for name, job in reader.shared().items()}
        for each in namespaces:
            jobs |= {(each, name): job for name, job in reader.of_namespace(each).items()}
        answers = dict(zip(jobs, pool.map(lambda job: job(), jobs.values()), strict=True))
    shared = _shared({name: answers["", name] for name in reader.shared()})
    unread, hidden = frozenset(reader.unread), frozenset(reader.hidden)
    parts = {
        each: LiveObjects(
            namespace=each,
            unread=unread,
            hidden=hidden,
            **shared,
            **_own(
                {name: answers[each, name] for name in reader.of_namespace(each)},
                answers["", "root_policies"] if each != ROOT_NAMESPACE else (),
            ),
        )
        for each in namespaces
    }
    first = parts.pop(namespace)
    return replace(first, others=parts)


def _shared(answers: Mapping[str, Any]) -> dict[str, Any]:
    routes, virtual_services = answers["http_routes"], answers["virtual_services"]
    api_versions = {GATEWAY_API} if routes is not None else set()
    if virtual_services is not None:
        api_versions.add("networking.istio.io/v1")
    return {
        "http_routes": routes or (),
        "grpc_routes": [{**item, "kind": "GRPCRoute"} for item in answers["grpc_routes"] or ()],
        "gateways": answers["gateways"] or (),
        "istio_gateways": answers["istio_gateways"] or (),
        "virtual_services": virtual_services or (),
        "api_versions": frozenset(api_versions),
        "injectors": answers["injectors"],
    }


def _own(answers: Mapping[str, Any], root_policies: Sequence[Object]) -> dict[str, Any]:
    secrets, config_maps = answers["secrets"], answers["config_maps"]
    listed = ("namespace_labels", "services", "deployments", "statefulsets", "claims")
    return {
        **{name: answers[name] for name in (*listed, "disruption_budgets", "autoscalers", "service_entries")},
        "other_workloads": [{"kind": "DaemonSet", **item} for item in answers["daemonsets"]],
        "policies": [*answers["policies"], *root_policies],
        "config_map_keys": config_maps and config_maps[0],
        "secret_keys": secrets and secrets[0],
        "flow_objects": [*answers["jobs"], *(secrets[1] if secrets else ())],
    }


class _Reader:
    """Lists objects as plain dicts; every failure is one sentence."""

    def __init__(self, client: Client, namespaces: Sequence[str]) -> None:
        self._client = client
        self._namespaces = namespaces
        self.unread: set[str] = set()
        self.hidden: set[str] = set()

    def shared(self) -> Jobs:
        """What is read once for all namespaces."""
        return {
            "http_routes": lambda: self._served(HTTP_ROUTES),
            "grpc_routes": lambda: self._served(GRPC_ROUTES),
            "gateways": lambda: self._served(GATEWAYS),
            "istio_gateways": lambda: self._everywhere(ISTIO_GATEWAYS),
            "virtual_services": lambda: self._served(VIRTUAL_SERVICES),
            "injectors": lambda: self._injectors(),
            "root_policies": lambda: self._policies(ROOT_NAMESPACE, MESH_POLICIES),
        }

    def of_namespace(self, namespace: str) -> Jobs:
        """What is read of each namespace."""
        flows = {LABEL_FLOW: None}
        return {
            "namespace_labels": lambda: self._namespace_labels(namespace),
            "services": lambda: self._required(SERVICES, namespace),
            "deployments": lambda: self._required(DEPLOYMENTS, namespace),
            "statefulsets": lambda: self._required(STATEFUL_SETS, namespace),
            "daemonsets": lambda: self._if_allowed(DAEMON_SETS, namespace),
            "claims": lambda: self._if_allowed(CLAIMS, namespace),
            "jobs": lambda: self._if_allowed(JOBS, namespace, flows),
            "disruption_budgets": lambda: self._if_allowed(DISRUPTION_BUDGETS, namespace),
            "autoscalers": lambda: self._if_allowed(AUTOSCALERS, namespace),
            "service_entries": lambda: self._if_allowed(SERVICE_ENTRIES, namespace),
            "policies": lambda: self._policies(namespace, (NETWORK_POLICIES, *MESH_POLICIES)),
            "config_maps": lambda: self._keyed(ConfigMap, namespace),
            "secrets": lambda: self._keyed(Secret, namespace),
        }

    def _required(self, kind: type[Any], namespace: str) -> list[Object]:
        result = self._try(
            lambda: self._list(kind, namespace), f"list {_plural(kind)}", tolerate={HTTPStatus.NOT_FOUND}
        )
        return result or []

    def _policies(self, namespace: str, kinds: Sequence[type[Any]]) -> list[Object]:
        """Lists whatever guards or configures pods, each with its kind."""
        return [{"kind": _kind(kind), **item} for kind in kinds for item in self._if_allowed(kind, namespace)]

    def _everywhere(self, kind: type[Any]) -> list[Object] | None:
        """Lists a kind in all namespaces; None, and the kind in `hidden`, where that is not allowed."""
        what = f"list {_plural(kind)}"
        found = self._try(
            lambda: self._list(kind, "*"), what, tolerate={HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND}
        )
        if found is None:
            self.hidden.add(f"{_plural(kind)}.{kind._api_info.resource.group}")
        return found

    def _served(self, kind: type[Any]) -> list[Object] | None:
        """Lists a kind in all namespaces, or in ours where only that is allowed; None: not served."""
        everywhere = self._everywhere(kind)
        if everywhere is not None:
            return everywhere
        what = f"list {_plural(kind)}"
        found: list[Object] = []
        for namespace in self._namespaces:
            items = self._try(partial(self._list, kind, namespace), what, tolerate={HTTPStatus.NOT_FOUND})
            if items is None:
                return None
            found += items
        return found

    def _keyed(
        self, kind: type[ConfigMap] | type[Secret], namespace: str
    ) -> tuple[dict[str, frozenset[str]], list[Object]] | None:
        """Returns the key names by object, and the flows' objects without their data; None when forbidden."""
        items = self._try(
            lambda: [cast("Any", item).to_dict() for item in self._pages(kind, namespace)],
            f"list {kind.__name__}s",
            tolerate={HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND},
        )
        if items is None:
            return None
        keys = {item["metadata"]["name"]: frozenset[str](item.get("data") or ()) for item in items}
        flows: list[Object] = [
            {"kind": kind.__name__, "metadata": item["metadata"]}
            for item in items
            if LABEL_FLOW in (item["metadata"].get("labels") or {})
        ]
        return keys, flows

    def _namespace_labels(self, namespace: str) -> Mapping[str, str]:
        """Returns the labels of a namespace; its name alone when it does not exist or may not be read."""
        item = self._try(
            lambda: self._client.get(Namespace, namespace),
            "get the namespace",
            tolerate={HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND},
        )
        labels = item.metadata.labels if item is not None and item.metadata is not None else None
        return {"kubernetes.io/metadata.name": namespace, **(labels or {})}

    def _injectors(self) -> list[Object]:
        """Returns Istio's injection webhooks."""
        result = self._try(
            lambda: [item.to_dict() for item in self._pages(WEBHOOKS, labels={"app": INJECTOR_LABEL})],
            "list MutatingWebhookConfigurations",
            tolerate={HTTPStatus.NOT_FOUND},
        )
        return result or []

    def _list(self, kind: type[Any], namespace: str, labels: Mapping[str, Any] | None = None) -> list[Object]:
        return [cast("Object", item.to_dict()) for item in self._pages(kind, namespace, labels)]

    def _pages(
        self, kind: type[Any], namespace: str | None = None, labels: Mapping[str, Any] | None = None
    ) -> list[Any]:
        """Lists a kind page by page, and says so when that takes long."""
        begun = time.monotonic()

        def listed(size: int | None) -> list[Any]:
            found = self._client.list(
                cast("Any", kind), namespace=namespace, labels=cast("Any", labels), chunk_size=size
            )
            return [*found]

        try:
            items = listed(PAGE)
        except httpx.HTTPStatusError as error:
            # The server forgets the state that the pages are of after some minutes. All at once needs none.
            if error.response.status_code != HTTPStatus.GONE:
                raise
            items = listed(None)
        seconds = time.monotonic() - begun
        if seconds > SLOW_SECONDS:
            where = {None: "", "*": " of all namespaces"}.get(namespace, f" of namespace {namespace}")
            text = f"kardinal: reading {len(items)} {_plural(kind)}{where} took {seconds:.0f} s"
            print(text, file=sys.stderr)  # noqa: T201 - before any resource that a log could be of
        return items

    def _if_allowed(
        self, kind: type[Any], namespace: str, labels: Mapping[str, Any] | None = None
    ) -> list[Object]:
        """Lists a kind that a plan can do without; what may not be read goes to `unread`."""
        what = f"list {_plural(kind)}"
        try:
            return (
                self._try(lambda: self._list(kind, namespace, labels), what, tolerate={HTTPStatus.NOT_FOUND})
                or []
            )
        except ClusterError as error:
            cause = error.__cause__
            if (
                not isinstance(cause, httpx.HTTPStatusError)
                or cause.response.status_code != HTTPStatus.FORBIDDEN
            ):
                raise
            where = "" if namespace == self._namespaces[0] else f" in {namespace}"
            self.unread.add(_kind(kind) + where)
            return []

    def _try(self, call: Callable[[], T], what: str, *, tolerate: Collection[int]) -> T | None:
        return ask(self._client, what, call, tolerate=tolerate)


def _plural(kind: type[Any]) -> str:
    return str(kind._api_info.plural)


def _kind(kind: type[Any]) -> str:
    return str(kind._api_info.resource.kind)
