"""Rules about work that nobody routes: queues, topics, consumer groups."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from kardinal_infra.observed.live import LiveObjects, Object, pod_template, spec_of
from kardinal_infra.safety.case import Case
from kardinal_infra.safety.findings import Hit, Rule
from kardinal_infra.safety.references import origins


def shared_queues(
    queues: Collection[str], live: LiveObjects, baseline: Object, fork: Object
) -> frozenset[str]:
    """Names the variables by which a fork would take work from where production's pods do.

    Args:
        queues: Variables that name queues, topics or consumer groups.
        live: The cluster in the fork's namespace.
        baseline: Production's pod template.
        fork: The fork's pod template.

    Returns:
        Those that hold the same text in both, or the same key of the same Secret or ConfigMap.
    """
    before, after = (
        {
            (name, origin)
            # What starts before the worker takes none of its work, and often has the same variables.
            for container in spec_of(template).get("containers") or ()
            for name, origin in origins(live, container).items()
        }
        for template in (baseline, fork)
    )
    return frozenset(name for name, _ in before & after if name in queues)


def worker_shares_queue(case: Case) -> Iterator[Hit]:
    """The fork would take messages from production's queue and write what they cause to the flow's data."""
    fresh = case.fresh()
    for fork in case.forks:
        service = case.topology.services[fork.service]
        if spec_of(fork.workload).get("replicas", 1) == 0 or (service.ports and service.queues is None):
            continue
        if service.works_on(fresh):
            continue  # there is nothing of production's in it
        if service.queues is None:
            yield Hit(
                fork.path,
                f"the fork of {fork.title}, a worker, may take production's work: leave it at 0 replicas, or"
                " declare in the baseline which variables name its queues (`queues`, empty for none) and set"
                " them in `env`",
            )
            continue
        own = fork.requested_env - shared_queues(
            service.queues, case.live_of(fork.service), pod_template(fork.baseline), fork.template
        )
        if missing := sorted(set(service.queues) - own):
            yield Hit(
                fork.path,
                f"the fork of {fork.title} would take production's work: set {', '.join(missing)} in `env`"
                " to queues or groups of its own, or `replicas: 0`",
            )


RULES = (Rule("worker-shares-queue", "error", worker_shares_queue),)
