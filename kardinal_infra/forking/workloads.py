"""Which workload is behind a service."""

from __future__ import annotations

from kardinal_infra.model.service import Service
from kardinal_infra.observed.live import LiveObjects, Object, name_of


def find_workload(live: LiveObjects, name: str, service: Service) -> Object:
    """Finds the workload of a service: the declared one, or the one that its Service selects.

    Args:
        live: The snapshot.
        name: Name of the service.
        service: The topology's words about it.

    Returns:
        The live Deployment or StatefulSet, with its `kind`.

    Raises:
        ValueError: There is none, or several; the message says what to do.
    """
    live = live.of(service.namespace)
    if service.workload is not None:
        declared = live.workload(service.workload.kind, service.workload.name)
        if declared is None:
            raise ValueError(
                f'there is no {service.workload.kind} "{service.workload.name}" in namespace {live.namespace}'
            )
        return declared
    item = live.service(name)
    behind = live.workloads_named(name) if item is None else live.workloads_behind(item)
    if not behind:
        place = f'Service "{name}"' if item is not None else f'service "{name}"'
        raise ValueError(f"no Deployment or StatefulSet is behind {place} in namespace {live.namespace}")
    if len(behind) > 1:
        listed = ", ".join(f"{item['kind']} {name_of(item)}" for item in behind)
        raise ValueError(
            f'several workloads are behind service "{name}" ({listed}): set `workload` in the baseline'
        )
    return behind[0]
