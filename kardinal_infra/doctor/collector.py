"""The collector: an Envoy that answers every mirrored request with 204 and logs the probe's headers of it.

Its image is the one of the mesh's sidecars, which every node has or can pull. It is read by its log alone: no
port is forwarded and nothing is executed in a pod.

Facts: docs/facts/mesh.md#mirrored-requests-tell-who-called, docs/facts/mesh.md#expression-on-baggage.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kardinal_infra.doctor.marks import LIFE_SECONDS
from kardinal_infra.model.names import Owner
from kardinal_infra.observed.live import INJECT
from kardinal_infra.routing.key import DEFAULT_KEY, Carrier, Key

HEADER_HOP = "x-kardinal-hop"
"""Request header that a probe's routes set to the Service a request is for."""

CONTAINER = "collector"
PORT = 8080
USER = 65532
"""Any id but root's and the mesh's own 1337."""

_ENVOY = "type.googleapis.com/envoy.extensions"


@dataclass(frozen=True)
class Sighting:
    """A mirrored request.

    Attributes:
        service: Service that the request was for.
        address: Address of the pod that sent it.
        carriers: What carried the key.
    """

    service: str
    address: str
    carriers: frozenset[Carrier]


def collector_job(owner: Owner, image: str, routing_key: Key = DEFAULT_KEY) -> dict[str, Any]:
    """Makes the Job that the collector runs in.

    The Job ends at `LIFE_SECONDS` and deletes itself, whoever is there to do it.

    Args:
        owner: The probe.
        image: Image with Envoy.
        routing_key: What is logged of requests.
    """
    container = {
        "name": CONTAINER,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["envoy"],
        "args": [
            *("--config-yaml", json.dumps(_envoy(routing_key))),
            *("--file-flush-interval-msec", "100"),
            *("--log-level", "error", "--concurrency", "1", "--disable-hot-restart"),
        ],
        "ports": [{"containerPort": PORT}],
        "readinessProbe": {"tcpSocket": {"port": PORT}, "periodSeconds": 1},
        "resources": {
            "requests": {"cpu": "10m", "memory": "32Mi"},
            "limits": {"cpu": "500m", "memory": "128Mi"},
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
    }
    pod = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 1,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
    }
    # With a sidecar the Job would never end by itself; callers talk plain HTTP to pods without one.
    labels = {**owner.labels(), **_selector(owner), INJECT: "false"}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": owner.metadata(str(owner.flow)),
        "spec": {
            "activeDeadlineSeconds": LIFE_SECONDS,
            "ttlSecondsAfterFinished": 0,
            "backoffLimit": 0,
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }


def collector_service(owner: Owner) -> dict[str, Any]:
    """Makes the Service that requests are mirrored to.

    Args:
        owner: The probe.
    """
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": owner.metadata(str(owner.flow)),
        "spec": {
            "selector": _selector(owner),
            "ports": [{"name": "http", "port": PORT, "targetPort": PORT}],
        },
    }


def read_log(lines: Iterable[str], key: str, routing_key: Key = DEFAULT_KEY) -> Iterator[Sighting]:
    """Reads the collector's log.

    Args:
        lines: Its lines; those that are no JSON object are Envoy's own words.
        key: The probe's key.
        routing_key: As for `collector_job`.

    Yields:
        What was mirrored with the key.
    """
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if not isinstance(entry, Mapping) or not entry.get("hop"):
            continue
        # A mirroring proxy appends its own pod's address.
        address = str(entry.get("from") or "").rpartition(",")[2].strip()
        carriers = zip(routing_key.asked, routing_key.names, strict=True)
        headers = {name: str(entry.get(carrier) or "") for carrier, name in carriers}
        if found := routing_key.carriers_in(headers, key):
            yield Sighting(str(entry["hop"]), address, found)


def _selector(owner: Owner) -> dict[str, str]:
    return {"kardinal.dev/collector": str(owner.flow)}


def _envoy(routing_key: Key) -> dict[str, Any]:
    logged = {"hop": HEADER_HOP, "from": "x-forwarded-for"}
    logged.update(zip(routing_key.asked, routing_key.names, strict=True))
    log = {
        "@type": f"{_ENVOY}.access_loggers.stream.v3.StdoutAccessLog",
        "log_format": {"json_format": {name: f"%REQ({header})%" for name, header in logged.items()}},
    }
    answer = {"match": {"prefix": "/"}, "direct_response": {"status": 204}}
    manager = {
        "@type": f"{_ENVOY}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "collector",
        "skip_xff_append": True,
        "access_log": [{"name": "log", "typed_config": log}],
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [answer]}]},
        "http_filters": [
            {"name": "router", "typed_config": {"@type": f"{_ENVOY}.filters.http.router.v3.Router"}}
        ],
    }
    listener = {
        "name": "collector",
        "address": {"socket_address": {"address": "0.0.0.0", "port_value": PORT}},  # noqa: S104 - in a pod
        "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
    }
    return {"static_resources": {"listeners": [listener]}}
