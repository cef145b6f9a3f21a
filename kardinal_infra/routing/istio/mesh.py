"""The dialect `istio`: a flow's rules as named entries in the VirtualService that is on the host already.

VirtualServices for one host do not merge in the mesh, and an HTTPRoute on the Service would silently switch
the VirtualService off. So the flow's rules go into the existing object. Its `http` list is read from the top
and the first entry that fits wins: every entry is copied with the flow's header added to each of its matches,
and the copies stand, in the order of the originals, before all others. A request of the flow meets the copy
of exactly that entry which it would have met; any other request meets none of the copies.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kardinal_infra.live import Object, name_of, namespace_of, spec_of
from kardinal_infra.routing.istio.rules import flow_rule
from kardinal_infra.routing.mesh_hosts import MESH, gateways_of
from kardinal_infra.routing.retarget import Targets

API_VERSION = "networking.istio.io/v1"

_PREFIX = "kardinal"


@dataclass(frozen=True)
class Insertion:
    """A flow's entries in a VirtualService of somebody else.

    Attributes:
        namespace: Namespace of the VirtualService.
        virtual_service: Its name.
        service: Service whose requests it routes.
        flow: Flow id.
        entries: Items of `spec.http`, named, in their order.
        lost_at: `metadata.resourceVersion` of the object when it was last seen without these entries in
            front of the owner's; empty when they were there. A later writer that knows nothing of them
            (`kubectl apply`, Helm, Argo CD) removes them, and this is how the next preview shows it.
    """

    namespace: str
    virtual_service: str
    service: str
    flow: str
    entries: tuple[Mapping[str, Any], ...] = field(repr=False)
    lost_at: str = ""

    def manifest(self) -> dict[str, Any]:
        """Returns the entries in the shape of the object that they go into."""
        return {
            "apiVersion": API_VERSION,
            "kind": "VirtualService",
            "metadata": {"name": self.virtual_service, "namespace": self.namespace},
            "spec": {"http": [dict(entry) for entry in self.entries]},
        }


def flow_entries(virtual_service: Object, targets: Targets) -> Insertion | None:
    """Derives a flow's entries.

    Args:
        virtual_service: The live object, of the Service's own namespace.
        targets: The Service and the flow's forks.

    Returns:
        The entries; None when nothing in the object leads to a fork.

    Raises:
        ValueError: An entry delegates to another VirtualService, or matches the key itself.
    """
    flow = targets.flow
    copies: list[dict[str, Any]] = []
    needed = 0
    for entry in baseline_entries(virtual_service):
        matches = _mesh_matches(entry, virtual_service)
        if not matches:
            continue
        if "delegate" in entry:
            raise ValueError(f"its entry {_title(entry, len(copies))} delegates to another VirtualService")
        copy, forks = flow_rule(entry, targets, None)
        copy["name"] = entry_name(flow, len(copies))
        copy["match"] = [item for match in matches for item in _asking_for_key(match, targets)]
        copies.append(copy)
        if forks:
            needed = len(copies)
        if {} in matches:
            break  # it takes everything that comes this far
    if not needed:
        return None
    entries = tuple(copies[:needed])
    return Insertion(
        namespace=namespace_of(virtual_service),
        virtual_service=name_of(virtual_service),
        service=targets.service,
        flow=flow,
        entries=entries,
        lost_at=_lost_at(virtual_service, flow, entries),
    )


def entry_name(flow: str, index: int) -> str:
    """Names an entry so that it is known as a flow's; flow ids have no dots.

    Args:
        flow: Flow id.
        index: Position among the flow's entries, from 0.
    """
    return f"{_PREFIX}.{flow}.{index}"


def entry_flow(entry: Mapping[str, Any]) -> str | None:
    """Returns the flow that an entry belongs to, None for the owner's own entries.

    Args:
        entry: An item of `spec.http`.
    """
    parts = str(entry.get("name") or "").split(".")
    ours = len(parts) == 3 and parts[0] == _PREFIX and parts[2].isdigit()
    return parts[1] if ours else None


def baseline_entries(virtual_service: Object) -> Iterator[Mapping[str, Any]]:
    """Yields the entries that belong to no flow.

    Args:
        virtual_service: The live object.
    """
    yield from (entry for entry in _http(virtual_service) if entry_flow(entry) is None)


def inserted(
    http: Iterable[Mapping[str, Any]], flow: str, entries: Sequence[Mapping[str, Any]]
) -> list[Mapping[str, Any]]:
    """Puts a flow's entries where nothing shadows them.

    Args:
        http: `spec.http` as it is.
        flow: Flow id.
        entries: The flow's entries; those that the list holds already are replaced.

    Returns:
        The new list; everybody else's entries are in it as they were.
    """
    return [*entries, *removed(http, flow)]


def removed(http: Iterable[Mapping[str, Any]], flow: str) -> list[Mapping[str, Any]]:
    """Takes exactly a flow's entries out.

    Args:
        http: `spec.http` as it is.
        flow: Flow id.
    """
    return [entry for entry in http if entry_flow(entry) != flow]


def _lost_at(virtual_service: Object, flow: str, entries: Sequence[Mapping[str, Any]]) -> str:
    http = _http(virtual_service)
    own = [index for index, entry in enumerate(http) if entry_flow(entry) == flow]
    owners = [index for index, entry in enumerate(http) if entry_flow(entry) is None]
    # Behind an entry of the owner's they may be met by nothing.
    in_front = not own or not owners or own[-1] < owners[0]
    if in_front and [dict(http[index]) for index in own] == [dict(entry) for entry in entries]:
        return ""
    return str(virtual_service.get("metadata", {}).get("resourceVersion", ""))


def _http(virtual_service: Object) -> Sequence[Mapping[str, Any]]:
    entries: Sequence[Mapping[str, Any]] = spec_of(virtual_service).get("http") or ()
    return entries


def _title(entry: Mapping[str, Any], index: int) -> str:
    return f'"{entry["name"]}"' if entry.get("name") else str(index + 1)


def _mesh_matches(entry: Mapping[str, Any], virtual_service: Object) -> list[dict[str, Any]]:
    """The matches that sidecars look at, without their gateways; none when it is for gateways only."""
    if not entry.get("match"):
        return [{}]
    return [
        {key: value for key, value in match.items() if key != "gateways"}
        for match in entry["match"]
        if MESH in (match.get("gateways") or gateways_of(virtual_service))
    ]


def _asking_for_key(match: Mapping[str, Any], targets: Targets) -> Iterator[dict[str, Any]]:
    for copy in targets.key.added_to_istio(match, targets.flow):
        # Also where the object is for sidecars alone: no gateway added later may let clients choose a fork.
        yield {**copy, "gateways": [MESH]}
