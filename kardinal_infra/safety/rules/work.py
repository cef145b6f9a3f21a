"""Rules about work that nobody routes: queues, topics, consumer groups."""

from __future__ import annotations

from collections.abc import Iterator

from kardinal_infra.observed.live import pod_template, spec_of
from kardinal_infra.safety.case import Case
from kardinal_infra.safety.findings import Hit, safety_rule
from kardinal_infra.safety.references import shared_queues


@safety_rule("worker-shares-queue", "error")
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
