"""A cloud's load balancer in small: gives Services of type LoadBalancer an address of the lab.

kube-proxy does the rest. Runs as a process of its own: ``python -m lab.loadbalancer RANGE``, with KUBECONFIG.
"""

from __future__ import annotations

import ipaddress
import os
import sys
import time
from collections.abc import Iterable, Mapping

import httpx
from lightkube import Client, KubeConfig
from lightkube.core.exceptions import ApiError
from lightkube.models.core_v1 import LoadBalancerIngress, LoadBalancerStatus, ServiceStatus
from lightkube.resources.core_v1 import Service
from lightkube.types import PatchType


def free_address(addresses: str, taken: Iterable[str]) -> str | None:
    """The first address of a range that nobody has, the network's own left out; None if all are taken."""
    used = set(taken)
    return next(
        (str(host) for host in ipaddress.ip_network(addresses).hosts() if str(host) not in used), None
    )


def wanted_addresses(addresses: str, services: Mapping[str, tuple[bool, str]]) -> dict[str, str]:
    """What to write, Service by Service.

    Args:
        addresses: The range, such as ``10.0.0.0/24``.
        services: Key of a Service -> whether it wants an address, and the one it has or empty; oldest first.

    Returns:
        Key -> new address, or empty to take the address away. A Service that is as it should be is not named.
    """
    held = {address for wants, address in services.values() if wants and address}
    changes: dict[str, str] = {}
    for key, (wants, address) in services.items():
        if wants and not address:
            if found := free_address(addresses, held):
                held.add(found)
                changes[key] = found
        elif not wants and address:
            changes[key] = ""
    return changes


def _address(service: Service) -> str:
    ingress = service.status.loadBalancer.ingress if service.status and service.status.loadBalancer else None
    return (ingress[0].ip or "") if ingress else ""


def _state(service: Service) -> tuple[bool, str]:
    return service.spec is not None and service.spec.type == "LoadBalancer", _address(service)


def _key(service: Service) -> tuple[str, str, str]:
    metadata = service.metadata
    assert metadata, "a Service that was read has metadata"
    return str(metadata.creationTimestamp), str(metadata.namespace), str(metadata.name)


def _reconcile(client: Client, addresses: str) -> None:
    services = sorted(client.list(Service, namespace="*"), key=_key)
    state = {"/".join(_key(service)[1:]): _state(service) for service in services}
    for key, address in wanted_addresses(addresses, state).items():
        namespace, name = key.split("/")
        ingress = [LoadBalancerIngress(ip=address, ipMode="VIP")] if address else []
        change = Service(status=ServiceStatus(loadBalancer=LoadBalancerStatus(ingress=ingress)))
        client.patch(Service.Status, name, change, namespace=namespace, patch_type=PatchType.MERGE)
        print(f"{key}: {address or 'address taken back'}", flush=True)


def main(addresses: str) -> None:
    """Watch Services for ever; a lost connection is taken up again."""
    client = Client(KubeConfig.from_file(os.environ["KUBECONFIG"]).get(), trust_env=False)
    while True:
        try:
            _reconcile(client, addresses)
            for _ in client.watch(Service, namespace="*", server_timeout=300):
                _reconcile(client, addresses)
        except (ApiError, httpx.HTTPError) as error:
            print(f"Kubernetes API: {error}", flush=True)
            time.sleep(1)


if __name__ == "__main__":
    main(sys.argv[1])
