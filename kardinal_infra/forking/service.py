"""The Service of a fork."""

from __future__ import annotations

from typing import Any

from kardinal_infra.forking.spec import ForkSpec
from kardinal_infra.observed.live import spec_of

_PORT_FIELDS = ("name", "port", "targetPort", "protocol", "appProtocol")

SKIP_AWAIT = {"pulumi.com/skipAwait": "true"}
"""Leaves out the Kubernetes provider's 10 s settling wait for Services: routes and probe prove more
(docs/facts/kubernetes-plugin.md#a-service-waits-ten-seconds)."""


def fork_service(spec: ForkSpec) -> dict[str, Any]:
    """Makes the Service of a fork.

    Always with a cluster IP, also for headless baselines: Istio sends tagged traffic for a headless fork to
    the baseline (docs/facts/mesh.md#a-fork-has-a-cluster-address). No annotation of the baseline is kept:
    they order load balancers and DNS names.

    Args:
        spec: The fork; its `live_service` gives the ports.

    Returns:
        The manifest.
    """
    live_ports = spec_of(spec.live_service or {}).get("ports") or ()
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": spec.owner.metadata(spec.name, spec.service, SKIP_AWAIT),
        "spec": {
            "type": "ClusterIP",
            "selector": spec.selector,
            "ports": [{key: port[key] for key in _PORT_FIELDS if key in port} for port in live_ports],
        },
    }
