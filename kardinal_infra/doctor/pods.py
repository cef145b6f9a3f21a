"""What the pods of the application tell: whose address is whose, who has a sidecar, and of which image."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from kardinal_infra.live import LiveObjects, Object
from kardinal_infra.names import LABEL_FORK
from kardinal_infra.selectors import matches
from kardinal_infra.topology import Topology

SIDECAR = "istio-proxy"
"""Name of the mesh's container, an ordinary one or a native sidecar."""

ENDED = ("Succeeded", "Failed")
"""Phases of pods that call nobody any more, and whose address may be another pod's by now."""


def service_of(pod: Object, topology: Topology, live: LiveObjects, forks: Mapping[str, str]) -> str | None:
    """Finds the service of the application that a pod belongs to.

    Args:
        pod: The pod.
        topology: The application.
        live: The snapshot of the pod's namespace, with its Services.
        forks: Fork by service, of the flow that is looked at.

    Returns:
        The service; None for a pod that has ended, of another flow, or of none of the services.
    """
    if (pod.get("status") or {}).get("phase") in ENDED:
        return None
    labels = pod.get("metadata", {}).get("labels") or {}
    if LABEL_FORK in labels:
        return next((service for service, fork in forks.items() if fork == labels[LABEL_FORK]), None)
    for name, home in topology.homes.items():
        if home != live.namespace:
            continue
        selector = ((live.service(name) or {}).get("spec") or {}).get("selector")
        if selector and matches({"matchLabels": selector}, labels):
            return name
    return None


def addresses(pods: Mapping[str, Iterable[Object]]) -> dict[str, str]:
    """Returns the service by each address of its pods.

    Args:
        pods: Pods by service.
    """
    return {
        item["ip"]: service
        for service, group in pods.items()
        for pod in group
        for item in (pod.get("status") or {}).get("podIPs") or ()
    }


def without_sidecar(pods: Iterable[Object]) -> list[str]:
    """Names the pods whose calls do not go through a sidecar.

    Args:
        pods: Pods.
    """
    return sorted(pod["metadata"]["name"] for pod in pods if not any(_sidecars(pod)))


def proxy_image(pods: Iterable[Object]) -> str | None:
    """Returns the image of the mesh's sidecars; None when no pod has one.

    Args:
        pods: Pods.
    """
    return next((str(item["image"]) for pod in pods for item in _sidecars(pod)), None)


def _sidecars(pod: Object) -> Iterator[Object]:
    spec = pod.get("spec") or {}
    for item in (*(spec.get("initContainers") or ()), *(spec.get("containers") or ())):
        if item.get("name") == SIDECAR:
            yield item
