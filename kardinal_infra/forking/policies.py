"""What guarded the baseline's pods by label, made again for a fork, which has lost those labels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from typing import Any

from kardinal_infra.forking.spec import ForkSpec
from kardinal_infra.model.names import shorten
from kardinal_infra.observed.index import grouped
from kardinal_infra.observed.labels import ByLabels
from kardinal_infra.observed.live import (
    LiveObjects,
    Object,
    name_of,
    namespace_of,
    pod_labels,
    policy_selector,
    spec_of,
)
from kardinal_infra.observed.selectors import matches

RECREATED = frozenset(
    {"NetworkPolicy", "AuthorizationPolicy", "PeerAuthentication", "RequestAuthentication", "Sidecar"}
)
"""Kinds that are made again for a fork."""

_API_VERSIONS = {
    "NetworkPolicy": "networking.k8s.io/v1",
    "AuthorizationPolicy": "security.istio.io/v1",
    "PeerAuthentication": "security.istio.io/v1",
    "RequestAuthentication": "security.istio.io/v1",
    "Sidecar": "networking.istio.io/v1",
}


class ForkPeers:
    """The forks of a flow, to be asked whose baselines a NetworkPolicy lets in or out."""

    def __init__(self, forks: Iterable[ForkSpec], live: LiveObjects) -> None:
        """Files the forks by the labels of their baselines' pods.

        Args:
            forks: All forks of the flow.
            live: The snapshot.
        """
        self._forks = list(forks)
        homes = grouped((fork.owner.namespace, place) for place, fork in enumerate(self._forks))
        self._homes = [
            (live.of(home), ByLabels((pod_labels(self._forks[place].workload), place) for place in places))
            for home, places in homes.items()
        ]

    def meant(self, peers: Sequence[Mapping[str, Any]], home: str) -> list[ForkSpec]:
        """Finds the forks whose baselines are meant, in their order.

        Args:
            peers: Members of `from` or `to`.
            home: Namespace of the policy.
        """
        places: set[int] = set()
        for peer in peers:
            for live, forks in self._homes:
                if peer_means_namespace(peer, live, home):
                    places.update(forks.selected(peer.get("podSelector") or {}))
        return [self._forks[place] for place in sorted(places)]


def lost_policies(spec: ForkSpec, labels: Mapping[str, str], live: LiveObjects) -> list[Object]:
    """Finds the policies that apply to a baseline's pods and not to its fork's.

    Args:
        spec: The fork.
        labels: Labels of the fork's pods.
        live: The snapshot.

    Returns:
        Policies with their kind.
    """
    return [
        policy
        for policy in live.of(spec.owner.namespace).policies_for(pod_labels(spec.workload))
        if not matches(policy_selector(policy), labels)
    ]


def fork_policies(
    spec: ForkSpec, labels: Mapping[str, str], live: LiveObjects, forks: ForkPeers
) -> list[dict[str, Any]]:
    """Makes the policies that the baseline's pods have and the fork's would lack.

    A NetworkPolicy that lets the baseline of another fork in or out does so for that fork too, or the flow's
    own services could not talk to each other. A Sidecar is left out where the fork gets the egress lock.

    Args:
        spec: The fork.
        labels: Labels of the fork's pods.
        live: The snapshot.
        forks: All forks of the flow.

    Returns:
        Manifests with the fork's selector.
    """
    return [
        _recreate(policy, spec, forks)
        for policy in lost_policies(spec, labels, live)
        if policy["kind"] in RECREATED and not (spec.locked and policy["kind"] == "Sidecar")
    ]


def _recreate(policy: Object, spec: ForkSpec, forks: ForkPeers) -> dict[str, Any]:
    kind, home = policy["kind"], namespace_of(policy)
    # Two policies may have one name: the mesh's own namespace holds policies for all pods.
    title = name_of(policy) if home == spec.owner.namespace else f"{home}-{name_of(policy)}"
    content = deepcopy(dict(spec_of(policy)))
    if kind == "NetworkPolicy":
        content["podSelector"] = {"matchLabels": spec.selector}
        for part, peers in (("ingress", "from"), ("egress", "to")):
            for rule in content.get(part) or ():
                if peers in rule:
                    rule[peers] = [*rule[peers], *_fork_peers(rule[peers], spec, forks)]
    elif kind == "Sidecar":
        content["workloadSelector"] = {"labels": spec.selector}
    else:
        content["selector"] = {"matchLabels": spec.selector}
    return {
        "apiVersion": _API_VERSIONS[kind],
        "kind": kind,
        "metadata": spec.owner.metadata(shorten(f"{title}-{spec.name}"), spec.service),
        "spec": content,
    }


def _fork_peers(peers: Sequence[Mapping[str, Any]], spec: ForkSpec, forks: ForkPeers) -> list[dict[str, Any]]:
    home = spec.owner.namespace
    found = []
    for fork in forks.meant(peers, home):
        pods, there = {"podSelector": {"matchLabels": fork.selector}}, fork.owner.namespace
        named = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": there}}}
        found.append(pods if there == home else {**named, **pods})
    return found


def peer_means_namespace(peer: Mapping[str, Any], live: LiveObjects, home: str) -> bool:
    """Says whether a NetworkPolicy's peer means pods of a namespace.

    Args:
        peer: A member of `from` or `to`.
        live: The snapshot of the namespace.
        home: Namespace of the policy.
    """
    if "namespaceSelector" in peer:
        return matches(peer["namespaceSelector"] or {}, live.namespace_labels)
    return "podSelector" in peer and live.namespace == home
