"""An application whose entry's Service has the production host's own rules in the mesh.

What the flow's routes of that Service make of a request, the flow's public host has to make of it too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from kardinal_infra.routing.istio.mesh import inserted
from tests.pure import gateway_model, istio_model
from tests.pure.istio_model import Call
from tests.pure.outcomes import KEY, Outcome
from tests.pure.random_edges import INGRESS
from tests.pure.random_hosts import Asked, Flow, Shop, flow_of

YOUNGEST = "2026-01-01T00:01:00Z"


def twin_of(flow: Flow, entry: int) -> Flow:
    """The same flow on such an application.

    One more rule leads to the Service there, which no request meets before the others: a fork that nothing
    leads to is refused.

    Args:
        flow: A flow.
        entry: Which of the hosts.
    """
    edge = flow.shop.edges[entry]
    everything = {"backendRefs": [{"name": edge.service, "port": edge.port}]}
    if flow.shop.dialect == "istio":
        items = istio_model.closest(flow.shop.own, edge.host, INGRESS)
        to_service = {"route": [{"destination": {"host": edge.service}}]}
        http: list[dict[str, Any]] = [{"match": [{"uri": {"exact": "/nowhere"}}], **to_service}]
        for item in items:
            http += _entries(item)
        if not items:
            http.append(to_service)
        spec = {"hosts": [edge.service], "http": http}
        made = [{"metadata": {"name": edge.service, "namespace": edge.home}, "spec": spec}]
    else:
        parent = {"group": "", "kind": "Service", "name": edge.service, "port": edge.port}
        last = {"metadata": {"name": "last", "namespace": edge.home, "creationTimestamp": YOUNGEST}}
        found = gateway_model.closest(flow.shop.own, edge.host)
        made = [
            {**item, "spec": {"parentRefs": [parent], "rules": item["spec"]["rules"]}}
            for item in (*found, {**last, "spec": {"rules": [everything]}})
        ]
    kept = [route for route in flow.shop.mesh if not _replaced(route, flow.shop, entry)]
    return flow_of(replace(flow.shop, mesh=[*kept, *made], own=[]), flow.id)


def ask_twin(twin: Flow, asked: Asked) -> Outcome:
    """What becomes of a request of the flow to the entry's Service inside the mesh."""
    shop, edge = twin.shop, twin.shop.edges[asked.entry]
    headers = {**asked.request.headers, KEY: twin.id}
    if shop.dialect != "istio":
        request = replace(asked.request, service=edge.service, port=edge.port, headers=headers)
        return gateway_model.in_mesh([*shop.mesh, *twin.routes], request, [twin.id])
    [item] = [route for route in shop.mesh if "http" in route["spec"]]
    http: Any = item["spec"]["http"]
    for insertion in twin.insertions:
        http = inserted(http, twin.id, insertion.rules)
    call = Call(asked.request.path, asked.request.method, headers, edge.port)
    part = istio_model.entry_for({**item, "spec": {**item["spec"], "http": http}}, call)
    assert part is not None
    return istio_model.outcome_of(part, edge.home, call, [twin.id])


def _entries(item: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The entries that the gateway looks at, for sidecars."""
    found = []
    for entry in item["spec"]["http"]:
        copy = {key: value for key, value in entry.items() if key != "match"}
        if "match" in entry:
            copy["match"] = [
                {key: value for key, value in match.items() if key != "gateways"}
                for match in entry["match"]
                if INGRESS in match.get("gateways", [INGRESS])
            ]
            if not copy["match"]:
                continue
        found.append(copy)
    return found


def _replaced(route: Mapping[str, Any], shop: Shop, entry: int) -> bool:
    """A Service has one dialect, and a port one kind of route."""
    edge = shop.edges[entry]
    ports = {edge.port} if shop.dialect != "istio" else {*shop.application.ports[edge.service]}
    return any(
        parent["name"] == edge.service and parent["port"] in ports for parent in route["spec"]["parentRefs"]
    )
