"""What guarded the baseline's pods by label, made again for a fork, which has lost those labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

from kardinal_infra.forking.spec import ForkSpec
from kardinal_infra.live import (
    LiveObjects,
    Object,
    name_of,
    namespace_of,
    pod_labels,
    policy_selector,
    spec_of,
)
from kardinal_infra.names import shorten
from kardinal_infra.selectors import matches

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
    spec: ForkSpec, labels: Mapping[str, str], live: LiveObjects, forks: Sequence[ForkSpec]
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
        _recreate(policy, spec, live, forks)
        for policy in lost_policies(spec, labels, live)
        if policy["kind"] in RECREATED and not (spec.locked and policy["kind"] == "Sidecar")
    ]


def _recreate(policy: Object, spec: ForkSpec, live: LiveObjects, forks: Sequence[ForkSpec]) -> dict[str, Any]:
    kind, home = policy["kind"], namespace_of(policy)
    # Two policies may have one name: the mesh's own namespace holds policies for all pods.
    title = name_of(policy) if home == spec.owner.namespace else f"{home}-{name_of(policy)}"
    content = deepcopy(dict(spec_of(policy)))
    if kind == "NetworkPolicy":
        content["podSelector"] = {"matchLabels": spec.selector}
        for part, peers in (("ingress", "from"), ("egress", "to")):
            for rule in content.get(part) or ():
                if peers in rule:
                    rule[peers] = [*rule[peers], *_fork_peers(rule[peers], spec, live, forks)]
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


def _fork_peers(
    peers: Sequence[Mapping[str, Any]], spec: ForkSpec, live: LiveObjects, forks: Sequence[ForkSpec]
) -> list[dict[str, Any]]:
    home = spec.owner.namespace
    found = []
    for fork in forks:
        there = live.of(fork.owner.namespace)
        if any(peer_matches(peer, pod_labels(fork.workload), there, home) for peer in peers):
            pods = {"podSelector": {"matchLabels": fork.selector}}
            named = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": there.namespace}}}
            found.append(pods if there.namespace == home else {**named, **pods})
    return found


def peer_matches(peer: Mapping[str, Any], labels: Mapping[str, str], live: LiveObjects, home: str) -> bool:
    """Says whether a NetworkPolicy's peer means certain pods.

    Args:
        peer: A member of `from` or `to`.
        labels: Labels of the pods.
        live: The snapshot of the pods' namespace.
        home: Namespace of the policy.
    """
    if "podSelector" not in peer and "namespaceSelector" not in peer:
        return False
    if "namespaceSelector" in peer:
        there = matches(peer["namespaceSelector"] or {}, live.namespace_labels)
    else:
        there = live.namespace == home
    return there and matches(peer.get("podSelector") or {}, labels)
