"""What a pooler in the pod cannot do: keep two databases of one host apart, or prove who it is."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from kardinal_infra.model.service import Service
from kardinal_infra.model.topology import Handover, Topology
from kardinal_infra.observed.live import Object, containers, pod_template
from kardinal_infra.safety.parent_secrets import named_host

_PROVING = re.compile(r"\b(sslmode=verify-(?:ca|full)|channel_binding=require)\b")
"""What a client may ask for that the pooler's own certificate cannot satisfy."""


def shared_host_problems(
    topology: Topology, service: Service, handovers: Mapping[str, Handover]
) -> Iterator[str]:
    """Finds databases of one service that are handed over by a sidecar at the same host name.

    A host name leads to one address in a pod, and each database's pooler listens on an address of its own.

    Args:
        topology: The application.
        service: The topology's words about the service.
        handovers: Hand-over by database; those that are not in it are not handed over.

    Yields:
        Sentences.
    """
    first: dict[str, str] = {}
    for use in service.databases:
        host = topology.databases[use.database].host if use.database in topology.databases else None
        if host is None or handovers.get(use.database) != "sidecar":
            continue
        # DNS names: case does not matter, nor a dot at the end.
        before = first.setdefault(host.lower().rstrip("."), use.database)
        if before != use.database:
            yield (
                f'databases "{before}" and "{use.database}" cannot both have the hand-over "sidecar": the'
                f' application reaches both at host "{host}", which can lead to one pooler only; use the'
                ' hand-over "env" for one of them'
            )


def unpooled_problems(
    topology: Topology, service: Service, handovers: Mapping[str, Handover], workload: Object
) -> Iterator[str]:
    """Finds connection strings that a pooler cannot answer, or that do not lead to it.

    Only literal ones: nobody reads what stands in a Secret.

    Args:
        topology: The application.
        service: The topology's words about the service.
        handovers: Hand-over by database.
        workload: The live workload.

    Yields:
        Sentences.
    """
    for use in service.databases:
        if handovers.get(use.database) != "sidecar":
            continue
        host = topology.databases[use.database].host
        for container in containers(pod_template(workload)):
            for entry in container.get("env") or ():
                part, value = use.environment.get(entry["name"]), str.__str__(entry.get("value") or "")
                if found := _PROVING.search(value) if part else None:
                    yield (
                        f"variable {entry['name']} asks for {found[1]}, which the pooler of database"
                        f' "{use.database}" cannot satisfy: use the hand-over "env"'
                    )
                named = named_host(value, part)
                if named and named != host:
                    yield (
                        f'variable {entry["name"]} names host "{named}" of database "{use.database}", and'
                        f' only "{host}" leads to the pooler: name that one, or use the hand-over "env"'
                    )
