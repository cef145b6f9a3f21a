"""What is on the cluster, as plain data, and pure questions about it.

`kardinal_infra.snapshot` reads one once, at the start of a program; everything after works on it
alone, so that a preview shows real values and finds every problem before anything is made. Objects are plain
dicts as the API server serves them (camelCase). They hold env values: no repr here shows an object's content.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kardinal_infra.names import ANNOTATION_STACK, LABEL_FLOW
from kardinal_infra.selectors import matches

Object = Mapping[str, Any]
"""A Kubernetes object as a plain dict."""

GATEWAY_API = "gateway.networking.k8s.io/v1"
ISTIO_GROUP = "networking.istio.io/"
INJECT = "sidecar.istio.io/inject"
ROOT_NAMESPACE = "istio-system"
"""Istio's default root namespace: policies there apply to the pods of all namespaces."""


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

    @property
    def routes(self) -> tuple[Object, ...]:
        """HTTPRoutes and GRPCRoutes together; those without `kind` are HTTPRoutes."""
        return (*self.http_routes, *self.grpc_routes)

    @property
    def has_mesh(self) -> bool:
        """Istio is installed."""
        return bool(self.injectors) or any(version.startswith(ISTIO_GROUP) for version in self.api_versions)

    def service(self, name: str) -> Object | None:
        """Returns the Service of this name."""
        return next((item for item in self.services if name_of(item) == name), None)

    def workloads(self) -> Iterator[Object]:
        """Yields the Deployments and StatefulSets that are not forks."""
        for kind, objects in (("Deployment", self.deployments), ("StatefulSet", self.statefulsets)):
            for item in objects:
                if flow_of(item) is None:
                    yield {"apiVersion": "apps/v1", **item, "kind": kind}

    def workload(self, kind: str, name: str) -> Object | None:
        """Returns the Deployment or StatefulSet of this name."""
        return next(
            (item for item in self.workloads() if item["kind"] == kind and name_of(item) == name), None
        )

    def workloads_behind(self, service: Object) -> list[Object]:
        """Finds the workloads whose pods a Service selects.

        Args:
            service: A Service; without selector nothing is behind it.

        Returns:
            Deployments and StatefulSets, forks left out.
        """
        selector = spec_of(service).get("selector") or {}
        if not selector:
            return []
        return [item for item in self.workloads() if matches({"matchLabels": selector}, pod_labels(item))]

    def selectors(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Yields who counts or reaches pods of the namespace, and by what label selector.

        Services, workloads, PodDisruptionBudgets and ServiceEntries: none of them may ever select a fork.
        Policies are not among them (`policies_for`). What belongs to a flow is left out.

        Yields:
            For example `Service web` and a LabelSelector.
        """
        for service in self.services:
            selector = spec_of(service).get("selector")
            if selector and flow_of(service) is None:
                yield f"Service {name_of(service)}", {"matchLabels": selector}
        for item in (*self.workloads(), *self.other_workloads):
            selector = spec_of(item).get("selector")
            if selector and flow_of(item) is None:
                yield f"{item.get('kind', 'workload')} {name_of(item)}", selector
        for item in self.disruption_budgets:
            selector = spec_of(item).get("selector")
            if selector is not None and flow_of(item) is None:
                yield f"PodDisruptionBudget {name_of(item)}", selector
        for item in self.service_entries:
            labels = (spec_of(item).get("workloadSelector") or {}).get("labels")
            if labels and flow_of(item) is None:
                yield f"ServiceEntry {name_of(item)}", {"matchLabels": labels}

    def policies_for(self, labels: Mapping[str, str]) -> list[Object]:
        """Finds the policies that apply to pods of the namespace.

        Args:
            labels: Labels of the pods.

        Returns:
            Policies with their kind; those of flows are left out.
        """
        return [
            item
            for item in self.policies
            if flow_of(item) is None
            and namespace_of(item) in (self.namespace, ROOT_NAMESPACE)
            and (namespace_of(item) == self.namespace or item["kind"] != "NetworkPolicy")
            and matches(policy_selector(item), labels)
        ]

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
        # Items of a list carry no kind.
        groups = (
            ("Service", self.services),
            ("Deployment", self.deployments),
            ("StatefulSet", self.statefulsets),
            ("HTTPRoute", self.http_routes),
            ("GRPCRoute", self.grpc_routes),
            ("VirtualService", self.virtual_services),
            ("object", self.policies),
            ("object", self.flow_objects),
        )
        for kind, items in groups:
            yield from (
                {"kind": kind, **item}
                for item in items
                if flow_of(item) == flow and namespace_of(item) == self.namespace
            )


def name_of(item: Object) -> str:
    """Returns an object's name."""
    return str((item.get("metadata") or {}).get("name", ""))


def namespace_of(item: Object) -> str:
    """Returns an object's namespace."""
    return str((item.get("metadata") or {}).get("namespace", ""))


def flow_of(item: Object) -> str | None:
    """Returns the flow that an object belongs to, None for all others."""
    value = ((item.get("metadata") or {}).get("labels") or {}).get(LABEL_FLOW)
    return None if value is None else str(value)


def owner_of(item: Object) -> str:
    """Returns the stack that an object says it belongs to, empty when it says none."""
    return str(((item.get("metadata") or {}).get("annotations") or {}).get(ANNOTATION_STACK, ""))


def spec_of(item: Object) -> Mapping[str, Any]:
    """Returns what an object or a pod template asks for, empty when it says nothing."""
    spec: Mapping[str, Any] = item.get("spec") or {}
    return spec


def policy_selector(policy: Object) -> Mapping[str, Any]:
    """Returns a policy's pod selector; the empty one selects every pod of the namespace.

    Args:
        policy: A NetworkPolicy or a policy of Istio's, with its kind.

    Returns:
        A LabelSelector.
    """
    spec = spec_of(policy)
    if policy["kind"] == "NetworkPolicy":
        selector: Mapping[str, Any] = spec.get("podSelector") or {}
        return selector
    if "workloadSelector" in spec:
        wanted = spec["workloadSelector"] or {}
        return {"matchLabels": wanted.get("labels") or wanted.get("matchLabels") or {}}
    return {"matchLabels": (spec.get("selector") or {}).get("matchLabels") or {}}


def pod_template(workload: Object) -> Object:
    """Returns a workload's pod template."""
    template: Object = spec_of(workload).get("template") or {}
    return template


def pod_labels(workload: Object) -> Mapping[str, str]:
    """Returns the labels of a workload's pods."""
    return (pod_template(workload).get("metadata") or {}).get("labels") or {}


def containers(template: Object) -> Iterator[Object]:
    """Yields the init containers, then the containers of a pod template."""
    spec = spec_of(template)
    yield from spec.get("initContainers") or ()
    yield from spec.get("containers") or ()
