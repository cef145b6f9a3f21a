"""The tea shop as its owner runs it: plain Kubernetes objects that know nothing of flows."""

import hashlib

import pulumi
import pulumi_kubernetes as k8s
from pulumi_kubernetes.core.v1 import ContainerArgsDict, EnvVarArgsDict, ProbeArgsDict, ServicePortArgsDict

PORT = 8000
USER = 10001  # what both Dockerfiles run as
GATEWAY_API = "gateway.networking.k8s.io/v1"
FRONT = {"/api/orders": "orders", "/": "web"}
"""Which service answers which paths of the shop, for its visitors and inside the mesh alike."""

config = pulumi.Config()
namespace = k8s.core.v1.Namespace(
    "namespace",
    metadata={"name": config.require("namespace"), "labels": {"istio-injection": "enabled"}},
)
within = namespace.metadata.name
database_url = config.require_secret("databaseUrl")
database = k8s.core.v1.Secret(
    "database",
    metadata={"name": "orders-database", "namespace": within},
    string_data={"DATABASE_URL": database_url},
)

DATABASE: list[EnvVarArgsDict] = [
    {
        "name": "DATABASE_URL",
        "value_from": {"secret_key_ref": {"name": database.metadata.name, "key": "DATABASE_URL"}},
    }
]
QUEUE: list[EnvVarArgsDict] = [
    {"name": "QUEUE_URL", "value": "redis://queue:6379"},
    {"name": "QUEUE_NAME", "value": "orders"},
]
# Pods read the Secret only when they start: a new URL has to make new pods. The fingerprint may be seen.
FINGERPRINT = {
    "checksum/database-url": pulumi.Output.unsecret(
        database_url.apply(lambda url: hashlib.sha256(url.encode()).hexdigest()[:8])
    )
}


def container(name: str, environment: list[EnvVarArgsDict], probe: ProbeArgsDict | None) -> ContainerArgsDict:
    """The container of one of the shop's own programs."""
    made: ContainerArgsDict = {
        "name": name,
        "image": f"{config.get('images') or ''}shop-{name}:1.0",
        "image_pull_policy": "IfNotPresent",
        "env": environment,
        "resources": {"requests": {"cpu": "20m", "memory": "48Mi"}},
        "security_context": {
            "allow_privilege_escalation": False,
            "capabilities": {"drop": ["ALL"]},
            "read_only_root_filesystem": True,
        },
    }
    if probe is not None:
        made["ports"] = [{"name": "main", "container_port": PORT}]
        made["readiness_probe"] = {**probe, "period_seconds": 1, "timeout_seconds": 5}
    return made


def deployment(
    name: str, environment: list[EnvVarArgsDict], probe: ProbeArgsDict | None, *, stores: bool = False
) -> k8s.apps.v1.Deployment:
    """A Deployment of one pod; `stores` are those that keep orders."""
    return k8s.apps.v1.Deployment(
        name,
        metadata={"name": name, "namespace": within, "labels": {"app": name}},
        spec={
            "selector": {"match_labels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}, "annotations": FINGERPRINT if stores else {}},
                "spec": {
                    "automount_service_account_token": False,
                    "termination_grace_period_seconds": 10,
                    "security_context": {"run_as_non_root": True, "run_as_user": USER, "run_as_group": USER},
                    "containers": [container(name, environment, probe)],
                },
            },
        },
    )


def service(name: str, port: ServicePortArgsDict, *, headless: bool = False) -> k8s.core.v1.Service:
    """The Service of the pods that are labelled with its name."""
    return k8s.core.v1.Service(
        f"{name}-service",
        metadata={
            "name": name,
            "namespace": within,
            # The workloads are awaited; the Service would only add its settling time.
            "annotations": {"pulumi.com/skipAwait": "true"},
        },
        spec={"selector": {"app": name}, "ports": [port], **({"cluster_ip": "None"} if headless else {})},
    )


def http(path: str) -> ProbeArgsDict:
    """A probe by HTTP."""
    return {"http_get": {"path": path, "port": "main"}}


HTTP: ServicePortArgsDict = {"name": "http", "port": 80, "target_port": "main"}
GRPC: ServicePortArgsDict = {"name": "grpc", "port": 80, "target_port": "main", "app_protocol": "grpc"}

deployment("web", [], http("/healthz"))
deployment("admin", [], http("/healthz"))
deployment("orders", [*DATABASE, *QUEUE], http("/readyz"), stores=True)
deployment("catalog", [], {"grpc": {"port": PORT}})
deployment("fulfilment", [*DATABASE, *QUEUE], None, stores=True)
for name in ("web", "admin", "orders"):
    service(name, HTTP)
service("catalog", GRPC)

queue = service("queue", {"name": "tcp-redis", "port": 6379}, headless=True)
k8s.apps.v1.StatefulSet(
    "queue",
    metadata={"name": "queue", "namespace": within, "labels": {"app": "queue"}},
    spec={
        "service_name": queue.metadata.name,
        "selector": {"match_labels": {"app": "queue"}},
        "template": {
            "metadata": {"labels": {"app": "queue"}},
            "spec": {
                "automount_service_account_token": False,
                "termination_grace_period_seconds": 10,
                "security_context": {
                    "run_as_non_root": True,
                    "run_as_user": USER,
                    "run_as_group": USER,
                    "fs_group": USER,
                },
                "containers": [
                    {
                        "name": "queue",
                        "image": f"{config.get('images') or ''}shop-queue:1.0",
                        "image_pull_policy": "IfNotPresent",
                        "ports": [{"name": "redis", "container_port": 6379}],
                        "readiness_probe": {"tcp_socket": {"port": 6379}, "period_seconds": 1},
                        "volume_mounts": [{"name": "data", "mount_path": "/data"}],
                        "resources": {"requests": {"cpu": "20m", "memory": "16Mi"}},
                    }
                ],
            },
        },
        "volume_claim_templates": [
            {
                "metadata": {"name": "data"},
                "spec": {
                    "access_modes": ["ReadWriteOnce"],
                    "resources": {"requests": {"storage": "64Mi"}},
                    **({"storage_class_name": found} if (found := config.get("storageClass")) else {}),
                },
            }
        ],
    },
)


def custom(kind: str, name: str, spec: dict[str, object], annotations: dict[str, str] | None = None) -> None:
    """An object of the Gateway API."""
    k8s.apiextensions.CustomResource(
        f"{name}-{kind.lower()}",
        api_version=GATEWAY_API,
        kind=kind,
        metadata={"name": name, "namespace": within, "annotations": annotations or {}},
        spec=spec,
        opts=pulumi.ResourceOptions(depends_on=[namespace]),
    )


def on_service(name: str) -> list[dict[str, object]]:
    """Attaches a route to a Service, for callers in the mesh."""
    return [{"group": "", "kind": "Service", "name": name, "port": 80}]


custom(
    "Gateway",
    "public",
    {
        "gatewayClassName": "istio",
        "listeners": [
            {
                "name": "http",
                "port": 80,
                "protocol": "HTTP",
                "allowedRoutes": {"namespaces": {"from": "Same"}},
            }
        ],
    },
    {"pulumi.com/waitFor": "condition=Programmed"},
)
# For visitors: nobody outside may choose the version that answers.
foreign = {"type": "RequestHeaderModifier", "requestHeaderModifier": {"remove": ["x-kardinal-flow"]}}
paths = [
    {
        "matches": [{"path": {"type": "PathPrefix", "value": path}}],
        "backendRefs": [{"name": backend, "port": 80}],
    }
    for path, backend in FRONT.items()
]
custom(
    "HTTPRoute",
    "shop",
    {
        "parentRefs": [{"name": "public"}],
        "hostnames": [config.require("host")],
        "rules": [{**rule, "filters": [foreign]} for rule in paths],
    },
)
# For whoever asks `http://web` inside: the same front.
custom("HTTPRoute", "front", {"parentRefs": on_service("web"), "rules": paths})
custom(
    "GRPCRoute",
    "catalog",
    {
        "parentRefs": on_service("catalog"),
        "rules": [
            {
                "matches": [{"method": {"service": "shop.Catalog", "method": "Find"}}],
                "filters": [
                    {
                        "type": "ResponseHeaderModifier",
                        "responseHeaderModifier": {"set": [{"name": "x-found-by", "value": "catalog"}]},
                    }
                ],
                "backendRefs": [{"name": "catalog", "port": 80}],
            },
            {"backendRefs": [{"name": "catalog", "port": 80}]},
        ],
    },
)
