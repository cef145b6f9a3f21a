"""A snapshot in the order in which it is asked: everything that a plan looks up, filed once.

What is found here by a name that an object writes is a candidate: whether a route hangs on a Service, and
whether a VirtualService takes its requests, is decided by `kardinal_infra.routing` alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from kardinal_infra.model.names import ServiceRef
from kardinal_infra.observed.labels import ByLabels, BySelector
from kardinal_infra.observed.objects import (
    Object,
    flow_of,
    name_of,
    namespace_of,
    pod_labels,
    policy_selector,
    spec_of,
)

if TYPE_CHECKING:
    from kardinal_infra.observed.live import LiveObjects

Key = TypeVar("Key")
Item = TypeVar("Item")

ROOT_NAMESPACE = "istio-system"
"""Istio's default root namespace: policies there apply to the pods of all namespaces."""


class Index:
    """What a snapshot holds, filed on first use.

    Args:
        live: The snapshot.
    """

    def __init__(self, live: LiveObjects) -> None:
        self._live = live

    @cached_property
    def services(self) -> Mapping[str, Object]:
        """Services by name."""
        return by_name(self._live.services)

    @cached_property
    def claims(self) -> Mapping[str, Object]:
        """PersistentVolumeClaims by name."""
        return by_name(self._live.claims)

    @cached_property
    def workloads(self) -> Sequence[Object]:
        """The Deployments and StatefulSets that are not forks, each with its kind."""
        kinds = (("Deployment", self._live.deployments), ("StatefulSet", self._live.statefulsets))
        return [
            {"apiVersion": "apps/v1", **item, "kind": kind}
            for kind, items in kinds
            for item in items
            if flow_of(item) is None
        ]

    @cached_property
    def named_workloads(self) -> Mapping[str, Sequence[Object]]:
        """The same by name."""
        return grouped((name_of(item), item) for item in self.workloads)

    @cached_property
    def labelled_workloads(self) -> ByLabels[Object]:
        """The same by the labels of their pods."""
        return ByLabels((pod_labels(item), item) for item in self.workloads)

    @cached_property
    def labelled_pods(self) -> ByLabels[Object]:
        """The same with whatever else has pods that belong to no flow."""
        others = (item for item in self._live.other_workloads if flow_of(item) is None)
        return ByLabels((pod_labels(item), item) for item in (*self.workloads, *others))

    @cached_property
    def selectors(self) -> Sequence[tuple[str, Mapping[str, Any]]]:
        """Who counts or reaches pods, and by what label selector."""
        return list(_selectors(self._live, self.workloads))

    @cached_property
    def selecting(self) -> BySelector[str]:
        """The same, to be asked by labels."""
        return BySelector((selector, who) for who, selector in self.selectors)

    @cached_property
    def policies(self) -> BySelector[Object]:
        """Policies of no flow that apply to pods of the namespace."""
        namespace = self._live.namespace
        return BySelector(
            (policy_selector(item), item)
            for item in self._live.policies
            if flow_of(item) is None
            and namespace_of(item) in (namespace, ROOT_NAMESPACE)
            and (namespace_of(item) == namespace or item["kind"] != "NetworkPolicy")
        )

    @cached_property
    def scaled(self) -> Mapping[tuple[str, str], Sequence[Object]]:
        """HorizontalPodAutoscalers by kind and name of what they scale."""
        targets = ((spec_of(item).get("scaleTargetRef") or {}, item) for item in self._live.autoscalers)
        return grouped(((str(target.get("kind")), str(target.get("name"))), item) for target, item in targets)

    @cached_property
    def routes(self) -> Mapping[ServiceRef, Sequence[Object]]:
        """HTTPRoutes and GRPCRoutes by what they name as a parent; the flows' among them."""
        return grouped((ref, route) for route in self._live.routes for ref in _parents(route))

    @cached_property
    def baseline_routes(self) -> Mapping[ServiceRef, Sequence[Object]]:
        """The same without the flows'."""
        return {ref: [item for item in items if flow_of(item) is None] for ref, items in self.routes.items()}

    @cached_property
    def gateway_routes(self) -> Sequence[Object]:
        """HTTPRoutes of no flow with a parent that is not a Service."""
        return [
            item
            for item in self._live.http_routes
            if flow_of(item) is None
            and any(parent.get("kind") != "Service" for parent in spec_of(item).get("parentRefs") or ())
        ]

    @cached_property
    def virtual_services(self) -> Mapping[str, Sequence[int]]:
        """Places of VirtualServices by the first label of their hosts; those with a wildcard under `*`."""
        return grouped(
            (label, place)
            for place, item in enumerate(self._live.virtual_services)
            for label in dict.fromkeys(map(_first_label, spec_of(item).get("hosts") or ()))
        )

    @cached_property
    def named_virtual_services(self) -> Mapping[tuple[str, str], Sequence[Object]]:
        """VirtualServices by namespace and name."""
        return grouped(((namespace_of(item), name_of(item)), item) for item in self._live.virtual_services)

    @cached_property
    def flows(self) -> Mapping[str, Sequence[Object]]:
        """Objects of the namespace that carry a flow's label, each with its kind."""
        live = self._live
        # Items of a list carry no kind.
        groups = (
            ("Service", live.services),
            ("Deployment", live.deployments),
            ("StatefulSet", live.statefulsets),
            ("HTTPRoute", live.http_routes),
            ("GRPCRoute", live.grpc_routes),
            ("VirtualService", live.virtual_services),
            ("object", live.policies),
            ("object", live.flow_objects),
        )
        return grouped(
            (flow, {"kind": kind, **item})
            for kind, items in groups
            for item in items
            if (flow := flow_of(item)) is not None and namespace_of(item) == live.namespace
        )


def by_name(items: Iterable[Object]) -> Mapping[str, Object]:
    """Files objects of one kind and namespace.

    Args:
        items: The objects; of two with one name the first counts.
    """
    found: dict[str, Object] = {}
    for item in items:
        found.setdefault(name_of(item), item)
    return found


def grouped(items: Iterable[tuple[Key, Item]]) -> dict[Key, list[Item]]:
    """Files items under their keys.

    Args:
        items: Key and item.

    Returns:
        The items of each key, in their order.
    """
    found: dict[Key, list[Item]] = {}
    for key, item in items:
        found.setdefault(key, []).append(item)
    return found


def _parents(route: Object) -> Iterable[ServiceRef]:
    refs = spec_of(route).get("parentRefs") or ()
    return dict.fromkeys(
        ServiceRef(parent.get("namespace") or namespace_of(route), parent["name"]) for parent in refs
    )


def _first_label(host: str) -> str:
    return "*" if host.startswith("*") else host.partition(".")[0]


def _selectors(live: LiveObjects, workloads: Iterable[Object]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for service in live.services:
        selector = spec_of(service).get("selector")
        if selector and flow_of(service) is None:
            yield f"Service {name_of(service)}", {"matchLabels": selector}
    for item in (*workloads, *live.other_workloads):
        selector = spec_of(item).get("selector")
        if selector and flow_of(item) is None:
            yield f"{item.get('kind', 'workload')} {name_of(item)}", selector
    for item in live.disruption_budgets:
        selector = spec_of(item).get("selector")
        if selector is not None and flow_of(item) is None:
            yield f"PodDisruptionBudget {name_of(item)}", selector
    for item in live.service_entries:
        labels = (spec_of(item).get("workloadSelector") or {}).get("labels")
        if labels and flow_of(item) is None:
            yield f"ServiceEntry {name_of(item)}", {"matchLabels": labels}
