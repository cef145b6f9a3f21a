"""What the pods of the application tell: whose address is whose, who has a sidecar, and of which image."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from kardinal_infra.model.names import LABEL_FORK
from kardinal_infra.model.topology import Topology
from kardinal_infra.observed.live import LiveObjects, Object
from kardinal_infra.observed.selectors import matches

SIDECAR = "istio-proxy"
"""Name of the mesh's container, an ordinary one or a native sidecar."""

ENDED = ("Succeeded", "Failed")
"""Phases of pods that call nobody any more, and whose address may be another pod's by now."""


def services_of(pod: Object, topology: Topology, live: LiveObjects, forks: Mapping[str, str]) -> list[str]:
    """Finds the services of the application that a pod belongs to.

    Args:
        pod: The pod.
        topology: The application.
        live: The snapshot of the pod's namespace, with its Services.
        forks: Fork by service, of the flow that is looked at.

    Returns:
        The services, several where their Services select the same pods; none for a pod that has ended, of
        another flow, or of none of the services.
    """
    # A pod that is still starting stays: it may take a request before the run is over.
    if (pod.get("status") or {}).get("phase") in ENDED:
        return []
    labels = pod.get("metadata", {}).get("labels") or {}
    if LABEL_FORK in labels:
        return [service for service, fork in forks.items() if fork == labels[LABEL_FORK]]
    found = []
    for name, home in topology.homes.items():
        if home != live.namespace:
            continue
        selector = ((live.service(name) or {}).get("spec") or {}).get("selector")
        if selector and matches({"matchLabels": selector}, labels):
            found.append(name)
    return found


def addresses(pods: Mapping[str, Iterable[Object]]) -> dict[str, list[str]]:
    """Returns the services by each address of their pods.

    Args:
        pods: Pods by service.
    """
    found: dict[str, list[str]] = {}
    for service, group in pods.items():
        for pod in group:
            for item in (pod.get("status") or {}).get("podIPs") or ():
                found.setdefault(item["ip"], []).append(service)
    return found


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
