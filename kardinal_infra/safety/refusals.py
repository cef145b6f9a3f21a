"""What every plan refuses by itself, as rules: for policy packs, which see no plan."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from kardinal_infra.observed.live import LiveObjects, flow_of
from kardinal_infra.observed.routes import kind_of, service_parents, title_of
from kardinal_infra.routing import baseline_routes
from kardinal_infra.routing.conflict import Conflict
from kardinal_infra.routing.conflicts import fork_conflicts
from kardinal_infra.routing.dialect import dialect_conflicts
from kardinal_infra.safety.case import Case
from kardinal_infra.safety.findings import Hit, Rule, safety_rule


def _conflict(name: str) -> Rule:
    @safety_rule(name, "error")
    def check(case: Case) -> Iterator[Hit]:
        for service in sorted(case.forked()):
            for conflict in _conflicts(case, service):
                if conflict.rule == name:
                    yield Hit(case.service_path(service), conflict.message, conflict.objects)

    return check


def _conflicts(case: Case, name: str) -> Iterator[Conflict]:
    namespace, service = case.home(name), case.topology.services[name]
    if service.routed_ports or name not in case.fresh_services():
        yield from fork_conflicts(namespace, name, service, case.live)
    yield from dialect_conflicts(namespace, name, _with_proposed(case))


def _with_proposed(case: Case) -> LiveObjects:
    """The cluster with the flow's own VirtualServices: on a Service's host they do what anybody's would.

    What goes into the VirtualService of somebody else is no object of the flow's.
    """
    own = [
        route for route in case.routes if kind_of(route) == "VirtualService" and flow_of(route) is not None
    ]
    return replace(case.live, virtual_services=[*case.live.virtual_services, *own])


@safety_rule("mixed-route-kinds", "error")
def _calls_beside_requests(case: Case) -> Iterator[Hit]:
    """A GRPCRoute on a port that HTTPRoutes of the baseline are on is accepted and never programmed."""
    for route in case.routes:
        if kind_of(route) != "GRPCRoute":
            continue
        for parent, port in service_parents(route):
            if any(baseline_routes(case.live.grpc_routes, *parent, port)):
                continue  # the baseline's own kind, or mixed already
            for other in baseline_routes(case.live.http_routes, *parent, port):
                yield Hit(
                    case.service_path(parent.name),
                    f"{title_of(route)} of the flow is on port {port} of Service {parent.name}, where"
                    f" {title_of(other)} takes the requests without a key: the mesh never meets it; use"
                    " HTTPRoutes there, which route gRPC as well",
                    (title_of(route), title_of(other)),
                )


REFUSALS: tuple[Rule, ...] = (
    *map(
        _conflict,
        (
            "missing-catch-all",
            "portless-route",
            "consumer-route",
            "mixed-route-kinds",
            "mixed-dialects",
            "duplicate-virtual-service",
            "unusable-virtual-service",
        ),
    ),
    _calls_beside_requests,
)
"""Rules whose findings cannot be acknowledged."""
