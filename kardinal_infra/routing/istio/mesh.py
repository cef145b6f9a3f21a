"""The dialect `istio`: a flow's rules, named, in the VirtualService that is on the host already.

VirtualServices for one host do not merge in the mesh, and an HTTPRoute on the Service would silently switch
the VirtualService off. So the flow's rules go into the existing object. Its `http` list is read from the top
and the first rule that fits wins: every rule is copied with the flow's header added to each of its matches,
and the copies stand, in the order of the originals, before all others. A request of the flow meets the copy
of exactly that rule which it would have met; any other request meets none of the copies.

Facts: docs/facts/mesh.md#virtualservices-of-one-mesh-host-do-not-merge,
docs/facts/mesh.md#a-route-silences-the-virtualservice.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kardinal_infra.observed.live import Object, name_of, namespace_of, spec_of
from kardinal_infra.observed.virtual_services import MESH, gateways_of
from kardinal_infra.routing.istio.rules import flow_rule
from kardinal_infra.routing.retarget import Targets

API_VERSION = "networking.istio.io/v1"

_PREFIX = "kardinal"


@dataclass(frozen=True)
class Insertion:
    """A flow's rules in a VirtualService of somebody else.

    Attributes:
        namespace: Namespace of the VirtualService.
        virtual_service: Its name.
        service: Service whose requests it routes.
        flow: Flow id.
        rules: Items of `spec.http`, named, in their order.
        lost_at: `metadata.resourceVersion` of the object when it was last seen without these rules in
            front of the owner's; empty when they were there. A later writer that knows nothing of them
            (`kubectl apply`, Helm, Argo CD) removes them, and this is how the next preview shows it.
    """

    namespace: str
    virtual_service: str
    service: str
    flow: str
    rules: tuple[Mapping[str, Any], ...] = field(repr=False)
    lost_at: str = ""

    def manifest(self) -> dict[str, Any]:
        """Returns the rules in the shape of the object that they go into."""
        return {
            "apiVersion": API_VERSION,
            "kind": "VirtualService",
            "metadata": {"name": self.virtual_service, "namespace": self.namespace},
            "spec": {"http": [dict(rule) for rule in self.rules]},
        }


def flow_insertion(virtual_service: Object, targets: Targets) -> Insertion | None:
    """Derives a flow's rules.

    Args:
        virtual_service: The live object, of the Service's own namespace.
        targets: The Service and the flow's forks.

    Returns:
        The rules; None when nothing in the object leads to a fork.

    Raises:
        ValueError: A rule delegates to another VirtualService, or matches the key itself.
    """
    flow = targets.flow
    copies: list[dict[str, Any]] = []
    needed, reached = 0, False
    for rule in baseline_rules(virtual_service):
        matches = _mesh_matches(rule, virtual_service)
        if not matches:
            continue
        if "delegate" in rule:
            raise ValueError(f"its rule {_title(rule, len(copies))} delegates to another VirtualService")
        copy, forks = flow_rule(rule, targets, None)
        reached = reached or bool(forks)
        # Also one that leads to no fork, but takes the key away or mirrors requests to production.
        differs = copy != {key: value for key, value in rule.items() if key not in ("name", "match")}
        copy["name"] = rule_name(flow, len(copies))
        copy["match"] = [item for match in matches for item in _asking_for_key(match, targets)]
        copies.append(copy)
        if differs:
            needed = len(copies)
        if {} in matches:
            break  # it takes everything that comes this far
    if not reached:
        return None
    rules = tuple(copies[:needed])
    return Insertion(
        namespace=namespace_of(virtual_service),
        virtual_service=name_of(virtual_service),
        service=targets.service,
        flow=flow,
        rules=rules,
        lost_at=_lost_at(virtual_service, flow, rules),
    )


def rule_name(flow: str, index: int) -> str:
    """Names a rule so that it is known as a flow's; flow ids have no dots.

    Args:
        flow: Flow id.
        index: Position among the flow's rules, from 0.
    """
    return f"{_PREFIX}.{flow}.{index}"


def rule_flow(rule: Mapping[str, Any]) -> str | None:
    """Returns the flow that a rule belongs to, None for the owner's own rules.

    Args:
        rule: An item of `spec.http`.
    """
    parts = str(rule.get("name") or "").split(".")
    ours = len(parts) == 3 and parts[0] == _PREFIX and parts[2].isdigit()
    return parts[1] if ours else None


def baseline_rules(virtual_service: Object) -> Iterator[Mapping[str, Any]]:
    """Yields the rules that belong to no flow.

    Args:
        virtual_service: The live object.
    """
    yield from (rule for rule in _http(virtual_service) if rule_flow(rule) is None)


def inserted(
    http: Iterable[Mapping[str, Any]], flow: str, rules: Sequence[Mapping[str, Any]]
) -> list[Mapping[str, Any]]:
    """Puts a flow's rules where nothing shadows them.

    Args:
        http: `spec.http` as it is.
        flow: Flow id.
        rules: The flow's rules; those that the list holds already are replaced.

    Returns:
        The new list; everybody else's rules are in it as they were.
    """
    return [*rules, *removed(http, flow)]


def removed(http: Iterable[Mapping[str, Any]], flow: str) -> list[Mapping[str, Any]]:
    """Takes exactly a flow's rules out.

    Args:
        http: `spec.http` as it is.
        flow: Flow id.
    """
    return [rule for rule in http if rule_flow(rule) != flow]


def _lost_at(virtual_service: Object, flow: str, rules: Sequence[Mapping[str, Any]]) -> str:
    http = _http(virtual_service)
    own = [index for index, rule in enumerate(http) if rule_flow(rule) == flow]
    owners = [index for index, rule in enumerate(http) if rule_flow(rule) is None]
    # Behind a rule of the owner's they may be met by nothing.
    in_front = not own or not owners or own[-1] < owners[0]
    if in_front and [dict(http[index]) for index in own] == [dict(rule) for rule in rules]:
        return ""
    return str(virtual_service.get("metadata", {}).get("resourceVersion", ""))


def _http(virtual_service: Object) -> Sequence[Mapping[str, Any]]:
    rules: Sequence[Mapping[str, Any]] = spec_of(virtual_service).get("http") or ()
    return rules


def _title(rule: Mapping[str, Any], index: int) -> str:
    return f'"{rule["name"]}"' if rule.get("name") else str(index + 1)


def _mesh_matches(rule: Mapping[str, Any], virtual_service: Object) -> list[dict[str, Any]]:
    """The matches that sidecars look at, without their gateways; none when it is for gateways only."""
    if not rule.get("match"):
        return [{}]
    return [
        {key: value for key, value in match.items() if key != "gateways"}
        for match in rule["match"]
        if MESH in (match.get("gateways") or gateways_of(virtual_service))
    ]


def _asking_for_key(match: Mapping[str, Any], targets: Targets) -> Iterator[dict[str, Any]]:
    for copy in targets.key.added_to_istio(match, targets.flow):
        # Also where the object is for sidecars alone: no gateway added later may let clients choose a fork.
        yield {**copy, "gateways": [MESH]}
