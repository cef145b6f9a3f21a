"""The demonstration's application as a cluster would show it, in pieces that tests change."""

from __future__ import annotations

import os
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from typing import Any

from hypothesis import HealthCheck, settings

from kardinal_infra.config import FlowConfig, read_flow
from kardinal_infra.model.topology import Topology
from kardinal_infra.observed.live import LiveObjects
from kardinal_infra.plan import FlowPlan, make_plan
from kardinal_infra.routing import catch_all_routes

MANY = settings(
    max_examples=int(os.environ.get("KARDINAL_EXAMPLES", "30")),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
"""For properties; KARDINAL_EXAMPLES=10000 searches longer than every run can."""

NAMESPACE = "voting-app"
STACK = "organization/kardinal/dev"
BASELINE_STACK = "organization/kardinal/baseline"

TOPOLOGY: dict[str, Any] = {
    "schemaVersion": 1,
    "application": "voting-app",
    "namespace": NAMESPACE,
    "domain": "voting.localhost",
    "gateway": {"name": "kardinal", "namespace": NAMESPACE, "port": 8080, "address": "127.0.0.1:8080"},
    "services": {
        "voting-app-ui": {"ports": [{"port": 80}], "dependsOn": ["votes-api"]},
        "votes-api": {
            "ports": [{"port": 80}],
            "uses": [{"database": "votes", "environment": {"DATABASE_URL": "uri"}}],
        },
    },
    "entries": [{"service": "voting-app-ui", "host": "voting.localhost"}],
    "databases": {
        "votes": {
            "project": "kardinal-demo",
            "parent": "main",
            "database": "votes",
            "role": "votes_owner",
            "migrations": {
                "service": "voting-app-ui",
                "command": ["python3", "/app/migrate.py"],
                "environment": {"DATABASE_URL": "uri"},
            },
        }
    },
}

FLOW: dict[str, Any] = {
    "baseline": BASELINE_STACK,
    "services": {"voting-app-ui": {"image": "voting-app-ui-dev"}},
}

INJECTOR: dict[str, Any] = {
    "metadata": {"name": "istio-sidecar-injector", "labels": {"app": "sidecar-injector"}},
    "webhooks": [
        {
            "name": "namespace.sidecar-injector.istio.io",
            "namespaceSelector": {
                "matchExpressions": [{"key": "istio-injection", "operator": "In", "values": ["enabled"]}]
            },
            "objectSelector": {
                "matchExpressions": [
                    {"key": "sidecar.istio.io/inject", "operator": "NotIn", "values": ["false"]}
                ]
            },
        }
    ],
}


def service(name: str, port: int = 80, **spec: Any) -> dict[str, Any]:
    """A Service that selects the pods of `workload(name)`."""
    return {
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": {"app": name}},
        "spec": {
            "type": "ClusterIP",
            "clusterIP": "10.96.1.2",
            "selector": {"app": name},
            "ports": [{"name": "http", "port": port, "targetPort": 8000, "protocol": "TCP"}],
            **spec,
        },
    }


def workload(name: str, image: str | None = None, env: list[Any] | None = None) -> dict[str, Any]:
    """A Deployment as the API server gives it back, with what others put on it."""
    return {
        "metadata": {
            "name": name,
            "namespace": NAMESPACE,
            "uid": "5e0f",
            "generation": 3,
            "resourceVersion": "812",
            "creationTimestamp": "2026-11-01T10:00:00Z",
            "managedFields": [{"manager": "helm"}],
            "labels": {"app": name, "app.kubernetes.io/managed-by": "Helm", "helm.sh/chart": "x-1"},
            "annotations": {
                "deployment.kubernetes.io/revision": "3",
                "kubectl.kubernetes.io/last-applied-configuration": "{}",
                "meta.helm.sh/release-name": "x",
                "argocd.argoproj.io/tracking-id": "x",
                "team": "voting",
            },
        },
        "spec": {
            "replicas": 3,
            "revisionHistoryLimit": 10,
            "selector": {"matchLabels": {"app": name}},
            "strategy": {"type": "RollingUpdate"},
            "template": {
                "metadata": {
                    "creationTimestamp": None,
                    "labels": {"app": name, "tier": "web"},
                    "annotations": {"prometheus.io/scrape": "true", "kubectl.kubernetes.io/restartedAt": "x"},
                },
                "spec": {
                    "serviceAccountName": "voting-app",
                    "serviceAccount": "voting-app",
                    "terminationGracePeriodSeconds": 30,
                    "containers": [
                        {
                            "name": name,
                            "image": image or f"{name}:1.0",
                            "imagePullPolicy": "IfNotPresent",
                            "env": env or [],
                            "ports": [{"containerPort": 8000, "protocol": "TCP"}],
                            "readinessProbe": {"httpGet": {"path": "/readyz", "port": 8000}},
                        }
                    ],
                },
            },
        },
        "status": {"readyReplicas": 3},
    }


def secret_env(name: str) -> dict[str, Any]:
    return {"name": name, "valueFrom": {"secretKeyRef": {"name": "votes-database", "key": name}}}


def topology(**changes: Any) -> Topology:
    return Topology.from_plain({**deepcopy(TOPOLOGY), **changes}, BASELINE_STACK)


def live(**changes: Any) -> LiveObjects:
    """The cluster with the application and its baseline stack, no flow."""
    objects = LiveObjects(
        namespace=NAMESPACE,
        namespace_labels={"kubernetes.io/metadata.name": NAMESPACE, "istio-injection": "enabled"},
        services=[service("voting-app-ui"), service("votes-api")],
        deployments=[
            workload("voting-app-ui", env=[{"name": "VOTES_API", "value": "http://votes-api"}]),
            workload("votes-api", env=[secret_env("DATABASE_URL")]),
        ],
        http_routes=catch_all_routes(topology(), BASELINE_STACK),
        gateways=[{"metadata": {"name": "kardinal", "namespace": NAMESPACE}}],
        config_map_keys={},
        secret_keys={"votes-database": frozenset({"DATABASE_URL"})},
        api_versions=frozenset({"gateway.networking.k8s.io/v1", "networking.istio.io/v1"}),
        injectors=[INJECTOR],
    )
    return replace(objects, **changes)


def manifests(live: LiveObjects, namespace: str) -> Iterator[dict[str, Any]]:
    """The Services and Deployments of a snapshot as their owner would have made them, without any pod."""
    for api_version, kind, items in (
        ("v1", "Service", live.services),
        ("apps/v1", "Deployment", live.deployments),
    ):
        for item in items:
            metadata = {"name": item["metadata"]["name"], "namespace": namespace}
            spec = {key: value for key, value in deepcopy(item["spec"]).items() if key != "clusterIP"}
            if kind == "Deployment":
                spec["replicas"] = 0
            yield {"apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": spec}


def config(**changes: Any) -> FlowConfig:
    loaded = read_flow({**deepcopy(FLOW), **changes}, "dev")
    assert not loaded.problems
    assert loaded.config is not None
    return loaded.config


def plan(*, topology: Topology | None = None, live: LiveObjects | None = None, **changes: Any) -> FlowPlan:
    return make_plan(topology or _topology(), config(**changes), live or _live(), stack=STACK)


_topology, _live = topology, live
