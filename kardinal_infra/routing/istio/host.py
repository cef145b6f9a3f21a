"""Public hosts on an Istio Gateway: VirtualServices, which merge there when their hosts differ."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from typing import Any

from kardinal_infra.model.names import ANSWER_FLOW, Owner
from kardinal_infra.model.topology import Gateway
from kardinal_infra.observed.live import Object, namespace_of
from kardinal_infra.observed.virtual_services import gateways_named, gateways_of
from kardinal_infra.routing.istio.mesh import API_VERSION, baseline_rules
from kardinal_infra.routing.istio.rules import flow_rule, with_change
from kardinal_infra.routing.key import Change, Key
from kardinal_infra.routing.retarget import Targets


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
        http: Its rules.
    """
    return {
        "apiVersion": API_VERSION,
        "kind": "VirtualService",
        "metadata": owner.metadata(name, service),
        "spec": {"hosts": [host], "gateways": [gateway_reference(gateway)], "http": http},
    }


def production_rule(service: str, port: int) -> dict[str, Any]:
    """Makes the rule of a host that leads to a Service alone.

    Args:
        service: The Service, of the object's namespace.
        port: Its port.
    """
    return {"route": [{"destination": {"host": service, "port": {"number": port}}}]}


def closed(rule: Mapping[str, Any], key: Key) -> dict[str, Any]:
    """Makes a rule of a production host remove the key: nobody outside reaches a fork by choosing one.

    Args:
        rule: The rule; it changes no headers.
        key: What carries flows.
    """
    return {**rule, "headers": {"request": {"remove": [*key.names]}}}


def host_rules(
    production: Iterable[Object], gateway: Gateway, targets: Targets, port: int
) -> list[dict[str, Any]]:
    """Makes the rules of a flow's host.

    Args:
        production: The user's VirtualServices of the production host; their rules for the Gateway are copied.
            Without any, the host leads to the service.
        gateway: The Istio Gateway.
        targets: The entry's service and the flow's forks.
        port: Port of the service.

    Returns:
        Rules that lead to forks where there are some, and to production's services everywhere else. Each
        marks its requests with the flow.
    """
    rules = [rule for item in production for rule in _rules_of_gateway(item, gateway)]
    made = []
    for rule in rules or [production_rule(targets.service, port)]:
        copy, _ = flow_rule(rule, targets, port)
        made.append(_marked({**_matches(rule), **copy}, targets))
    return made


def _rules_of_gateway(item: Object, gateway: Gateway) -> Iterator[dict[str, Any]]:
    """Rules that a Gateway looks at, with the matches that it looks at, which need not name it any more."""
    for rule in baseline_rules(item):
        written: list[Mapping[str, Any]] = list(rule.get("match") or ({},))
        matches = [
            {key: value for key, value in match.items() if key != "gateways"}
            for match in written
            if gateway_reference(gateway)
            in gateways_named(match.get("gateways") or gateways_of(item), namespace_of(item))
        ]
        if matches:
            yield {**rule, "match": matches}


def _matches(rule: Mapping[str, Any]) -> dict[str, Any]:
    matches = rule.get("match") or [{}]
    return {} if {} in matches else {"match": deepcopy(matches)}


def _marked(rule: dict[str, Any], targets: Targets) -> dict[str, Any]:
    """Every request gets the key, every answer says whose it is."""
    for change in targets.key.marks(targets.flow):
        rule["headers"] = with_change(rule, "request", change)
    rule["headers"] = with_change(rule, "response", Change("set", ANSWER_FLOW, targets.flow))
    return rule
