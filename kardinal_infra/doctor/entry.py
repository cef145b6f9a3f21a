"""The way in: the probe's host, which mirrors to the collector too.

What the Gateway mirrors proves that mirrored requests arrive. Without that proof nobody may be blamed: a
NetworkPolicy or a DestinationRule that keeps them from the collector would look like a lost key.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Any

from kardinal_infra.doctor.collector import HEADER_HOP, PORT, Sighting
from kardinal_infra.routing.gateway_api.filters import MIRROR, REQUEST_HEADERS, merge_filter
from kardinal_infra.routing.gateway_api.host import is_redirect
from kardinal_infra.routing.gateway_api.manifest import service_backend
from kardinal_infra.routing.istio.rules import MIRRORS

GATEWAY = "@gateway"
"""The hop of the way in; no service has this name."""


def watched_entry(manifest: Mapping[str, Any], key: str) -> dict[str, Any]:
    """Makes the route of a flow's host mirror to the collector.

    Args:
        manifest: HTTPRoute or VirtualService, as `entry_route` makes it for the probe.
        key: The probe's key.

    Returns:
        A copy.
    """
    copy = deepcopy(dict(manifest))
    for rule in copy["spec"].get("rules") or ():
        if not is_redirect(rule):
            rule["filters"] = mirrored(rule.get("filters") or (), GATEWAY, key)
    for rule in copy["spec"].get("http") or ():
        if rule.get("route"):
            rule["headers"]["request"]["set"][HEADER_HOP] = GATEWAY
            # Mirrors of a flow's would take a share, or a place.
            for name in MIRRORS:
                rule.pop(name, None)
            rule["mirror"] = {"host": key, "port": {"number": PORT}}
    return copy


def mirrored(filters: Sequence[Mapping[str, Any]], hop: str, key: str) -> list[dict[str, Any]]:
    """Adds to a rule's filters those that show its requests to the collector.

    Args:
        filters: The rule's.
        hop: What its requests are for.
        key: The probe's key, the name of the collector's Service.
    """
    named = merge_filter(filters, REQUEST_HEADERS, "set", {"name": HEADER_HOP, "value": hop})
    return [*named, {"type": MIRROR, "requestMirror": {"backendRef": service_backend(key, PORT)}}]


def calls_only(sightings: Sequence[Sighting]) -> Iterator[Sighting]:
    """Leaves out what the Gateway has mirrored.

    Args:
        sightings: The collector's.
    """
    return (item for item in sightings if item.service != GATEWAY)
