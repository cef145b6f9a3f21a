"""The Kubernetes and mesh kinds that are read and swept.

Generic classes keep every field of an object as the API server sends it, of any Kubernetes version.
"""

from lightkube.generic_resource import create_global_resource, create_namespaced_resource

SERVICES = create_namespaced_resource("", "v1", "Service", "services")
CLAIMS = create_namespaced_resource("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims")
DEPLOYMENTS = create_namespaced_resource("apps", "v1", "Deployment", "deployments")
STATEFUL_SETS = create_namespaced_resource("apps", "v1", "StatefulSet", "statefulsets")
DAEMON_SETS = create_namespaced_resource("apps", "v1", "DaemonSet", "daemonsets")
JOBS = create_namespaced_resource("batch", "v1", "Job", "jobs")
DISRUPTION_BUDGETS = create_namespaced_resource("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets")
AUTOSCALERS = create_namespaced_resource(
    "autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers"
)
NETWORK_POLICIES = create_namespaced_resource("networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies")
HTTP_ROUTES = create_namespaced_resource("gateway.networking.k8s.io", "v1", "HTTPRoute", "httproutes")
GRPC_ROUTES = create_namespaced_resource("gateway.networking.k8s.io", "v1", "GRPCRoute", "grpcroutes")
REFERENCE_GRANTS = create_namespaced_resource(
    "gateway.networking.k8s.io", "v1beta1", "ReferenceGrant", "referencegrants"
)
GATEWAYS = create_namespaced_resource("gateway.networking.k8s.io", "v1", "Gateway", "gateways")
ISTIO_GATEWAYS = create_namespaced_resource("networking.istio.io", "v1", "Gateway", "gateways")
VIRTUAL_SERVICES = create_namespaced_resource(
    "networking.istio.io", "v1", "VirtualService", "virtualservices"
)
AUTHORIZATION_POLICIES = create_namespaced_resource(
    "security.istio.io", "v1", "AuthorizationPolicy", "authorizationpolicies"
)
PEER_AUTHENTICATIONS = create_namespaced_resource(
    "security.istio.io", "v1", "PeerAuthentication", "peerauthentications"
)
REQUEST_AUTHENTICATIONS = create_namespaced_resource(
    "security.istio.io", "v1", "RequestAuthentication", "requestauthentications"
)
SIDECARS = create_namespaced_resource("networking.istio.io", "v1", "Sidecar", "sidecars")
SERVICE_ENTRIES = create_namespaced_resource("networking.istio.io", "v1", "ServiceEntry", "serviceentries")
ENVOY_FILTERS = create_namespaced_resource("networking.istio.io", "v1alpha3", "EnvoyFilter", "envoyfilters")
WASM_PLUGINS = create_namespaced_resource("extensions.istio.io", "v1alpha1", "WasmPlugin", "wasmplugins")
TELEMETRIES = create_namespaced_resource("telemetry.istio.io", "v1", "Telemetry", "telemetries")
MESH_POLICIES = (
    AUTHORIZATION_POLICIES,
    PEER_AUTHENTICATIONS,
    REQUEST_AUTHENTICATIONS,
    SIDECARS,
    ENVOY_FILTERS,
    WASM_PLUGINS,
    TELEMETRIES,
)
"""Istio's kinds that select pods by label."""

WEBHOOKS = create_global_resource(
    "admissionregistration.k8s.io", "v1", "MutatingWebhookConfiguration", "mutatingwebhookconfigurations"
)
