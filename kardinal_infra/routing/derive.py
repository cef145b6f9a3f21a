"""The mesh routes of a flow, derived from the baseline's routes.

Gateway API ranks path, method and the number of headers before age. So every match of every rule is copied
and the flow's header added: each copy ranks right above its original, and among each other the copies keep
the order of the originals. Copies are of the kind of their original: a GRPCRoute behind an HTTPRoute that
takes everything is never programmed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from kardinal_infra.live import Object, namespace_of
from kardinal_infra.names import HEADER_FLOW, HEADER_FORK, Owner, route_name, shorten
from kardinal_infra.routing.filters import RESPONSE_HEADERS, for_flow, merge_filter
from kardinal_infra.routing.manifest import MAX_HEADERS, route, service_parent
from kardinal_infra.routing.parents import kind_of, matches_of, parent_ports, routes_of, rules_of
from kardinal_infra.routing.split import split

_MAX_SESSION_NAME = 128


@dataclass(frozen=True)
class Targets:
    """Where a flow's requests to one Service go.

    Attributes:
        owner: Stack, namespace of the Service, and flow.
        service: The Service, forked or only sending requests on to a forked one.
        forks: Fork by service, of this flow; each is in its service's namespace.
        declared: Services of the topology.
        homes: Namespace by service; those that are not in it are in the owner's.
    """

    owner: Owner
    service: str
    forks: Mapping[str, str]
    declared: Collection[str]
    homes: Mapping[str, str] = field(default_factory=dict)

    def declares(self, name: str, namespace: str) -> bool:
        """Says whether a Service is one of the topology's.

        Args:
            name: Its name.
            namespace: Its namespace.
        """
        return name in self.declared and namespace == self.homes.get(name, self.owner.namespace)

    def fork_of(self, name: str, namespace: str) -> str | None:
        """Finds the fork that takes the place of a backend.

        Args:
            name: Name of the backend's Service.
            namespace: Its namespace.

        Returns:
            The fork. A Service of the same namespace that the topology does not declare is a version of
            `service`, for example a canary, and is replaced by the same fork. None: requests stay with it.
        """
        if self.declares(name, namespace):
            return self.forks.get(name)
        return self.forks.get(self.service) if namespace == self.owner.namespace else None

    def mirror_fork(self, name: str, namespace: str) -> str | None:
        """Finds the fork that gets what is mirrored to a Service; an undeclared one gets nothing.

        Args:
            name: Name of the Service.
            namespace: Its namespace.
        """
        return self.forks.get(name) if self.declares(name, namespace) else None


def flow_routes(
    owner: Owner,
    service: str,
    port: int,
    routes: Iterable[Object],
    forks: Mapping[str, str],
    declared: Collection[str],
    homes: Mapping[str, str] | None = None,
) -> list[dict[str, Any]]:
    """Derives a flow's routes on one port of one Service.

    Args:
        owner: Stack, namespace of the Service, and flow.
        service: The Service, forked or only sending requests on to a forked one.
        port: Its port.
        routes: Live HTTPRoutes and GRPCRoutes of any namespace; those without `kind` are HTTPRoutes.
        forks: Fork by service, of this flow.
        declared: Services of the topology. A backend of the namespace that is none of them is a version of
            `service`, for example a canary, and is replaced by its fork too.
        homes: Namespace by service; default: the owner's for all.

    Returns:
        Manifests; several when one object cannot hold all rules. Empty when no rule leads to a fork.

    Raises:
        ValueError: A match of the baseline has no room for one more header or matches the routing header
            itself, or rules that can tie do not fit one object.
    """
    assert owner.flow is not None
    targets = Targets(owner, service, forks, declared, homes or {})
    by_kind: dict[str, list[dict[str, Any]]] = {}
    reached: set[str] = set()
    for item in baseline_routes(routes, owner.namespace, service, port):
        for rule in rules_of(item):
            copy, forked = _copy_rule(rule, port, targets)
            by_kind.setdefault(kind_of(item), []).append(copy)
            if forked:
                reached.add(kind_of(item))
    return [
        route(
            kind,
            owner,
            route_name(service, owner.flow, port, part),
            service,
            {"parentRefs": [service_parent(service, port)], "rules": chunk},
        )
        for kind, rules in by_kind.items()
        if kind in reached
        for part, chunk in enumerate(split(rules), start=1)
    ]


def baseline_routes(
    routes: Iterable[Object], namespace: str, service: str, port: int | None
) -> Iterator[Object]:
    """Yields the routes that decide about a Service's port without any flow.

    Args:
        routes: HTTPRoutes and GRPCRoutes of any namespace.
        namespace: Namespace of the Service.
        service: Its name.
        port: Its port; None for attachments without a port.

    Yields:
        Those in the Service's own namespace, in the order in which ties are broken.
    """
    for item in routes_of(routes, namespace, service):
        if namespace_of(item) == namespace and port in parent_ports(item, namespace, service):
            yield item


def _copy_rule(rule: Mapping[str, Any], port: int, targets: Targets) -> tuple[dict[str, Any], bool]:
    flow = str(targets.owner.flow)
    # A rule's name is for policies that attach to it, and would not be unique any more.
    copy = {key: deepcopy(value) for key, value in rule.items() if key not in {"name", "filters"}}
    copy["matches"] = [with_key(match, flow) for match in matches_of(rule)]
    filters = for_flow(rule.get("filters") or (), lambda backend: _mirrored(backend, targets))
    backends = [
        {
            **backend,
            "name": fork,
            # A version of the service may listen on another port; its fork has the service's.
            "port": backend.get("port", port) if _is_declared(backend, targets) else port,
            **_backend_filters(backend, targets),
        }
        for backend in copy.get("backendRefs") or ()
        # Weight 0 means that nothing goes there, forked or not.
        if (fork := _fork_of(backend, targets)) is not None and backend.get("weight", 1) > 0
    ]
    if session := copy.get("sessionPersistence", {}).get("sessionName"):
        # A session of production's must not pin a flow's requests, nor the other way round.
        copy["sessionPersistence"]["sessionName"] = shorten(f"{session}-{flow}", _MAX_SESSION_NAME)
    if backends:
        copy["backendRefs"] = _merged(backends)
        mark = {"name": HEADER_FORK, "value": backends[0]["name"]}
        filters = merge_filter(filters, RESPONSE_HEADERS, "set", mark)
    if filters:
        copy["filters"] = filters
    return copy, bool(backends)


def with_key(match: Mapping[str, Any], flow: str) -> dict[str, Any]:
    """Adds the routing header to a match.

    Args:
        match: Of an HTTPRoute or GRPCRoute.
        flow: The flow's id.

    Returns:
        A copy.

    Raises:
        ValueError: It matches the routing header itself, or has no room for one more.
    """
    headers = list(match.get("headers") or ())
    if any(header["name"].lower() == HEADER_FLOW for header in headers):
        raise ValueError(f"a match of the baseline uses the header {HEADER_FLOW}, which is the flows' own")
    if len(headers) >= MAX_HEADERS:
        raise ValueError(f"a match with {len(headers)} headers has no room for the flow's")
    return {
        **deepcopy(dict(match)),
        "headers": [*headers, {"type": "Exact", "name": HEADER_FLOW, "value": flow}],
    }


def _is_declared(backend: Mapping[str, Any], targets: Targets) -> bool:
    return targets.declares(backend["name"], backend.get("namespace") or targets.owner.namespace)


def _fork_of(backend: Mapping[str, Any], targets: Targets) -> str | None:
    if not is_service(backend):
        return None
    return targets.fork_of(backend["name"], backend.get("namespace") or targets.owner.namespace)


def _mirrored(backend: Mapping[str, Any], targets: Targets) -> dict[str, Any] | None:
    fork = targets.mirror_fork(backend["name"], backend.get("namespace") or targets.owner.namespace)
    return {**backend, "name": fork} if fork is not None and is_service(backend) else None


def is_service(backend: Mapping[str, Any]) -> bool:
    """Says whether a backendRef is one to a Service.

    Args:
        backend: Of a rule or a mirror.
    """
    return bool(backend.get("kind", "Service") == "Service" and backend.get("group", "") == "")


def _backend_filters(backend: Mapping[str, Any], targets: Targets) -> dict[str, Any]:
    if "filters" not in backend:
        return {}
    return {"filters": for_flow(backend["filters"], lambda item: _mirrored(item, targets))}


def _merged(backends: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """One entry per fork. Requests of a flow never take part in the baseline's split of weights beside it."""
    by_target: dict[tuple[str, int], dict[str, Any]] = {}
    for backend in backends:
        target = (backend["name"], backend["port"])
        known = by_target.setdefault(target, {**backend, "weight": 0})
        known["weight"] += backend.get("weight", 1)
    merged = list(by_target.values())
    if len(merged) == 1:
        merged[0].pop("weight")
    return merged
