"""The rule about public hosts of a flow that lead outside of the application."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kardinal_infra.model.names import ServiceRef
from kardinal_infra.observed.live import Object, namespace_of, spec_of
from kardinal_infra.observed.routes import rules_of, title_of
from kardinal_infra.observed.virtual_services import service_named
from kardinal_infra.routing.gateway_api.rules import service_of
from kardinal_infra.safety.case import Case
from kardinal_infra.safety.findings import Hit, safety_rule


@safety_rule("outside-backend", "warning")
def outside_host(case: Case) -> Iterator[Hit]:
    """What is neither a service nor a fork: a version of a service that is not forked, or anything else."""
    known = {ServiceRef(home, name) for name, home in case.topology.homes.items()}
    known |= {ServiceRef(case.home(fork.service), fork.name) for fork in case.forks}
    for route in case.entries:
        for title in sorted({title for service, title in _led_to(route) if service not in known}):
            yield Hit(
                "topology.entries",
                f"{title_of(route)} sends requests to {title}, which the topology does not declare: requests"
                " of the flow's host go there as production's do",
                (title_of(route),),
            )


def _led_to(route: Object) -> Iterator[tuple[ServiceRef | None, str]]:
    """The Services that a host leads to, None for what is none; and how each is named."""
    home = namespace_of(route)
    for rule in rules_of(route):
        backends: list[Any] = rule.get("backendRefs") or []
        for backend in backends:
            where = backend.get("namespace") or home
            title = f"{backend.get('kind', 'Service')} {where}/{backend['name']}"
            yield service_of(backend, home), title
    for rule in spec_of(route).get("http") or ():
        for item in rule.get("route") or ():
            host = item["destination"]["host"]
            service = service_named(host, home)
            yield service, f"Service {service.namespace}/{service.name}" if service else f"host {host}"
