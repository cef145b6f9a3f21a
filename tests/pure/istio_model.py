"""A small model of how a sidecar or a gateway reads a VirtualService, written from Istio's reference alone.

Entries of `http` are tried from the top, the first with a match that holds is used; a match without
`gateways` is for those of the object. Without any, 404.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.pure.gateway_model import NOT_FOUND


@dataclass(frozen=True)
class Call:
    """What a proxy looks at; `through` is `mesh` for a sidecar, else the name of a gateway."""

    path: str = "/"
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    port: int = 80
    through: str = "mesh"


def entry_for(virtual_service: Mapping[str, Any], call: Call) -> Mapping[str, Any] | None:
    """The entry that is used."""
    spec = virtual_service["spec"]
    gateways = spec.get("gateways") or ["mesh"]
    if call.through not in gateways:
        return None
    for entry in spec.get("http") or ():
        matches = entry.get("match")
        if not matches or any(_holds(match, gateways, call) for match in matches):
            return dict(entry)
    return None


def destinations(virtual_service: Mapping[str, Any], call: Call) -> Mapping[str, int]:
    """Hosts (with subset) and their weights; what else an entry does stands under a name of its own."""
    entry = entry_for(virtual_service, call)
    if entry is None:
        return NOT_FOUND
    if "redirect" in entry:
        return {"redirect": 1}
    routes = entry.get("route") or ()
    result: dict[str, int] = {}
    for item in routes:
        weight = 1 if len(routes) == 1 else item.get("weight", 0)
        host = "/".join(filter(None, (item["destination"]["host"], item["destination"].get("subset"))))
        if weight:
            result[host] = result.get(host, 0) + weight
    return result


def _holds(match: Mapping[str, Any], gateways: list[str], call: Call) -> bool:
    headers = {name.lower(): value for name, value in call.headers.items()}
    return (
        call.through in (match.get("gateways") or gateways)
        and match.get("port", call.port) == call.port
        and _fits(match.get("uri"), call.path)
        and _fits(match.get("method"), call.method)
        and all(_fits(wanted, headers.get(name)) for name, wanted in (match.get("headers") or {}).items())
        and not any(
            headers.get(name) is not None and _fits(unwanted, headers[name])
            for name, unwanted in (match.get("withoutHeaders") or {}).items()
        )
    )


def _fits(wanted: Mapping[str, str] | None, value: str | None) -> bool:
    """A StringMatch; an empty one asks for presence."""
    if wanted is None:
        return True
    if value is None:
        return False
    if "exact" in wanted:
        return value == wanted["exact"]
    # Not element by element: the prefix /api holds for /apix.
    return value.startswith(wanted.get("prefix", ""))
