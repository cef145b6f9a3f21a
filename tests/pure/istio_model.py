"""A small model of how a sidecar or a gateway reads a VirtualService, written from Istio's reference alone.

Entries of `http` are tried from the top, the first with a match that holds is used; a match without
`gateways` is for those of the object. Without any, 404. At a gateway the objects with the closest host are
read one after the other, the oldest first.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.pure.gateway_model import NOT_FOUND, closeness
from tests.pure.outcomes import Changes, Outcome, Place, Way, keys_after


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


def closest(items: Iterable[Mapping[str, Any]], host: str, gateway: str) -> list[Mapping[str, Any]]:
    """The VirtualServices that answer for a host at a gateway, in the order in which they are read."""
    ranked = [
        (rank, item)
        for item in items
        if gateway in (item["spec"].get("gateways") or ())
        and (rank := closeness(item["spec"]["hosts"], host))
    ]
    best = max((rank for rank, _ in ranked), default=0)
    return sorted((item for rank, item in ranked if rank == best), key=_age)


def at_gateway(
    items: Iterable[Mapping[str, Any]],
    host: str,
    call: Call,
    keys: Sequence[str],
) -> Outcome:
    """What becomes of a request to a host.

    Args:
        items: VirtualServices of any host.
        host: The host.
        call: The request, through a gateway.
        keys: Values of the key that the client sends.
    """
    for item in closest(items, host, call.through):
        entry = entry_for(item, call)
        if entry is None:
            continue
        return outcome_of(entry, item["metadata"]["namespace"], call, keys)
    return Outcome("404")


def outcome_of(
    entry: Mapping[str, Any],
    home: str,
    call: Call,
    keys: Sequence[str],
) -> Outcome:
    """What an entry makes of the requests that it is used for.

    Args:
        entry: The entry.
        home: Namespace of its VirtualService.
        call: Such a request.
        keys: What they carry as the key.
    """
    own = {key: entry[key] for key in ("redirect", "directResponse", "delegate") if key in entry}
    if own:
        return Outcome(json.dumps(own, sort_keys=True))
    routes: Sequence[Mapping[str, Any]] = entry.get("route") or ()
    ways = []
    for way in routes:
        if weight := 1 if len(routes) == 1 else way.get("weight", 0):
            place = _place(way["destination"], home)
            ways.append(Way(place, weight, keys_after(keys, _changes(entry), _changes(way))))
    copies = [copy["destination"] for copy in entry.get("mirrors") or ()]
    copies += [entry["mirror"]] if "mirror" in entry else []
    mirrors = frozenset(_place(copy, home) for copy in copies)
    response = (entry.get("headers") or {}).get("response") or {}
    mark = (response.get("set") or {}).get("x-kardinal-fork", "")
    written = tuple(_place(way["destination"], home) for way in routes)
    return Outcome("" if ways else "503", tuple(ways), mirrors, mark, written)


def _age(item: Mapping[str, Any]) -> tuple[str, str, str]:
    metadata = item["metadata"]
    return metadata.get("creationTimestamp", ""), metadata["namespace"], metadata["name"]


def _changes(item: Mapping[str, Any]) -> Changes:
    request = (item.get("headers") or {}).get("request") or {}
    return {
        "remove": [(name, "") for name in request.get("remove") or ()],
        **{action: [*(request.get(action) or {}).items()] for action in ("set", "add")},
    }


def _place(destination: Mapping[str, Any], home: str) -> Place:
    name, dot, rest = destination["host"].partition(".")
    port = (destination.get("port") or {}).get("number", 0)
    return Place(rest.split(".")[0] if dot else home, name, port, destination.get("subset", ""))


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
