"""What guards the forks of a plan: policies made again, and the egress lock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from kardinal_infra.forking import ForkPeers, fork_policies, lock_sidecar, locked_hosts
from kardinal_infra.model.names import ServiceRef
from kardinal_infra.observed.live import pod_template
from kardinal_infra.plan.context import Context
from kardinal_infra.plan.model import ForkPlan
from kardinal_infra.plan.parent_databases import parent_services


def guarded(context: Context, forks: Sequence[ForkPlan]) -> list[ForkPlan]:
    """Gives each fork the policies that its pods need.

    Only with all of them planned is it known whom the policies of each have to let in.

    Args:
        context: Everything known.
        forks: The flow's forks.
    """
    peers = ForkPeers((fork.spec for fork in forks), context.live)
    hosts = _reachable(context, forks) if context.egress.locked else []
    result = []
    for fork in forks:
        labels = pod_template(fork.manifest)["metadata"]["labels"]
        policies: list[Mapping[str, Any]] = [*fork_policies(fork.spec, labels, context.live, peers)]
        if fork.spec.locked:
            policies.append(lock_sidecar(fork.spec, hosts))
        result.append(replace(fork, policies=tuple(policies)))
    return result


def _reachable(context: Context, forks: Sequence[ForkPlan]) -> list[str]:
    """What locked forks may call: the same for all of them."""
    topology = context.topology
    # Whatever the baseline's may call; the routes there lead on to the flow's other forks.
    called = [topology.ref(name) for name, service in topology.services.items() if service.ports]
    closed = parent_services(topology, context.handovers, context.capabilities)
    services = [ref for ref in called if ref.name not in context.fresh_services and ref not in closed]
    services += [ServiceRef(fork.spec.owner.namespace, fork.name) for fork in forks if fork.service_manifest]
    allowed = [
        item.model_copy(update={"namespace": item.namespace or topology.namespace})
        for item in context.egress.destinations
    ]
    return locked_hosts(context.owner, services, sorted(context.handovers), allowed)
