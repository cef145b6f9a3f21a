"""An application of any size as a cluster shows it, with the flows of others on it, for `benchmarks.plan`.

Every number follows from the size alone, so two runs plan the same. Of a thousand services five hundred and
some call others; each twentieth has a VirtualService, each tenth routes of its owner's with several rules,
and all others a catch-all; each hundredth has a database with three users.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Literal

from kardinal_infra.config import FlowConfig, load_flow
from kardinal_infra.model.names import (
    LABEL_FORK,
    Owner,
    catch_all_name,
    entry_route_name,
    fork_name,
    route_name,
)
from kardinal_infra.model.topology import Topology
from kardinal_infra.observed.live import LiveObjects, Object
from kardinal_infra.routing import Targets, entry_route, production_routes
from kardinal_infra.routing.gateway_api.manifest import (
    EVERYTHING,
    http_route,
    service_backend,
    service_parent,
)

Forks = Literal["one", "some", "all"]
"""How much of the application a flow forks: one service, five of a hundred, or everything."""

NAMESPACE = "shop"
FURTHER = ("shop-data", "shop-mail")
"""Namespaces with a tenth of the services each."""

BASELINE = "organization/kardinal/baseline"
STACK = "organization/kardinal/dev"
PORT = 8080
EVERY_VIRTUAL_SERVICE, EVERY_ROUTED, EVERY_GUARDED = 20, 10, 20
DATABASE_USERS = 3
ENTRIES = 2

INJECTOR = {
    "metadata": {"name": "istio-sidecar-injector"},
    "webhooks": [
        {"namespaceSelector": {"matchLabels": {"istio-injection": "enabled"}}, "objectSelector": {}}
    ],
}


def topology(services: int) -> Topology:
    """Describes an application.

    Args:
        services: How many it has, at least 20.
    """
    return Topology.from_plain(
        {
            "schemaVersion": 1,
            "application": "shop",
            "namespace": NAMESPACE,
            "domain": "flows.example.com",
            "gateway": {"name": "kardinal", "namespace": NAMESPACE},
            "services": {_name(index): _service(index, services) for index in range(services)},
            "entries": [
                {"service": _name(index), "host": f"www{index}.example.com"} for index in range(ENTRIES)
            ],
            "databases": {
                f"data{number}": {"project": "shop", "database": f"data{number}", "role": "owner"}
                for number in range(_databases(services))
            },
        },
        BASELINE,
    )


def flow(services: int, forks: Forks) -> FlowConfig:
    """Asks for a flow.

    Args:
        services: Size of the application.
        forks: How much of it is forked.
    """
    users = list(_users(services))
    others = [index for index in range(services - 1, services // 2, -1) if index not in users]
    wanted = {"one": others[:1], "some": [*users, *others][: max(1, services // 20)], "all": users[:1]}[forks]
    return load_flow(
        {
            "baseline": BASELINE,
            "services": {
                _name(index): {"image": f"{_name(index)}:dev", "env": {"LOG": "1"}} for index in wanted
            },
            "isolation": "full" if forks == "all" else "data",
        },
        "dev",
    )


def live(app: Topology, flows: int) -> LiveObjects:
    """Shows the cluster.

    Args:
        app: The application.
        flows: Flows of others on it, each with two forks.
    """
    everything = list(_others(app, flows))
    numbers = range(len(app.services))
    routes = [
        *(_catch_all(app, index) for index in numbers if _is_plain(index)),
        *(_own_route(app, index) for index in numbers if _is_routed(index)),
        *production_routes(app, BASELINE),
        *_of("HTTPRoute", everything),
    ]
    shared: dict[str, Any] = {
        "http_routes": routes,
        "virtual_services": [
            _virtual_service(app, index) for index in numbers if _has_virtual_service(index)
        ],
        "gateways": [_gateway()],
        "api_versions": frozenset({"gateway.networking.k8s.io/v1", "networking.istio.io/v1"}),
        "injectors": [INJECTOR],
    }
    parts = {
        home: LiveObjects(
            namespace=home,
            namespace_labels={"kubernetes.io/metadata.name": home, "istio-injection": "enabled"},
            **shared,
            **_own_objects(app, home, [item for item in everything if _home(item) == home]),
        )
        for home in (NAMESPACE, *FURTHER)
    }
    first = parts.pop(NAMESPACE)
    return replace(first, others=parts)


def _own_objects(app: Topology, home: str, others: list[Object]) -> dict[str, Any]:
    numbers = [index for index, name in enumerate(app.services) if app.homes[name] == home]
    canaries = [f"{_name(index)}-canary" for index in numbers if _is_routed(index)]
    names = [*map(_name, numbers), *canaries]
    return {
        "services": [*(_live_service(home, name) for name in names), *_of("Service", others)],
        "deployments": [*(_deployment(home, name) for name in names), *_of("Deployment", others)],
        "claims": [_object(home, f"{name}-data", {"accessModes": ["ReadWriteOnce"]}) for name in names[::10]],
        "disruption_budgets": [
            _object(home, name, {"selector": {"matchLabels": {"app": name}}}) for name in names[::3]
        ],
        "autoscalers": [
            _object(home, name, {"scaleTargetRef": {"kind": "Deployment", "name": name}})
            for name in names[::4]
        ],
        "policies": [*_policies(home, names)],
        "config_map_keys": {f"{name}-settings": frozenset({"LEVEL", "REGION"}) for name in names},
        "secret_keys": {f"{name}-secrets": frozenset({"DATABASE_URL", "API_KEY"}) for name in names},
    }


def _policies(home: str, names: list[str]) -> Iterator[Object]:
    for caller, name in zip(names, names[1::EVERY_GUARDED], strict=False):
        labels = {"matchLabels": {"app": name}}
        rules = [{"from": [{"podSelector": {"matchLabels": {"app": caller}}}]}]
        yield _object(home, name, {"podSelector": labels, "ingress": rules}, "NetworkPolicy")
        yield _object(home, name, {"selector": labels, "rules": [{}]}, "AuthorizationPolicy")
    yield _object(home, "egress", {"podSelector": {}, "egress": [{}]}, "NetworkPolicy")
    yield _object("istio-system", "default", {"mtls": {"mode": "STRICT"}}, "PeerAuthentication")


def _others(app: Topology, flows: int) -> Iterator[Object]:
    """Other flows: forks with their Services and routes, and a public host each."""
    plain = [name for index, name in enumerate(app.services) if not _has_virtual_service(index)]
    for number in range(flows):
        flow_id = f"pr-{number}"
        owner = Owner(f"organization/kardinal/{flow_id}", NAMESPACE, flow_id)
        for name in {plain[number * 13 % len(plain)], plain[(number * 29 + 7) % len(plain)]}:
            home, fork = owner.at(app.homes[name]), fork_name(name, flow_id)
            labels = {**home.labels(name), LABEL_FORK: fork}
            spec = {"selector": {LABEL_FORK: fork}, "ports": [{"name": "http", "port": PORT}]}
            yield {"kind": "Service", "metadata": home.metadata(fork, name), "spec": spec}
            made = _deployment(home.namespace, name)
            template = {**made["spec"]["template"], "metadata": {"labels": labels}}
            spec = {"selector": {"matchLabels": {LABEL_FORK: fork}}, "template": template}
            yield {"kind": "Deployment", "metadata": home.metadata(fork, name), "spec": spec}
            key = {"type": "Exact", "name": "x-kardinal-flow", "value": flow_id}
            rule = {"matches": [{"headers": [key]}], "backendRefs": [service_backend(fork, PORT)]}
            spec = {"parentRefs": [service_parent(name, PORT)], "rules": [rule]}
            yield http_route(home, route_name(name, flow_id, PORT), name, spec)
        entry = app.entries[0].service
        targets = Targets.of(app, owner, entry, {})
        made = entry_route(targets, app.gateway, f"{flow_id}.flows.example.com", PORT)
        assert made["metadata"]["name"] == entry_route_name(entry, flow_id)
        yield made


def _service(index: int, services: int) -> dict[str, Any]:
    calls = {2 * index + 1, 2 * index + 2, index + (services - index) // 3} - {index}
    users, database = _users(services), {"environment": {"DATABASE_URL": "uri"}}
    used = [{"database": f"data{users[index]}", **database}] if index in users else []
    home = {0: FURTHER[0], 5: FURTHER[1]}.get(index % 10 if index >= ENTRIES else -1)
    return {
        "ports": [{"port": PORT, "protocol": "grpc" if index % 7 == 6 else "http"}],
        "dependsOn": [
            _name(other) for other in sorted(calls) if 2 * index + 1 < services and other < services
        ],
        "uses": used,
        **({"namespace": home} if home else {}),
    }


def _users(services: int) -> dict[int, int]:
    """Database by service: the last ones of those that call nobody, but the very last."""
    count = DATABASE_USERS * _databases(services)
    return {services - 2 - place: place // DATABASE_USERS for place in range(count)}


def _databases(services: int) -> int:
    return max(1, services // 100)


def _name(index: int) -> str:
    return f"service-{index:05d}"


def _has_virtual_service(index: int) -> bool:
    return index % EVERY_VIRTUAL_SERVICE == 13


def _is_routed(index: int) -> bool:
    return index % EVERY_ROUTED == 7


def _is_plain(index: int) -> bool:
    return not _has_virtual_service(index) and not _is_routed(index)


def _catch_all(app: Topology, index: int) -> Object:
    name = _name(index)
    rule = {"matches": [{"path": dict(EVERYTHING)}], "backendRefs": [service_backend(name, PORT)]}
    spec = {"parentRefs": [service_parent(name, PORT)], "rules": [rule]}
    return http_route(Owner(BASELINE, app.homes[name]), catch_all_name(name, PORT), name, spec)


def _own_route(app: Topology, index: int) -> Object:
    """Several rules: a path, a canary by a header, and a split of weights."""
    name = _name(index)
    own, canary = service_backend(name, PORT), service_backend(f"{name}-canary", PORT)
    header = {"type": "Exact", "name": "x-canary", "value": "1"}
    rules = [
        {"matches": [{"path": {"type": "PathPrefix", "value": "/api"}}], "backendRefs": [own]},
        {"matches": [{"headers": [header]}], "backendRefs": [canary]},
        {
            "matches": [{"path": dict(EVERYTHING)}],
            "backendRefs": [{**own, "weight": 9}, {**canary, "weight": 1}],
        },
    ]
    metadata = {"name": name, "namespace": app.homes[name], "creationTimestamp": "2026-01-01T00:00:00Z"}
    return {"metadata": metadata, "spec": {"parentRefs": [service_parent(name, PORT)], "rules": rules}}


def _virtual_service(app: Topology, index: int) -> Object:
    name, home = _name(index), app.homes[_name(index)]
    route = [{"destination": {"host": name, "port": {"number": PORT}}}]
    http = [{"match": [{"uri": {"prefix": "/api"}}], "route": route, "timeout": "5s"}, {"route": route}]
    return _object(home, name, {"hosts": [f"{name}.{home}.svc.cluster.local"], "http": http})


def _live_service(home: str, name: str) -> Object:
    ports = [{"name": "http", "port": PORT, "targetPort": 8000, "appProtocol": "http"}]
    return _object(home, name, {"clusterIP": "10.96.1.2", "selector": {"app": name}, "ports": ports})


def _deployment(home: str, name: str) -> dict[str, Any]:
    labels = {"app": name, "app.kubernetes.io/part-of": "shop", "tier": "web"}
    secret = {"secretKeyRef": {"name": f"{name}-secrets", "key": "DATABASE_URL"}}
    env = [
        *({"name": f"PEER_{number}", "value": f"http://service-{number:05d}:8080"} for number in range(8)),
        {"name": "DATABASE_URL", "valueFrom": secret},
    ]
    probe = {"httpGet": {"path": "/ready", "port": 8000}, "periodSeconds": 5}
    container = {
        "name": name,
        "image": f"{name}:1.0",
        "env": env,
        "envFrom": [{"configMapRef": {"name": f"{name}-settings"}}],
        "ports": [{"containerPort": 8000, "protocol": "TCP"}],
        "readinessProbe": probe,
        "livenessProbe": probe,
        "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "256Mi"}},
        "volumeMounts": [{"name": "settings", "mountPath": "/etc/settings"}],
    }
    pod = {
        "serviceAccountName": "shop",
        "containers": [container, {"name": "log-shipper", "image": "shipper:3", "env": env[:2]}],
        "volumes": [{"name": "settings", "configMap": {"name": f"{name}-settings"}}],
    }
    template = {"metadata": {"labels": labels}, "spec": pod}
    return _object(home, name, {"selector": {"matchLabels": {"app": name}}, "template": template})


def _gateway() -> Object:
    listener = {
        "name": "http",
        "port": 80,
        "protocol": "HTTP",
        "allowedRoutes": {"namespaces": {"from": "All"}},
    }
    return _object(NAMESPACE, "kardinal", {"listeners": [listener]})


def _object(home: str, name: str, spec: dict[str, Any], kind: str | None = None) -> dict[str, Any]:
    return {**({"kind": kind} if kind else {}), "metadata": {"name": name, "namespace": home}, "spec": spec}


def _of(kind: str, items: list[Object]) -> list[Object]:
    return [item for item in items if item["kind"] == kind]


def _home(item: Object) -> str:
    return str(item["metadata"]["namespace"])
