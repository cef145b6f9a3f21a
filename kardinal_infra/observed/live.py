"""What is on the cluster, as plain data, and pure questions about it.

`kardinal_infra.cluster.snapshot` reads one once, at the start of a program; everything after works on it
alone, so that a preview shows real values and finds every problem before anything is made. Objects are plain
dicts as the API server serves them (camelCase). They hold env values: no repr here shows an object's content.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from kardinal_infra.model.names import ServiceRef
from kardinal_infra.observed.index import ROOT_NAMESPACE, Index
from kardinal_infra.observed.objects import (
    Object,
    containers,
    flow_of,
    name_of,
    namespace_of,
    owner_of,
    pod_labels,
    pod_template,
    policy_selector,
    spec_of,
)
from kardinal_infra.observed.selectors import matches

__all__ = [
    "GATEWAY_API",
    "ROOT_NAMESPACE",
    "LiveObjects",
    "Object",
    "containers",
    "flow_of",
    "name_of",
    "namespace_of",
    "owner_of",
    "pod_labels",
    "pod_template",
    "policy_selector",
    "spec_of",
]

GATEWAY_API = "gateway.networking.k8s.io/v1"
ISTIO_GROUP = "networking.istio.io/"
INJECT = "sidecar.istio.io/inject"


@dataclass(frozen=True)
class LiveObjects:
    """A snapshot of what a plan needs.

    Attributes:
        namespace: The application's namespace.
        namespace_labels: Its labels (with `kubernetes.io/metadata.name`).
        services: Services of the namespace.
        deployments: Deployments of the namespace.
        statefulsets: StatefulSets of the namespace.
        other_workloads: DaemonSets, ReplicaSets without owner: whatever else selects pods there.
        claims: PersistentVolumeClaims of the namespace.
        disruption_budgets: PodDisruptionBudgets of the namespace.
        autoscalers: HorizontalPodAutoscalers of the namespace.
        service_entries: ServiceEntries of the namespace.
        policies: What selects pods to guard or configure them, each with its kind: NetworkPolicies of the
            namespace, and Istio's policies of the namespace and of Istio's root namespace.
        http_routes: HTTPRoutes of all namespaces that may be read.
        grpc_routes: GRPCRoutes of all namespaces that may be read, with their `kind`.
        gateways: Gateways (gateway.networking.k8s.io) of all namespaces that may be read.
        istio_gateways: Gateways of networking.istio.io of all namespaces; none where they may not be read.
        virtual_services: VirtualServices of all namespaces that may be read.
        config_map_keys: Keys by ConfigMap of the namespace; None when they may not be read.
        secret_keys: Keys by Secret of the namespace; None when they may not be read.
        api_versions: Served API versions, e.g. `gateway.networking.k8s.io/v1`.
        injectors: MutatingWebhookConfigurations of Istio's sidecar injection.
        flow_objects: Further objects with the label `kardinal.dev/flow` (Secrets without their data, Jobs,
            ...).
        unread: Kinds that may not be read, of those that a plan can do without.
        hidden: Kinds that may not be read in all namespaces, as `gateways.networking.istio.io`.
        others: Snapshots of the application's further namespaces, by namespace; what is of all namespaces is
            the same in each.
    """

    namespace: str
    namespace_labels: Mapping[str, str] = field(default_factory=dict)
    services: Sequence[Object] = field(default=(), repr=False)
    deployments: Sequence[Object] = field(default=(), repr=False)
    statefulsets: Sequence[Object] = field(default=(), repr=False)
    other_workloads: Sequence[Object] = field(default=(), repr=False)
    claims: Sequence[Object] = field(default=(), repr=False)
    disruption_budgets: Sequence[Object] = field(default=(), repr=False)
    autoscalers: Sequence[Object] = field(default=(), repr=False)
    service_entries: Sequence[Object] = field(default=(), repr=False)
    policies: Sequence[Object] = field(default=(), repr=False)
    http_routes: Sequence[Object] = field(default=(), repr=False)
    grpc_routes: Sequence[Object] = field(default=(), repr=False)
    gateways: Sequence[Object] = field(default=(), repr=False)
    istio_gateways: Sequence[Object] = field(default=(), repr=False)
    virtual_services: Sequence[Object] = field(default=(), repr=False)
    config_map_keys: Mapping[str, frozenset[str]] | None = field(default=None, repr=False)
    secret_keys: Mapping[str, frozenset[str]] | None = field(default=None, repr=False)
    api_versions: frozenset[str] = frozenset()
    injectors: Sequence[Object] = field(default=(), repr=False)
    flow_objects: Sequence[Object] = field(default=(), repr=False)
    unread: frozenset[str] = frozenset()
    hidden: frozenset[str] = frozenset()
    others: Mapping[str, LiveObjects] = field(default_factory=dict, repr=False)

    def of(self, namespace: str | None) -> LiveObjects:
        """Returns the snapshot of one of the application's namespaces.

        Args:
            namespace: The namespace; None for this snapshot's own.
        """
        return self if namespace in (None, self.namespace) else self.others[namespace]

    def everywhere(self) -> Iterator[LiveObjects]:
        """Yields the snapshots of all namespaces of the application."""
        yield self
        yield from self.others.values()

    @property
    def has_gateway_api(self) -> bool:
        """HTTPRoutes can be made."""
        return GATEWAY_API in self.api_versions

    @cached_property
    def index(self) -> Index:
        """The snapshot in the order in which it is asked."""
        return Index(self)

    @cached_property
    def routes(self) -> tuple[Object, ...]:
        """HTTPRoutes and GRPCRoutes together; those without `kind` are HTTPRoutes."""
        return (*self.http_routes, *self.grpc_routes)

    def routes_on(self, service: ServiceRef) -> Sequence[Object]:
        """Returns the routes that may hang on a Service, those of flows among them.

        Args:
            service: What they name as a parent.
        """
        return self.index.routes.get(service, ())

    def baseline_routes_on(self, service: ServiceRef) -> Sequence[Object]:
        """Returns the routes that may hang on a Service, those of flows left out.

        Args:
            service: What they name as a parent.
        """
        return self.index.baseline_routes.get(service, ())

    @property
    def gateway_routes(self) -> Sequence[Object]:
        """HTTPRoutes of no flow that may hang on a Gateway."""
        return self.index.gateway_routes

    def virtual_services_named(self, namespace: str, name: str) -> Sequence[Object]:
        """Returns the VirtualService of this name, none or one.

        Args:
            namespace: Its namespace.
            name: Its name.
        """
        return self.index.named_virtual_services.get((namespace, name), ())

    def virtual_services_on(self, service: ServiceRef) -> list[Object]:
        """Returns the VirtualServices that may take a Service's requests.

        Args:
            service: What the first label of one of their hosts names, or a wildcard may mean.
        """
        filed = self.index.virtual_services
        places = sorted({*filed.get(service.name, ()), *filed.get("*", ())})
        return [self.virtual_services[place] for place in places]

    @property
    def has_mesh(self) -> bool:
        """Istio is installed."""
        return bool(self.injectors) or any(version.startswith(ISTIO_GROUP) for version in self.api_versions)

    def service(self, name: str) -> Object | None:
        """Returns the Service of this name."""
        return self.index.services.get(name)

    def claim(self, name: str) -> Object | None:
        """Returns the PersistentVolumeClaim of this name."""
        return self.index.claims.get(name)

    def workloads(self) -> Iterator[Object]:
        """Yields the Deployments and StatefulSets that are not forks."""
        yield from self.index.workloads

    def workloads_named(self, name: str) -> Sequence[Object]:
        """Returns the Deployments and StatefulSets of this name that are not forks."""
        return self.index.named_workloads.get(name, ())

    def workload(self, kind: str, name: str) -> Object | None:
        """Returns the Deployment or StatefulSet of this name."""
        return next((item for item in self.workloads_named(name) if item["kind"] == kind), None)

    def workloads_behind(self, service: Object) -> list[Object]:
        """Finds the workloads whose pods a Service selects.

        Args:
            service: A Service; without selector nothing is behind it.

        Returns:
            Deployments and StatefulSets, forks left out.
        """
        selector = spec_of(service).get("selector") or {}
        return self.workloads_selected({"matchLabels": selector}) if selector else []

    def workloads_selected(self, selector: Mapping[str, Any]) -> list[Object]:
        """Finds the workloads whose pods a selector selects.

        Args:
            selector: A LabelSelector.

        Returns:
            Deployments and StatefulSets, forks left out.
        """
        return self.index.labelled_workloads.selected(selector)

    def selectors(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Yields who counts or reaches pods of the namespace, and by what label selector.

        Services, workloads, PodDisruptionBudgets and ServiceEntries: none of them may ever select a fork.
        Policies are not among them (`policies_for`). What belongs to a flow is left out.

        Yields:
            For example `Service web` and a LabelSelector.
        """
        yield from self.index.selectors

    def selecting(self, labels: Mapping[str, str]) -> list[str]:
        """Says who of `selectors` selects pods.

        Args:
            labels: Labels of the pods.

        Returns:
            For example `Service web`.
        """
        return self.index.selecting.selecting(labels)

    def pods_of(self, selector: Mapping[str, Any]) -> list[Object]:
        """Finds whatever has pods that a selector selects; what belongs to a flow is left out.

        Args:
            selector: A LabelSelector.

        Returns:
            Deployments, StatefulSets and `other_workloads`.
        """
        return self.index.labelled_pods.selected(selector)

    def policies_for(self, labels: Mapping[str, str]) -> list[Object]:
        """Finds the policies that apply to pods of the namespace.

        Args:
            labels: Labels of the pods.

        Returns:
            Policies with their kind; those of flows are left out.
        """
        return self.index.policies.selecting(labels)

    def scalers_of(self, kind: str, name: str) -> Sequence[Object]:
        """Returns the HorizontalPodAutoscalers of a workload.

        Args:
            kind: Its kind.
            name: Its name.
        """
        return self.index.scaled.get((kind, name), ())

    def injected(self, template: Object) -> bool:
        """Says whether pods of a template get a sidecar.

        The webhooks' own selectors decide, then the pod's own label or annotation.

        Args:
            template: A pod template.
        """
        if spec_of(template).get("hostNetwork"):
            return False
        metadata = template.get("metadata") or {}
        labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
        # istiod looks at the pod once more after the webhook matched; the label wins over the annotation.
        if str(labels.get(INJECT, annotations.get(INJECT, "true"))).lower() == "false":
            return False
        return any(
            matches(webhook.get("namespaceSelector") or {}, self.namespace_labels)
            and matches(webhook.get("objectSelector") or {}, labels)
            for configuration in self.injectors
            for webhook in configuration.get("webhooks") or ()
        )

    def of_flow(self, flow: str) -> Iterator[Object]:
        """Yields the known objects of the namespace that carry a flow's label, each with its kind.

        Routes are known of all namespaces, and another application's flow may have the same id.

        Args:
            flow: Flow id.
        """
        yield from self.index.flows.get(flow, ())
