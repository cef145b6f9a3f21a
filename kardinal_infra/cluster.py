"""Reads the live objects that a plan needs, once, from the cluster that the Pulumi provider will write to.

Only reads, and only what the plan asks for. Secrets are listed for their key names; their values are dropped
at once. What may not be read is left out where the plan can do without it.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar, cast

import httpx
import yaml
from lightkube import ApiError, Client, KubeConfig
from lightkube.config.kubeconfig import SingleConfig
from lightkube.core.exceptions import ConfigError as KubeConfigError
from lightkube.generic_resource import create_global_resource, create_namespaced_resource
from lightkube.resources.core_v1 import ConfigMap, Namespace, Secret

from kardinal_infra.errors import ClusterError
from kardinal_infra.live import GATEWAY_API, LiveObjects, Object
from kardinal_infra.names import LABEL_FLOW

T = TypeVar("T")

TIMEOUT_SECONDS = 30
"""Longest wait for one answer of the API server."""

PARALLEL_READS = 6
"""Lists under way at once."""

# Generic classes keep every field of an object as the API server sends it, of any Kubernetes version.
SERVICES = create_namespaced_resource("", "v1", "Service", "services")
CLAIMS = create_namespaced_resource("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims")
DEPLOYMENTS = create_namespaced_resource("apps", "v1", "Deployment", "deployments")
STATEFUL_SETS = create_namespaced_resource("apps", "v1", "StatefulSet", "statefulsets")
DAEMON_SETS = create_namespaced_resource("apps", "v1", "DaemonSet", "daemonsets")
JOBS = create_namespaced_resource("batch", "v1", "Job", "jobs")
HTTP_ROUTES = create_namespaced_resource("gateway.networking.k8s.io", "v1", "HTTPRoute", "httproutes")
GATEWAYS = create_namespaced_resource("gateway.networking.k8s.io", "v1", "Gateway", "gateways")
VIRTUAL_SERVICES = create_namespaced_resource(
    "networking.istio.io", "v1", "VirtualService", "virtualservices"
)
WEBHOOKS = create_global_resource(
    "admissionregistration.k8s.io", "v1", "MutatingWebhookConfiguration", "mutatingwebhookconfigurations"
)

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
            "http_routes": lambda: reader.served(HTTP_ROUTES),
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
        http_routes=routes or (),
        gateways=answers["gateways"],
        virtual_services=virtual_services or (),
        config_map_keys=config_maps and config_maps[0],
        secret_keys=secrets and secrets[0],
        api_versions=frozenset(api_versions),
        injectors=answers["injectors"],
        flow_objects=[*answers["jobs"], *(secrets[1] if secrets else ())],
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
    return Client(
        config=load_kubeconfig(kubeconfig, context),
        namespace=namespace,
        timeout=httpx.Timeout(TIMEOUT_SECONDS),
    )


def load_kubeconfig(kubeconfig: str | None, context: str | None) -> SingleConfig:
    """Finds the cluster and the credentials in the order of kubectl and the Pulumi provider.

    Args:
        kubeconfig: Content or path; None for the environment's.
        context: Context's name; None for the current one.

    Raises:
        ClusterError: There is no usable kubeconfig or no such context.
    """
    try:
        if kubeconfig and "\n" in kubeconfig:
            config = KubeConfig.from_dict(yaml.safe_load(kubeconfig))
        else:
            config = _from_files(kubeconfig or os.environ.get("KUBECONFIG") or "~/.kube/config")
        return cast("SingleConfig", config.get(context))
    except (KubeConfigError, KeyError, TypeError, yaml.YAMLError, OSError) as error:
        raise ClusterError(f"no usable kubeconfig: {error}") from error


def _from_files(paths: str) -> KubeConfig:
    """Reads one file, or merges several as kubectl does: the first file that names something wins."""
    files = [Path(part).expanduser() for part in paths.split(os.pathsep) if part]
    found = [KubeConfig.from_file(file) for file in files if file.is_file()]
    if not found:
        try:
            return KubeConfig.from_service_account()
        except KubeConfigError:
            raise KubeConfigError(f"{paths} not found (set KUBECONFIG)") from None
    first, *others = found
    for other in others:
        first.current_context = first.current_context or other.current_context
        for mine, theirs in (
            (first.clusters, other.clusters),
            (first.users, other.users),
            (first.contexts, other.contexts),
        ):
            cast("dict[str, Any]", mine).update(
                {key: value for key, value in theirs.items() if key not in mine}
            )
    return first


class _Reader:
    """Lists objects as plain dicts; every failure is one sentence."""

    def __init__(self, client: Client, namespace: str) -> None:
        self._client = client
        self._namespace = namespace

    def objects(
        self,
        kind: type[Any],
        *,
        labels: Mapping[str, Any] | None = None,
        required: bool = True,
        namespace: str | None = None,
    ) -> list[Object]:
        """Lists a kind in the namespace (or "*")."""
        result = self._try(
            lambda: [
                cast("Object", item.to_dict())
                for item in self._client.list(
                    kind, namespace=namespace or self._namespace, labels=cast("Any", labels)
                )
            ],
            f"list {_plural(kind)}",
            tolerate={404} if required else {403, 404},
        )
        return result or []

    def served(self, kind: type[Any]) -> list[Object] | None:
        """Lists a kind in all namespaces, or in this one where only that is allowed; None: not served."""
        for namespace in ("*", self._namespace):
            try:
                return [
                    cast("Object", item.to_dict()) for item in self._client.list(kind, namespace=namespace)
                ]
            except ApiError as error:
                if error.status.code == 404:
                    return None
                if error.status.code != 403 or namespace != "*":
                    raise ClusterError(refusal(f"list {_plural(kind)}", error)) from error
            except (httpx.HTTPError, OSError) as error:
                raise ClusterError(unreachable(self._client, error)) from error
        return None

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
            tolerate={403, 404},
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
            lambda: self._client.get(Namespace, self._namespace), "get the namespace", tolerate={403, 404}
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
            tolerate={404},
        )
        return result or []

    def _try(self, call: Callable[[], T], what: str, *, tolerate: set[int]) -> T | None:
        try:
            return call()
        except ApiError as error:
            if error.status.code in tolerate:
                return None
            raise ClusterError(refusal(what, error)) from error
        except (httpx.HTTPError, OSError) as error:
            raise ClusterError(unreachable(self._client, error)) from error


def _plural(kind: type[Any]) -> str:
    return str(kind._api_info.plural)


def refusal(what: str, error: ApiError) -> str:
    """Says in one sentence what the API server refused.

    Args:
        what: What was tried.
        error: Its answer.
    """
    return f"cannot {what} on the cluster: {error.status.message or error}"


def unreachable(client: Client, error: Exception) -> str:
    """Says in one sentence that there was no answer.

    Args:
        client: The client.
        error: What it raised.
    """
    server = client.config.cluster.server
    return f"the cluster at {server} cannot be reached: {error or type(error).__name__}"
