"""Public hosts on an Istio Gateway: VirtualServices, which merge there when their hosts differ."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import deepcopy
from typing import Any

from kardinal_infra.live import Object, namespace_of
from kardinal_infra.names import BAGGAGE_KEY, HEADER_FLOW, HEADER_FORK, Owner
from kardinal_infra.routing.mesh_hosts import (
    beside,
    first_label,
    gateways_named,
    gateways_of,
    service_named,
)
from kardinal_infra.routing.virtual_service import API_VERSION, baseline_entries, clean_headers
from kardinal_infra.topology import Gateway

_MIRRORS = frozenset({"mirror", "mirrors", "mirrorPercent", "mirrorPercentage"})


def gateway_reference(gateway: Gateway) -> str:
    """Names a Gateway as VirtualServices do."""
    return f"{gateway.namespace}/{gateway.name}"


def virtual_service(
    owner: Owner, gateway: Gateway, name: str, service: str, host: str, http: list[dict[str, Any]]
) -> dict[str, Any]:
    """Makes the VirtualService of a public host.

    Args:
        owner: Stack, namespace and flow.
        gateway: The Istio Gateway; never the mesh.
        name: Name of the object.
        service: Service of the entry.
        host: The host.
        http: Its entries.
    """
    return {
        "apiVersion": API_VERSION,
        "kind": "VirtualService",
        "metadata": owner.metadata(name, service),
        "spec": {"hosts": [host], "gateways": [gateway_reference(gateway)], "http": http},
    }


def to_service(service: str, port: int) -> list[dict[str, Any]]:
    """The entry that sends everything to a Service of the object's namespace."""
    return [{"route": [{"destination": {"host": service, "port": {"number": port}}}]}]


def without_key(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Production's: clients cannot choose a fork."""
    return [{**entry, "headers": {"request": {"remove": [HEADER_FLOW]}}} for entry in entries]


def marked(entries: Iterable[Mapping[str, Any]], flow: str, fork: str | None) -> list[dict[str, Any]]:
    """The flow's: every request gets the key, every answer says whose it is.

    Args:
        entries: What the host leads to; copies are changed.
        flow: Flow id.
        fork: Fork that answers where an entry does not say it itself; None for the baseline.
    """
    result = []
    for entry in entries:
        copy = deepcopy(dict(entry))
        headers = copy.pop("headers", {})
        request, response = headers.get("request") or {}, headers.get("response") or {}
        removed = [name for name in request.get("remove") or () if name.lower() != HEADER_FLOW]
        added = {**(request.get("add") or {}), "baggage": f"{BAGGAGE_KEY}={flow}"}
        kept = {
            name: value for name, value in (request.get("set") or {}).items() if name.lower() != HEADER_FLOW
        }
        marks = {HEADER_FLOW: flow, **({HEADER_FORK: fork} if fork else {})}
        copy["headers"] = {
            "request": {
                "set": {**kept, HEADER_FLOW: flow},
                "add": added,
                **({"remove": removed} if removed else {}),
            },
            "response": {**response, "set": {**marks, **(response.get("set") or {})}},
        }
        result.append(copy)
    return result


def flow_entries_of_host(
    virtual_services: Iterable[Object],
    gateway: Gateway,
    namespace: str,
    forks: Mapping[str, str],
    homes: Mapping[str, str] | None = None,
) -> list[dict[str, Any]]:
    """Copies the entries of a production host for a flow's host.

    Args:
        virtual_services: The user's, of that host.
        gateway: The Istio Gateway.
        namespace: Their namespace.
        forks: Fork by service.
        homes: Namespace by service; those that are not in it are in `namespace`.

    Returns:
        Entries that lead to forks where there are some, and to production's services everywhere else.
        Mirrors are left out.
    """
    result = []
    for item in virtual_services:
        for entry in baseline_entries(item):
            written: list[dict[str, Any]] = list(entry.get("match") or ({},))
            matches = [
                {key: value for key, value in match.items() if key != "gateways"}
                for match in written
                if gateway_reference(gateway)
                in gateways_named(match.get("gateways") or gateways_of(item), namespace_of(item))
            ]
            if not matches:
                continue
            copy = {
                key: deepcopy(value)
                for key, value in entry.items()
                if key not in _MIRRORS and key not in {"match", "name"}
            }
            if {} not in matches:
                copy["match"] = matches
            _lead_to_forks(
                copy, namespace_of(item), forks, {**dict.fromkeys(forks, namespace), **(homes or {})}
            )
            result.append(copy)
    return result


def _lead_to_forks(
    entry: dict[str, Any], home: str, forks: Mapping[str, str], homes: Mapping[str, str]
) -> None:
    forked = []
    for item in map(clean_headers, entry.get("route") or ()):
        host = item["destination"]["host"]
        named = service_named(host, home)
        fork = forks.get(named[0]) if named and named[1] == homes.get(named[0]) else None
        if fork is not None and named and (len(entry["route"]) == 1 or item.get("weight", 0)):
            port = {"port": item["destination"]["port"]} if "port" in item["destination"] else {}
            target = fork if named[1] == home else beside(host, fork)
            forked.append({**item, "destination": {"host": target, **port}})
    if forked:
        entry["route"] = forked
        if len(forked) == 1:
            forked[0].pop("weight", None)
        response = entry.setdefault("headers", {}).setdefault("response", {})
        response["set"] = {
            **(response.get("set") or {}),
            HEADER_FORK: first_label(forked[0]["destination"]["host"]),
        }
