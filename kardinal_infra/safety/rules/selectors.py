"""Rules about what selects pods by label: what must never reach a fork, and what must go on guarding it.

Fact: docs/facts/mesh.md#labels-that-services-select-by.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kardinal_infra.forking.policies import RECREATED, peer_means_namespace
from kardinal_infra.observed.index import grouped
from kardinal_infra.observed.labels import ByLabels
from kardinal_infra.observed.live import (
    Object,
    flow_of,
    name_of,
    namespace_of,
    pod_labels,
    policy_selector,
    spec_of,
)
from kardinal_infra.observed.selectors import matches
from kardinal_infra.safety.case import Case, ProposedFork
from kardinal_infra.safety.findings import Hit, safety_rule


@safety_rule("fork-selected", "error")
def fork_selected(case: Case) -> Iterator[Hit]:
    """A Service, workload or PodDisruptionBudget would count or reach the fork's pods."""
    for fork in case.forks:
        live = case.live_of(fork.service)
        # Dropping labels is enough for matchLabels; NotIn and DoesNotExist select what lacks a label.
        for who in live.selecting(fork.labels):
            message = f'{who} selects pods in a way that would also select the fork of "{fork.service}"'
            yield Hit(fork.path, message, (who,))
        for scaler in live.scalers_of(str(fork.workload.get("kind")), fork.name):
            who = f"HorizontalPodAutoscaler {name_of(scaler)}"
            yield Hit(fork.path, f'{who} would scale the fork of "{fork.service}"', (who,))


@safety_rule("baseline-selected", "error")
def baseline_selected(case: Case) -> Iterator[Hit]:
    """The fork's Service would send the flow's requests to pods of production's."""
    for fork in case.forks:
        selector = spec_of(fork.service_manifest or {}).get("selector")
        if not selector:
            continue
        for item in case.live_of(fork.service).pods_of({"matchLabels": selector}):
            who = f"{item.get('kind', 'workload')} {name_of(item)}"
            yield Hit(
                fork.path,
                f"the fork's Service {fork.name} selects pods of {who}: select by the label"
                " kardinal.dev/fork alone",
                (f"Service {fork.name}", who),
            )


@safety_rule("policy-lost", "warning")
def policy_lost(case: Case) -> Iterator[Hit]:
    """Something configures or guards the baseline's pods by label, and the fork does not get it."""
    for fork in case.forks:
        made = {policy["kind"] for policy in fork.policies}
        for policy in case.live_of(fork.service).policies_for(pod_labels(fork.baseline)):
            if matches(policy_selector(policy), fork.labels) or policy["kind"] in RECREATED & made:
                continue
            who = _title(policy)
            yield Hit(fork.path, f"{who} applies to {fork.title} and not to its fork", (who,))


@safety_rule("policy-gained", "warning")
def policy_gained(case: Case) -> Iterator[Hit]:
    """A policy applies to the fork, because of a label that it lacks, and not to the baseline."""
    for fork in case.forks:
        baseline = pod_labels(fork.baseline)
        for policy in case.live_of(fork.service).policies_for(fork.labels):
            if not matches(policy_selector(policy), baseline):
                who = _title(policy)
                yield Hit(fork.path, f"{who} applies to the fork of {fork.title} and not to itself", (who,))


@safety_rule("policy-shuts-out", "warning")
def policy_shuts_out(case: Case) -> Iterator[Hit]:
    """A NetworkPolicy of pods that are not forked lets the baseline's pods through, and the fork's not."""
    forked = {(case.home(fork.service), *_identity(fork.baseline)) for fork in case.forks}
    peers = _Peers(case)
    placed = [(live, policy) for live in case.live.everywhere() for policy in live.policies]
    for live, policy in placed:
        if policy["kind"] != "NetworkPolicy" or flow_of(policy) is not None:
            continue
        guarded = live.workloads_selected(policy_selector(policy))
        if all((live.namespace, *_identity(item)) in forked for item in guarded):
            continue  # made again for their forks, with the other forks let in
        who = _title(policy)
        for fork in peers.shut_out(list(_peers_of(policy)), live.namespace):
            message = (
                f"{who} lets the pods of {fork.title} through by labels that the fork does not have:"
                f" allow kardinal.dev/service={fork.service} there"
            )
            yield Hit(fork.path, message, (who,))


class _Peers:
    """The forks, to be asked whose baselines a policy lets through without them."""

    def __init__(self, case: Case) -> None:
        self._forks = case.forks
        homes = grouped((case.home(fork.service), place) for place, fork in enumerate(case.forks))
        self._homes = [
            (
                case.live.of(home),
                ByLabels((pod_labels(case.forks[place].baseline), place) for place in places),
            )
            for home, places in homes.items()
        ]

    def shut_out(self, peers: Sequence[Mapping[str, Any]], home: str) -> Iterator[ProposedFork]:
        for live, forks in self._homes:
            selectors = [
                peer.get("podSelector") or {} for peer in peers if peer_means_namespace(peer, live, home)
            ]
            if {} in selectors:
                continue  # all pods of the namespace are let through, the forks' too
            admitted = {place for selector in selectors for place in forks.selected(selector)}
            for fork in (self._forks[place] for place in sorted(admitted)):
                if not any(matches(selector, fork.labels) for selector in selectors):
                    yield fork


def _peers_of(policy: Object) -> Iterator[Mapping[str, Any]]:
    spec = spec_of(policy)
    for rule in (*(spec.get("ingress") or ()), *(spec.get("egress") or ())):
        yield from (*(rule.get("from") or ()), *(rule.get("to") or ()))


def _identity(workload: Object) -> tuple[str, str]:
    return str(workload["kind"]), name_of(workload)


@safety_rule("unread", "warning")
def unread(case: Case) -> Iterator[Hit]:
    """What the other rules need to know may not be read."""
    kinds = [*sorted(case.live.unread)]
    kinds += [
        kind if live is case.live else f"{kind} in {live.namespace}"
        for live in case.live.everywhere()
        for kind, keys in (("Secret", live.secret_keys), ("ConfigMap", live.config_map_keys))
        if keys is None
    ]
    if kinds and case.forks:
        listed = ", ".join(kinds)
        yield Hit("cluster", f"not proved, because these may not be listed: {listed}", tuple(kinds))


def _title(policy: Object) -> str:
    return f"{policy['kind']} {namespace_of(policy)}/{name_of(policy)}"
