"""Reads the live objects that a plan needs, once, from the cluster that the Pulumi provider will write to.

Only reads, and only what the plan asks for. Secrets are listed for their key names; their values are dropped
at once. What may not be read is left out where the plan can do without it.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar, cast

import httpx
from lightkube import ApiError, Client
from lightkube.core.exceptions import ConfigError as KubeConfigError
from lightkube.resources.core_v1 import ConfigMap, Namespace, Secret
from tenacity import retry, retry_if_exception_type, stop_after_attempt

from kardinal_infra.errors import ClusterError
from kardinal_infra.kinds import (
    AUTOSCALERS,
    CLAIMS,
    DAEMON_SETS,
    DEPLOYMENTS,
    DISRUPTION_BUDGETS,
    GATEWAYS,
    GRPC_ROUTES,
    HTTP_ROUTES,
    JOBS,
    MESH_POLICIES,
    NETWORK_POLICIES,
    SERVICES,
    STATEFUL_SETS,
    VIRTUAL_SERVICES,
    WEBHOOKS,
)
from kardinal_infra.kubeconfig import load_kubeconfig
from kardinal_infra.live import GATEWAY_API, ROOT_NAMESPACE, LiveObjects, Object
from kardinal_infra.names import LABEL_FLOW

T = TypeVar("T")

_FORBIDDEN = 403
_NOT_FOUND = 404

TIMEOUT_SECONDS = 30
"""Longest wait for one answer of the API server."""

PARALLEL_READS = 6
"""Lists under way at once."""

INJECTOR_LABEL = "sidecar-injector"
"""Value of the label `app` on every webhook configuration that Istio's installer makes for injection."""


def read_live(namespace: str, *, kubeconfig: str | None = None, context: str | None = None) -> LiveObjects:
    """Takes a snapshot.

    Args:
        namespace: The application's namespace.
        kubeconfig: Content or path of a kubeconfig; default: `KUBECONFIG`, the user's own, the pod's.
        context: Context of the kubeconfig; default: its current one.

    Returns:
        The snapshot; empty lists where the namespace does not exist or an API is not served.

    Raises:
        ClusterError: The cluster cannot be reached, or a list that the plan cannot do without is forbidden.
    """
    client = connect(namespace, kubeconfig=kubeconfig, context=context)
    with client, ThreadPoolExecutor(PARALLEL_READS) as pool:
        reader = _Reader(client, namespace)
        flows = {LABEL_FLOW: None}
        jobs = {
            "namespace_labels": lambda: reader.namespace_labels(),
            "services": lambda: reader.objects(SERVICES),
            "deployments": lambda: reader.objects(DEPLOYMENTS),
            "statefulsets": lambda: reader.objects(STATEFUL_SETS),
            "daemonsets": lambda: reader.objects(DAEMON_SETS, required=False),
            "claims": lambda: reader.objects(CLAIMS, required=False),
            "jobs": lambda: reader.objects(JOBS, labels=flows, required=False),
            "disruption_budgets": lambda: reader.objects(DISRUPTION_BUDGETS, required=False),
            "autoscalers": lambda: reader.objects(AUTOSCALERS, required=False),
            "policies": lambda: reader.policies(),
            "http_routes": lambda: reader.served(HTTP_ROUTES),
            "grpc_routes": lambda: reader.served(GRPC_ROUTES),
            "gateways": lambda: reader.served(GATEWAYS),
            "virtual_services": lambda: reader.served(VIRTUAL_SERVICES),
            "injectors": lambda: reader.injectors(),
            "config_maps": lambda: reader.keyed(ConfigMap),
            "secrets": lambda: reader.keyed(Secret),
        }
        answers = dict(
            zip(
                jobs,
                pool.map(lambda job: job(), cast("Sequence[Callable[[], Any]]", [*jobs.values()])),
                strict=True,
            )
        )
    routes, virtual_services = answers["http_routes"], answers["virtual_services"]
    api_versions = {GATEWAY_API} if routes is not None else set()
    if virtual_services is not None:
        api_versions.add("networking.istio.io/v1")
    secrets, config_maps = answers["secrets"], answers["config_maps"]
    return LiveObjects(
        namespace=namespace,
        namespace_labels=answers["namespace_labels"],
        services=answers["services"],
        deployments=answers["deployments"],
        statefulsets=answers["statefulsets"],
        other_workloads=[{"kind": "DaemonSet", **item} for item in answers["daemonsets"]],
        claims=answers["claims"],
        disruption_budgets=answers["disruption_budgets"],
        autoscalers=answers["autoscalers"],
        policies=answers["policies"],
        http_routes=routes or (),
        grpc_routes=[{**item, "kind": "GRPCRoute"} for item in answers["grpc_routes"] or ()],
        gateways=answers["gateways"] or (),
        virtual_services=virtual_services or (),
        config_map_keys=config_maps and config_maps[0],
        secret_keys=secrets and secrets[0],
        api_versions=frozenset(api_versions),
        injectors=answers["injectors"],
        flow_objects=[*answers["jobs"], *(secrets[1] if secrets else ())],
        unread=frozenset(reader.unread),
    )


def connect(namespace: str, *, kubeconfig: str | None = None, context: str | None = None) -> Client:
    """Makes a client for the cluster.

    Args:
        namespace: Its default namespace.
        kubeconfig: As for `read_live`.
        context: As for `read_live`.

    Raises:
        ClusterError: There is no usable kubeconfig or no such context.
    """
    config = load_kubeconfig(kubeconfig, context)
    try:
        return Client(config=config, namespace=namespace, timeout=httpx.Timeout(TIMEOUT_SECONDS))
    except (KubeConfigError, OSError, ValueError) as error:
        # Certificates and keys are read here.
        raise ClusterError(f"no usable credentials in the kubeconfig: {error}") from error


def ask(client: Client, what: str, call: Callable[[], T], *, tolerate: Collection[int] = ()) -> T | None:
    """Makes a call and turns every failure into one sentence.

    Args:
        client: The cluster.
        what: What the call does, for the sentence, e.g. `list services`.
        call: The call.
        tolerate: HTTP statuses that are no failure.

    Returns:
        What the call returned; None for a tolerated status.

    Raises:
        ClusterError: The cluster cannot be reached, refused, or is none.
    """
    server = client.config.cluster.server
    try:
        return _connected(call)
    except httpx.HTTPStatusError as error:
        if error.response.status_code in tolerate:
            return None
        # An API that is not served is answered in plain text, and a proxy in between speaks HTML.
        refusal = error.status.message if isinstance(error, ApiError) else None
        reason = refusal or f"HTTP {error.response.status_code} {error.response.reason_phrase}"
        raise ClusterError(f"cannot {what} on the cluster: {reason}") from error
    except httpx.HTTPError as error:
        reason = str(error) or type(error).__name__
        raise ClusterError(f"the cluster at {server} cannot be reached: {reason}") from error
    except (KubeConfigError, OSError) as error:
        reason = " ".join(str(error).split())  # the last words of a credential program
        raise ClusterError(f"no credentials for the cluster at {server}: {reason}") from error
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ClusterError(
            f"cannot {what} on the cluster: what {server} answers is not Kubernetes' ({type(error).__name__})"
        ) from error


# Seen once with several threads of one client: a TLS alert while connecting (perhaps as httpcore sets ALPN on
# their shared context). What was never connected was never sent, so it may be tried again.
@retry(retry=retry_if_exception_type(httpx.ConnectError), stop=stop_after_attempt(3), reraise=True)
def _connected(call: Callable[[], T]) -> T:
    return call()


class _Reader:
    """Lists objects as plain dicts; every failure is one sentence."""

    def __init__(self, client: Client, namespace: str) -> None:
        self._client = client
        self._namespace = namespace
        self.unread: set[str] = set()

    def objects(
        self, kind: type[Any], *, labels: Mapping[str, Any] | None = None, required: bool = True
    ) -> list[Object]:
        """Lists a kind in the namespace; what is not required and may not be read goes to `unread`."""
        if not required:
            return self._if_allowed(kind, self._namespace, labels) or []
        result = self._try(
            lambda: self._list(kind, self._namespace, labels),
            f"list {_plural(kind)}",
            tolerate={_NOT_FOUND},
        )
        return result or []

    def policies(self) -> list[Object]:
        """Lists whatever guards or configures pods, each with its kind."""
        found: list[Object] = [
            {"kind": "NetworkPolicy", **item} for item in self.objects(NETWORK_POLICIES, required=False)
        ]
        for kind in MESH_POLICIES:
            for namespace in dict.fromkeys((self._namespace, ROOT_NAMESPACE)):
                items = self._if_allowed(kind, namespace)
                found += [{"kind": _kind(kind), **item} for item in items or ()]
        return found

    def served(self, kind: type[Any]) -> list[Object] | None:
        """Lists a kind in all namespaces, or in this one where only that is allowed; None: not served."""
        everywhere = self._try(
            lambda: self._list(kind, "*"), f"list {_plural(kind)}", tolerate={_FORBIDDEN, _NOT_FOUND}
        )
        if everywhere is not None:
            return everywhere
        return self._try(
            lambda: self._list(kind, self._namespace), f"list {_plural(kind)}", tolerate={_NOT_FOUND}
        )

    def keyed(
        self, kind: type[ConfigMap] | type[Secret]
    ) -> tuple[dict[str, frozenset[str]], list[Object]] | None:
        """Returns the key names by object, and the flows' objects without their data; None when forbidden."""
        items = self._try(
            lambda: [
                cast("dict[str, Any]", cast("Any", item).to_dict())
                for item in self._client.list(cast("Any", kind), namespace=self._namespace)
            ],
            f"list {kind.__name__}s",
            tolerate={_FORBIDDEN, _NOT_FOUND},
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

    def namespace_labels(self) -> Mapping[str, str]:
        """Returns the labels of the namespace; empty when it does not exist or may not be read."""
        item = self._try(
            lambda: self._client.get(Namespace, self._namespace),
            "get the namespace",
            tolerate={_FORBIDDEN, _NOT_FOUND},
        )
        labels = item.metadata.labels if item is not None and item.metadata is not None else None
        return {"kubernetes.io/metadata.name": self._namespace, **(labels or {})}

    def injectors(self) -> list[Object]:
        """Returns Istio's injection webhooks."""
        result = self._try(
            lambda: [
                cast("Object", cast("Any", item).to_dict())
                for item in self._client.list(WEBHOOKS, labels={"app": INJECTOR_LABEL})
            ],
            "list MutatingWebhookConfigurations",
            tolerate={_NOT_FOUND},
        )
        return result or []

    def _list(self, kind: type[Any], namespace: str, labels: Mapping[str, Any] | None = None) -> list[Object]:
        items = self._client.list(kind, namespace=namespace, labels=cast("Any", labels))
        return [cast("Object", item.to_dict()) for item in items]

    def _if_allowed(
        self, kind: type[Any], namespace: str, labels: Mapping[str, Any] | None = None
    ) -> list[Object] | None:
        what = f"list {_plural(kind)}"
        try:
            return self._try(lambda: self._list(kind, namespace, labels), what, tolerate={_NOT_FOUND})
        except ClusterError as error:
            cause = error.__cause__
            if not isinstance(cause, httpx.HTTPStatusError) or cause.response.status_code != _FORBIDDEN:
                raise
            where = "" if namespace == self._namespace else f" in {namespace}"
            self.unread.add(_kind(kind) + where)
            return None

    def _try(self, call: Callable[[], T], what: str, *, tolerate: Collection[int]) -> T | None:
        return ask(self._client, what, call, tolerate=tolerate)


def _plural(kind: type[Any]) -> str:
    return str(kind._api_info.plural)


def _kind(kind: type[Any]) -> str:
    return str(kind._api_info.resource.kind)
