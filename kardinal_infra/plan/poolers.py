"""Databases that a pooler in the pod cannot keep apart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from kardinal_infra.service import Service
from kardinal_infra.topology import Handover, Topology


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
