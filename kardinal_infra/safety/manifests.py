"""The safety proof without a plan: from the manifests of a flow's stack, as a policy pack sees them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from kardinal_infra.forking import DatabaseEnv, StoreEnv
from kardinal_infra.forking.policies import RECREATED
from kardinal_infra.forking.workloads import find_workload
from kardinal_infra.model.names import LABEL_SERVICE, ServiceRef
from kardinal_infra.model.service import Service
from kardinal_infra.model.topology import Topology
from kardinal_infra.observed.index import grouped
from kardinal_infra.observed.labels import BySelector
from kardinal_infra.observed.live import (
    LiveObjects,
    Object,
    containers,
    flow_of,
    name_of,
    namespace_of,
    pod_template,
    spec_of,
)
from kardinal_infra.observed.virtual_services import MESH, claiming, gateways_of
from kardinal_infra.safety.case import Case, ProposedFork

_WORKLOADS = frozenset({"Deployment", "StatefulSet"})
_ROUTES = frozenset({"HTTPRoute", "GRPCRoute"})
_POOLER = "kardinal-pgbouncer"


def case_of_manifests(manifests: Iterable[Object], live: LiveObjects, topology: Topology, flow: str) -> Case:
    """Makes a case for `prove` from plain manifests.

    Args:
        manifests: Objects of a stack, with kind, metadata and spec; those of other flows are left out.
        live: What is on the cluster.
        topology: The application.
        flow: Flow id.

    Returns:
        The case. Which databases are branched is told by what differs from the baseline's variables. The
        flow's VirtualServices are those of the manifests, whatever the cluster still has.
    """
    own = [item for item in manifests if flow_of(item) == flow]
    forks = tuple(_forks(own, live, topology))
    routes = [item for item in own if item.get("kind") in _ROUTES]
    virtual_services = [item for item in own if item.get("kind") == "VirtualService"]
    made = LiveObjects(topology.namespace, virtual_services=virtual_services)
    claims = (
        item
        for name, home in topology.homes.items()
        for item in claiming(made.virtual_services_on(ServiceRef(home, name)), home, name)
    )
    claimed = {id(item) for item in claims}
    in_mesh = [item for item in virtual_services if id(item) in claimed]
    at_gateways = [item for item in virtual_services if set(gateways_of(item)) - {MESH}]
    locks = BySelector((selector, item) for item in own if (selector := _locked_by(item)) is not None)
    kept = [item for item in live.virtual_services if flow_of(item) != flow]
    return Case(
        live=replace(live, virtual_services=kept),
        topology=topology,
        flow=flow,
        forks=forks,
        routes=(*(item for item in routes if _parent_kinds(item) == {"Service"}), *in_mesh),
        entries=(*(item for item in routes if "Gateway" in _parent_kinds(item)), *at_gateways),
        key="stack",
        locked=frozenset(fork.service for fork in forks if locks.selecting(fork.labels)),
    )


def _forks(own: Sequence[Object], live: LiveObjects, topology: Topology) -> Iterator[ProposedFork]:
    services = grouped((_place(item), item) for item in own if item.get("kind") == "Service")
    policies = grouped((_service_of(item), item) for item in own if item.get("kind") in RECREATED)
    for item in own:
        name = _service_of(item)
        if item.get("kind") not in _WORKLOADS or name is None or name not in topology.services:
            continue
        service = topology.services[name]
        try:
            baseline = find_workload(live, name, service)
        except ValueError:
            continue  # nothing to compare it with
        changed = _changed(baseline, item)
        yield ProposedFork(
            service=name,
            path=f"stack.{item['kind']}.{name_of(item)}",
            baseline=baseline,
            workload=item,
            service_manifest=next(iter(services.get(_place(item), ())), None),
            databases=tuple(_branched(service, item, changed)),
            stores=tuple(
                StoreEnv(use.store, use.environment)
                for use in service.stores
                if changed.intersection(use.environment)
            ),
            requested_env=changed,
            policies=tuple(policies.get(name, ())),
        )


def _service_of(item: Object) -> str | None:
    """The service that an object of a flow is about."""
    name = ((item.get("metadata") or {}).get("labels") or {}).get(LABEL_SERVICE)
    return None if name is None else str(name)


def _place(item: Object) -> tuple[str, str]:
    return namespace_of(item), name_of(item)


def _changed(baseline: Object, fork: Object) -> frozenset[str]:
    """Variables of a fork that its baseline does not have, or has otherwise."""
    before = {
        (container["name"], entry["name"]): entry
        for container in containers(pod_template(baseline))
        for entry in container.get("env") or ()
    }
    return frozenset(
        entry["name"]
        for container in containers(pod_template(fork))
        for entry in container.get("env") or ()
        if before.get((container["name"], entry["name"])) != entry
    )


def _branched(service: Service, fork: Object, changed: frozenset[str]) -> Iterator[DatabaseEnv]:
    pooled = any(item["name"].startswith(_POOLER) for item in containers(pod_template(fork)))
    for use in service.databases:
        if pooled or changed.intersection(use.environment):
            yield DatabaseEnv(use.database, "sidecar" if pooled else "env", use.environment)


def _parent_kinds(route: Object) -> set[Any]:
    parents = spec_of(route).get("parentRefs") or ()
    return {parent.get("kind", "Gateway") for parent in parents}


def _locked_by(item: Object) -> dict[str, Any] | None:
    """Which pods an object locks, None when it is no lock."""
    spec = spec_of(item)
    if item.get("kind") != "Sidecar":
        return None
    closed = (spec.get("outboundTrafficPolicy") or {}).get("mode") == "REGISTRY_ONLY"
    selected = (spec.get("workloadSelector") or {}).get("labels") or {}
    return {"matchLabels": selected} if closed and selected else None
