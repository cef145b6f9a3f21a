"""The cluster that the Pulumi provider will write to: a client for it, and errors of one sentence."""

from collections.abc import Callable, Collection
from typing import TypeVar

import httpx
from lightkube import ApiError, Client
from lightkube.core.exceptions import ConfigError as KubeConfigError
from tenacity import retry, retry_if_exception_type, stop_after_attempt

from kardinal_infra.cluster.kubeconfig import load_kubeconfig
from kardinal_infra.errors import ClusterError

T = TypeVar("T")

TIMEOUT_SECONDS = 30
"""Longest wait for one answer of the API server."""


def connect(namespace: str, *, kubeconfig: str | None = None, context: str | None = None) -> Client:
    """Makes a client for the cluster.

    Args:
        namespace: Its default namespace.
        kubeconfig: Content or path of a kubeconfig; default: `KUBECONFIG`, the user's own, the pod's.
        context: Context of the kubeconfig; default: its current one.

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
