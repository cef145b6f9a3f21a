"""Rules about the routes that a flow would add.

Neither a route's status nor `istioctl analyze` reports any of these; each was seen on a running mesh
(docs/facts/mesh.md#every-match-is-copied, docs/facts/mesh.md#ports-that-do-not-exist and the facts beside).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from kardinal_infra.model.names import ServiceRef
from kardinal_infra.observed.index import grouped
from kardinal_infra.observed.live import Object, name_of, namespace_of, spec_of
from kardinal_infra.observed.routes import kind_of, matches_of, rules_of, service_parents, title_of
from kardinal_infra.observed.virtual_services import claiming
from kardinal_infra.routing.gateway_api import filters as gateway_api
from kardinal_infra.routing.gateway_api.host import is_redirect
from kardinal_infra.routing.gateway_api.rules import service_of
from kardinal_infra.routing.istio import rules as istio
from kardinal_infra.routing.key import Carrier
from kardinal_infra.safety.case import Case
from kardinal_infra.safety.findings import Hit, safety_rule
from kardinal_infra.safety.rules.baseline_routes import baseline_of
from kardinal_infra.safety.rules.expressions import expressions_of

Match = Mapping[str, Any]


@safety_rule("open-route", "error")
def open_route(case: Case) -> Iterator[Hit]:
    """A match without the exact key takes requests of production's, or of other flows."""
    for route in case.routes:
        matches = [match for rule in _rules(route) for match in rule.get("match") or matches_of(rule)]
        if not matches or not all(case.routing_key.carrier_of(match, case.flow) for match in matches):
            service = _parent(route)
            yield Hit(
                case.service_path(service),
                f"{title_of(route)} has a match without {case.routing_key}: {case.flow}, which takes requests"
                " that are not the flow's",
                (title_of(route),),
            )


@safety_rule("shadowed-rule", "error")
def shadowed_rule(case: Case) -> Iterator[Hit]:
    """Precedence: exact path, longest prefix, method, then the number of headers."""
    made = grouped((place, route) for route in case.routes for place in _attached(route))
    for service, port, route in baseline_of(case):
        copies = [
            match
            for copy in made.get((service, port), ())
            if kind_of(copy) == kind_of(route)
            for rule in rules_of(copy)
            for match in matches_of(rule)
        ]
        if not copies:
            continue
        for rule in rules_of(route):
            for match in matches_of(rule):
                if _carriers_of(case, match, copies).issuperset(case.routing_key.asked):
                    continue
                yield Hit(
                    case.service_path(service),
                    f"a match of {title_of(route)} has no copy with the key in the flow's routes: requests of"
                    " the flow that meet it reach production",
                    (title_of(route),),
                )


@safety_rule("shadowed-rule", "error")
def missing_routes(case: Case) -> Iterator[Hit]:
    """A port of a forked service whose routes lead to a fork, and on which the flow has no route at all."""
    led = {place for route in case.routes for place in _attached(route)} | case.refused_ports
    missing = set()
    for service, port, route in baseline_of(case):
        if service not in case.fresh_services() and (service, port) not in led:
            home, ref = case.home(service), case.topology.ref(service)
            # Where a VirtualService claims the host the flow's rules are in that.
            if _leads_to_fork(case, service, route) and not claiming(
                case.live.virtual_services_on(ref), home, service
            ):
                missing.add((service, port))
    for service, port in sorted(missing):
        yield Hit(
            case.service_path(service),
            f"the flow has no route on port {port} of Service {service}: its requests there reach production,"
            " not the fork",
            (f"Service {service}",),
        )


def _leads_to_fork(case: Case, service: str, route: Object) -> bool:
    """Judged by what the baseline's route says, not by what a flow's would be made of it."""
    home, homes = case.home(service), case.topology.homes
    forked = {case.topology.ref(name) for name in case.forked()}
    for rule in rules_of(route):
        backends = [(service_of(item, home), item.get("weight", 1)) for item in rule.get("backendRefs") or ()]
        declared = {ref for ref, _ in backends if ref is not None and homes.get(ref.name) == ref.namespace}
        for ref, weight in backends:
            if ref is None or weight <= 0:
                continue
            meant = ref
            if ref not in declared:
                # It is a version of the one service beside it, or else of the called one.
                beside = [other for other in declared if other.namespace == ref.namespace]
                meant = beside[0] if len(beside) == 1 else ServiceRef(ref.namespace, service)
            if meant in forked:
                return True
    return False


def _carriers_of(case: Case, match: Match, copies: Iterable[Match]) -> frozenset[Carrier | None]:
    """The carriers of which a match has a copy with the key."""
    plain = {**match, "headers": list(match.get("headers") or ())}
    return frozenset(
        case.routing_key.carrier_of(copy, case.flow)
        for copy in copies
        if case.routing_key.taken_from(copy) == plain
    )


@safety_rule("wrong-port", "error")
def wrong_port(case: Case) -> Iterator[Hit]:
    """A port that a Service has not is accepted in silence, as parent and as backend."""
    ports = {
        ServiceRef(live.namespace, name_of(item)): _ports(item)
        for live in case.live.everywhere()
        for item in live.services
    }
    ports |= {
        ServiceRef(case.home(fork.service), fork.name): _ports(fork.service_manifest)
        for fork in case.forks
        if fork.service_manifest
    }
    for route in case.routes:
        if _lacks_declared_port(case, _parent(route)):
            continue  # every plan refuses that by itself
        for parent, port in service_parents(route):
            if port not in ports.get(parent, {port}):
                yield Hit(
                    case.service_path(parent.name),
                    f"{title_of(route)} hangs on port {port}, which Service {parent.name} has not: it is"
                    " never met",
                    (title_of(route), f"Service {parent.name}"),
                )
        for rule in rules_of(route):
            for backend in rule.get("backendRefs") or ():
                port = backend.get("port")
                named = service_of(backend, namespace_of(route))
                if named and port not in ports.get(named, {port}):
                    yield Hit(
                        case.service_path(_parent(route)),
                        f"{title_of(route)} sends to port {port}, which Service {named.name} has not: every"
                        " such request is answered with 500",
                        (title_of(route), f"Service {named.name}"),
                    )


def _lacks_declared_port(case: Case, service: str) -> bool:
    declared = case.topology.services.get(service)
    live = case.live_of(service).service(service) if declared else None
    if live is None or declared is None:
        return False
    return not {port.port for port in declared.ports} <= _ports(live)


@safety_rule("portless-flow-route", "error")
def portless_flow_route(case: Case) -> Iterator[Hit]:
    """A route of the flow on a Service without a port."""
    for route in case.routes:
        for parent, port in service_parents(route):
            if port is None:
                yield Hit(
                    case.service_path(parent.name),
                    f"{title_of(route)} hangs on Service {parent.name} without a port: on ports that have"
                    " routes of their own it is never met, and on all others it takes the requests of every"
                    " port",
                    (title_of(route),),
                )


@safety_rule("headless-fork", "error")
def headless_fork(case: Case) -> Iterator[Hit]:
    """A headless backend keeps the address that was dialled: the baseline's pod."""
    for fork in case.forks:
        if spec_of(fork.service_manifest or {}).get("clusterIP") == "None":
            yield Hit(
                fork.path,
                f"the fork's Service {fork.name} would be headless, and requests of the flow would reach the"
                " baseline's pods",
                (f"Service {fork.name}",),
            )


@safety_rule("entry-without-key", "error")
def entry_without_key(case: Case) -> Iterator[Hit]:
    """A rule of a public host lets requests through that are not marked as the flow's."""
    for route in case.entries:
        for rule in _rules(route):
            if not _answers_itself(rule) and not _sets_key(rule, case):
                yield Hit(
                    "topology.entries",
                    f"{title_of(route)} does not set {case.routing_key}: {case.flow} in every rule: its"
                    " requests would go on to production, or wherever the client says",
                    (title_of(route),),
                )


def _answers_itself(rule: Match) -> bool:
    return "redirect" in rule or is_redirect(rule)


def _sets_key(rule: Match, case: Case) -> bool:
    # With `route` it is a VirtualService's.
    changes = [istio.changes_of(rule)] if "route" in rule else gateway_api.changes_of(rule)
    return any(case.routing_key.marked_by(item, case.flow) for item in changes)


@safety_rule("foreign-expression", "error")
def foreign_expression(case: Case) -> Iterator[Hit]:
    """One invalid expression makes every sidecar refuse its routes, and new pods answer 404 to everything."""
    known = {
        item
        for _, _, route in baseline_of(case)
        for rule in rules_of(route)
        for match in matches_of(rule)
        for item in expressions_of(match)
    }
    if "baggage" in case.routing_key.asked:
        known.add(case.routing_key.expression(case.flow))
    for route in (*case.routes, *case.entries):
        for rule in rules_of(route):
            for match in matches_of(rule):
                for item in expressions_of(match):
                    if item not in known:
                        yield Hit(
                            case.service_path(_parent(route)),
                            f"{title_of(route)} matches by the expression {item}, which is not the"
                            " baseline's: an invalid one would break the routes of the whole mesh",
                            (title_of(route),),
                        )


def _attached(route: Object) -> set[tuple[str, int | None]]:
    return {(parent.name, port) for parent, port in service_parents(route)}


def _parent(route: Object) -> str:
    """The Service that a route is about, or the VirtualService's name."""
    return next((parent.name for parent, _ in service_parents(route)), name_of(route))


def _rules(route: Object) -> Any:
    spec = spec_of(route)
    return spec["http"] or () if "http" in spec else rules_of(route)


def _ports(service: Object) -> set[int]:
    return {port["port"] for port in spec_of(service).get("ports") or ()}
