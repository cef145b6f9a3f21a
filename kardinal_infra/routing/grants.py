"""What lets a flow's public host lead to forks in other namespaces.

A Gateway follows a route to a Service of another namespace only when a ReferenceGrant there allows it;
sidecars do not ask for one. The user's grants may name the baseline's Services, so forks get grants of their
own.

Fact: docs/facts/mesh.md#backends-of-another-namespace.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from kardinal_infra.model.names import Owner, shorten
from kardinal_infra.observed.live import Object, namespace_of
from kardinal_infra.observed.routes import rules_of
from kardinal_infra.routing.gateway_api.filters import MIRROR

API_VERSION = "gateway.networking.k8s.io/v1beta1"


def reference_grants(owner: Owner, entries: Iterable[Object], forks: Iterable[str]) -> list[dict[str, Any]]:
    """Makes the grants that a flow's public hosts need.

    Args:
        owner: Stack and flow.
        entries: Routes of the hosts; VirtualServices need no grant.
        forks: Names of the flow's forks.

    Returns:
        One manifest for each namespace that a route leads from and fork that it leads to.
    """
    known = frozenset(forks)
    needed = {
        (str(backend["namespace"]), backend["name"], namespace_of(route))
        for route in entries
        if route["kind"] == "HTTPRoute"
        for backend in _backends(route)
        if backend["name"] in known and backend.get("namespace", namespace_of(route)) != namespace_of(route)
    }
    return [_grant(owner.at(home), fork, source) for home, fork, source in sorted(needed)]


def _backends(route: Object) -> Iterator[Mapping[str, Any]]:
    for rule in rules_of(route):
        yield from rule.get("backendRefs") or ()
        for item in rule.get("filters") or ():
            if item.get("type") == MIRROR:
                yield item["requestMirror"]["backendRef"]


def _grant(owner: Owner, fork: str, source: str) -> dict[str, Any]:
    return {
        "apiVersion": API_VERSION,
        "kind": "ReferenceGrant",
        "metadata": owner.metadata(shorten(f"{fork}-from-{source}")),
        "spec": {
            "from": [
                {"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "namespace": source},
            ],
            "to": [{"group": "", "kind": "Service", "name": fork}],
        },
    }
