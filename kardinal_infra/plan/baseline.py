"""What a baseline stack checks, and how a flow remembers what its baseline was."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping

from kardinal_infra.config.baseline import KEY
from kardinal_infra.errors import Problem
from kardinal_infra.forking.workloads import find_workload
from kardinal_infra.model.topology import Handover, Topology
from kardinal_infra.observed.live import LiveObjects, Object, pod_template
from kardinal_infra.plan.mesh import adoption_problems, cluster_problems
from kardinal_infra.plan.poolers import shared_host_problems

_VERSION_DIGITS = 12


def baseline_problems(topology: Topology, live: LiveObjects) -> list[Problem]:
    """Compares what a baseline's config says with the cluster.

    Args:
        topology: The application.
        live: The snapshot.

    Returns:
        Everything that is missing, and every mesh VirtualService that a catch-all route would switch off.
    """
    problems = list(cluster_problems(live))
    handovers: dict[str, Handover] = {key: value.handover for key, value in topology.databases.items()}
    for name, service in sorted(topology.services.items()):
        path = f"{KEY}.services.{name}"
        found = adoption_problems(topology.homes[name], name, service, live)
        problems += [Problem(path, message) for message in found]
        poolers = shared_host_problems(topology, service, handovers)
        problems += [Problem(path, message) for message in poolers]
        if service.ports and live.of(service.namespace).service(name) is None:
            continue  # said already, and without it nothing tells which workload is meant
        try:
            find_workload(live, name, service)
        except ValueError as error:
            problems.append(Problem(path, str(error)))
    return problems


def baseline_version(images: Mapping[str, str], workloads: Iterable[Object]) -> str:
    """Identifies what a flow was derived from.

    Args:
        images: Image by service of the whole application.
        workloads: The live workloads that were forked.

    Returns:
        12 hexadecimal digits; they change with an image of the application and with a forked pod template.
    """
    content = json.dumps(
        [dict(images), [pod_template(item) for item in workloads]], sort_keys=True, default=str
    )
    return hashlib.sha256(content.encode()).hexdigest()[:_VERSION_DIGITS]
