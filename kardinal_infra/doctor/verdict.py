"""From what was seen to a diagnosis."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from kardinal_infra.doctor.collector import Sighting
from kardinal_infra.model.topology import Topology
from kardinal_infra.routing.key import Carrier

EdgeState = Literal["passed", "missing", "unseen", "unreached"]
State = Literal["passed", "dropped", "unclear"]


@dataclass(frozen=True)
class Edge:
    """A declared call of one service by another.

    Attributes:
        caller: The calling service.
        callee: The called service.
        state: `passed`: it carried the key. `missing`: the caller got the key, and this call did not carry
            it or was not made. `unseen`: it cannot be watched. `unreached`: the caller never got the key.
    """

    caller: str
    callee: str
    state: EdgeState


@dataclass(frozen=True)
class Trace:
    """How far the key came in one carrier.

    Attributes:
        carrier: `header` or `baggage`.
        state: `passed`: every declared call carried the key. `dropped`: a service got it and sent it to none
            of those that it calls. `unclear`: some declared calls carried it, others did not or cannot be
            watched.
        first_drop: The dropping service next to the entry.
        edges: The declared calls, from the entry on.
    """

    carrier: Carrier
    state: State
    first_drop: str | None
    edges: tuple[Edge, ...]


@dataclass(frozen=True)
class Diagnosis:
    """What a probe has shown.

    Attributes:
        key: The probe's key.
        url: What was asked, without its path.
        entry: The service that the request entered by.
        requests: How many requests were sent.
        traces: One for each carrier; the first is the header's, by which flows are routed.
        unseen: Why calls of or to a service cannot be watched, by service.
        undeclared: Calls with the key that the topology does not declare, `(caller, callee)`; a caller that
            is no service is named by its address.
    """

    key: str
    url: str
    entry: str
    requests: int
    traces: tuple[Trace, ...]
    unseen: Mapping[str, str]
    undeclared: tuple[tuple[str, str], ...]


def callees(topology: Topology, service: str) -> list[str]:
    """Services that a service declares to call by http or grpc, sorted.

    Args:
        topology: The application.
        service: Key in its services.
    """
    names = set(topology.services[service].depends_on) & topology.services.keys()
    return sorted(name for name in names if topology.services[name].routed_ports)


def trace(
    topology: Topology,
    entry: str,
    calls: Collection[tuple[str, str]],
    *,
    carrier: Carrier = "header",
    deaf: Collection[str] = (),
    mute: Collection[str] = (),
) -> Trace:
    """Judges the calls that carried the key.

    Args:
        topology: The application.
        entry: Service that the request entered by.
        calls: Caller and callee of each.
        carrier: What carried it.
        deaf: Services whose own calls cannot be seen (no sidecar).
        mute: Services on whose Service no probe route can be.
    """
    reached = {entry} | {callee for _, callee in calls}
    edges: list[Edge] = []
    first: str | None = None
    for service in _in_order(topology, entry):
        states: dict[str, EdgeState] = {}
        for callee in callees(topology, service):
            if (service, callee) in calls:
                states[callee] = "passed"
            elif service in deaf or callee in mute:
                states[callee] = "unseen"
            else:
                states[callee] = "missing" if service in reached else "unreached"
        edges += [Edge(service, callee, state) for callee, state in states.items()]
        # With a call that cannot be watched it may have sent the key there.
        if first is None and set(states.values()) == {"missing"}:
            first = service
    state: State = "passed"
    if any(edge.state != "passed" for edge in edges):
        state = "dropped" if first is not None else "unclear"
    return Trace(carrier, state, first, tuple(edges))


def seen_calls(
    topology: Topology,
    sightings: Iterable[Sighting],
    services: Mapping[str, Sequence[str]],
    carrier: Carrier,
) -> set[tuple[str, str]]:
    """Names who called whom with the key.

    Args:
        topology: The application.
        sightings: The collector's.
        services: Services by address of a pod.
        carrier: What must have carried it.

    Returns:
        Caller and callee; a caller that is no service of the application by its address.
    """
    return {
        (caller, item.service)
        for item in sightings
        if carrier in item.carriers
        for caller in _callers(topology, item, services)
    }


def undeclared_calls(topology: Topology, calls: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Picks the calls that the topology does not declare.

    Args:
        topology: The application.
        calls: Caller and callee of each.
    """
    return tuple(
        sorted((caller, callee) for caller, callee in calls if not _declares(topology, caller, callee))
    )


def _callers(topology: Topology, item: Sighting, services: Mapping[str, Sequence[str]]) -> Sequence[str]:
    """Who may have sent a request.

    Of several services with the same pods nothing tells which one it was. It counts for all that declare the
    call, so that none of them is blamed for a key that its pods did send on.
    """
    candidates = services.get(item.address) or [item.address or "unknown"]
    return [name for name in candidates if _declares(topology, name, item.service)] or candidates[:1]


def _declares(topology: Topology, caller: str, callee: str) -> bool:
    return caller in topology.services and callee in topology.services[caller].depends_on


def _in_order(topology: Topology, entry: str) -> list[str]:
    """Services behind an entry, the nearest first."""
    order = [entry]
    for service in order:
        order += [name for name in callees(topology, service) if name not in order]
    return order
