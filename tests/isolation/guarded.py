"""An application whose pods are guarded in every way that Istio and Kubernetes know, and a flow of it.

The flow is planned from what the cluster says, as a flow stack does, and everything that it plans is made.
Callers in pods of their own, and one outside of the cluster, then ask baseline and fork the same.
"""

from __future__ import annotations

import base64
import contextlib
import json
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from kardinal_infra.cluster.snapshot import read_live
from kardinal_infra.model.names import HEADER_FLOW
from kardinal_infra.model.topology import Topology
from kardinal_infra.observed.live import LiveObjects
from kardinal_infra.plan import FlowPlan, make_plan
from kardinal_infra.routing import catch_all_routes, production_routes
from lab.settings import Lab
from tests.isolation import asking
from tests.mesh.conftest import EFFECT_SECONDS, Manifest, Mesh
from tests.mesh.gateways.edges import api_gateway
from tests.pure.samples import config

STACK, BASELINE = "organization/isolation/dev", "organization/isolation/baseline"
HOST = "desk.test"
ISSUER = "https://issuer.desk.test"
DESK = Path(__file__).with_name("desk.py").read_text()
ASKER = Path(asking.__file__).read_text()
KEY = (HEADER_FLOW, "dev")

Headers = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Ask:
    """A request; `target` is an address and a port, the rest as for `asking.ask`."""

    target: str
    path: str = "/open"
    headers: Headers = ()
    method: str = "GET"


@dataclass(frozen=True)
class Answer:
    """What a caller got.

    Attributes:
        status: HTTP status, 0 for no answer at all; for gRPC 200 or the name of the failure's code.
        by: Deployment that answered; empty when none did.
        headers: Headers that it was sent, by name in small letters; those that came twice are joined by `|`.
    """

    status: int | str
    by: str
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Place:
    """The application's namespace, and one of a consumer.

    Attributes:
        mesh: The application's namespace.
        elsewhere: The consumer's.
        topology: The application.
        plan: The flow `dev`.
        address: The Gateway's, from outside.
        token: A token that the application's issuer has signed.
    """

    mesh: Mesh
    elsewhere: Mesh
    topology: Topology
    token: str
    plan: FlowPlan = field(init=False)
    address: str = ""

    def ask(self, caller: str, *asked: Ask) -> list[Answer]:
        """Sends requests from the pod of a Deployment; `consumer` is in the other namespace."""
        where = self.elsewhere if caller == "consumer" else self.mesh
        inside = ("exec", "-i", f"deployment/{caller}", "-c", "main", "--", "python3", "-c", ASKER)
        lines = [
            [host, int(port), item.method, item.path, list(item.headers)]
            for item in asked
            for host, _, port in [item.target.rpartition(":")]
        ]
        return [_answer(answer) for answer in json.loads(where.kubectl(*inside, text=json.dumps(lines)))]

    def by(self, caller: str, *asked: Ask) -> list[str]:
        """Who answers each request."""
        return [answer.by for answer in self.ask(caller, *asked)]

    def visit(self, host: str, headers: Headers = (), path: str = "/") -> Answer:
        """Sends one request from outside to a public host."""
        return _answer(asking.ask(self.address, 80, "GET", path, [("Host", host), *headers]))

    def apply(self, objects: Sequence[Mapping[str, Any]]) -> None:
        """Makes objects in the application's namespace."""
        # JSON: env values are of a class of their own, which YAML's writer does not know.
        listed = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
        self.mesh.kubectl("apply", "-f", "-", text=listed)

    def live(self) -> LiveObjects:
        """The cluster as it is."""
        return read_live(self.mesh.namespace, kubeconfig=self.mesh.kubeconfig)


def _answer(answer: list[Any]) -> Answer:
    status, body, _ = answer
    if status != 200:
        return Answer(status, "")
    found = json.loads(body)
    headers: dict[str, str] = {}
    for name, value in found["headers"]:
        headers[name] = f"{headers[name]}|{value}" if name in headers else value
    return Answer(200, found["pod"].rsplit("-", 2)[0], headers)


def settles(look: Callable[[], Any], wanted: Any) -> Any:
    """Looks until it is as wanted, or the mesh had its time; what was seen last."""
    deadline = time.monotonic() + EFFECT_SECONDS
    while (found := look()) != wanted and time.monotonic() < deadline:
        time.sleep(0.3)
    return found


@contextlib.contextmanager
def place(lab: Lab, image: str) -> Iterator[Place]:
    """Brings application and flow up; both namespaces are removed at the end.

    Args:
        lab: The running lab.
        image: Image with Python and gRPC.
    """
    names = [f"iso-{part}-{uuid.uuid4().hex[:6]}" for part in ("desk", "consumer")]
    mesh, elsewhere = (Mesh(name, str(lab.kubeconfig), lab.programs) for name in names)
    key = rsa.generate_private_key(65537, 2048)
    made = Place(mesh, elsewhere, _topology(mesh.namespace), _token(key))
    try:
        for each in (mesh, elsewhere):
            each.kubectl("create", "namespace", each.namespace)
            each.kubectl("label", "namespace", each.namespace, "istio-injection=enabled")
        elsewhere.apply([deployment("consumer", image)])
        mesh.apply([*_application(image), *_guards(mesh.namespace, key)])
        mesh.apply(catch_all_routes(made.topology, BASELINE))
        mesh.apply(production_routes(made.topology, BASELINE))
        made.plan = make_plan(
            made.topology,
            config(
                baseline=BASELINE, services={name: {"env": {"VERSION": "2"}} for name in ("desk", "rows")}
            ),
            made.live(),
            stack=STACK,
        )
        made.apply(_planned(made.plan))
        for each, wanted in ((elsewhere, 1), (mesh, 6)):
            ready = each.kubectl("wait", "--for=condition=Available", "deployment", "--all", "--timeout=180s")
            assert ready.count("condition met") == wanted, ready
        made.address = mesh.kubectl("get", "service", "edge-istio", "-o", "jsonpath={.spec.clusterIP}")
        yield made
    finally:
        for each in (mesh, elsewhere):
            each.kubectl("delete", "namespace", each.namespace, "--wait=false")


def _topology(namespace: str) -> Topology:
    return Topology.from_plain(
        {
            "schemaVersion": 1,
            "application": "desk",
            "namespace": namespace,
            "domain": HOST,
            "gateway": {"name": "edge", "namespace": namespace, "port": 80},
            "services": {
                "desk": {"ports": [{"port": 80}, {"port": 81}, {"port": 9000, "protocol": "grpc"}]},
                "rows": {"ports": [{"port": 8000}]},
            },
            "entries": [{"service": "desk", "host": HOST}],
        },
        BASELINE,
    )


def _planned(plan: FlowPlan) -> list[Mapping[str, Any]]:
    forks = plan.forks
    return [
        *(policy for fork in forks for policy in fork.policies),
        *(fork.workload({}) for fork in forks),
        *(fork.service_manifest for fork in forks if fork.service_manifest),
        *plan.routes,
        *(entry.route for entry in plan.entries),
    ]


def _application(image: str) -> list[Manifest]:
    ports = {"http": (80, 8000), "http-admin": (81, 8001), "grpc": (9000, 9000)}
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "friend"}},
        deployment("desk", image),
        deployment("friend", image, serviceAccountName="friend"),
        deployment("outsider", image, injected=False),
        _service("desk", "desk", ports),
        _service("rows", "desk", {"http": (8000, 8000)}, clusterIP="None"),
        _service("allowed", "outsider", {"http": (80, 8000)}),
        _service("other", "outsider", {"http": (80, 8000)}),
        api_gateway("edge", {"name": "http", "port": 80, "protocol": "HTTP"}),
    ]


def deployment(name: str, image: str, *, injected: bool = True, **pod: Any) -> Manifest:
    """One pod that runs the application."""
    container = {
        "name": "main",
        "image": image,
        "command": ["python3", "-c", DESK],
        "readinessProbe": {"httpGet": {"path": "/ready", "port": 8000}, "periodSeconds": 1},
        "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}},
    }
    labels = {"app": name, "sidecar.istio.io/inject": str(injected).lower()}
    spec = {"containers": [container], "terminationGracePeriodSeconds": 1, **pod}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": labels}, "spec": spec},
        },
    }


def _service(name: str, app: str, ports: dict[str, tuple[int, int]], **spec: Any) -> Manifest:
    listed = [{"name": key, "port": port, "targetPort": target} for key, (port, target) in ports.items()]
    content = {"selector": {"app": app}, "ports": listed, **spec}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": content}


def _guards(namespace: str, key: rsa.RSAPrivateKey) -> list[Manifest]:
    """Policies by the label that the Services select by, which no fork keeps."""
    selects: dict[str, Any] = {"selector": {"matchLabels": {"app": "desk"}}}
    friend, gateway = (f"cluster.local/ns/{namespace}/sa/{name}" for name in ("friend", "edge-istio"))
    readers = {
        "from": [{"source": {"principals": [friend, gateway]}}],
        "to": [{"operation": {"methods": ["GET"], "paths": ["/", "/open*"]}}],
    }
    callers = {
        "from": [{"source": {"principals": [friend]}}],
        "to": [{"operation": {"paths": [asking.METHOD]}}],
    }
    everybody = {"to": [{"operation": {"paths": ["/common"]}}]}
    nameless = {
        "from": [{"source": {"notRequestPrincipals": [f"{ISSUER}/*"]}}],
        "to": [{"operation": {"paths": ["/open/secret"]}}],
    }
    jwt = {"issuer": ISSUER, "jwks": json.dumps({"keys": [_jwk(key)]})}
    may_call = f"{namespace}/allowed.{namespace}.svc.cluster.local"
    only_friends = [{"from": [{"podSelector": {"matchLabels": {"app": "friend"}}}]}]
    security, networking = "security.istio.io/v1", "networking.istio.io/v1"
    guards: list[tuple[str, str, str, dict[str, Any]]] = [
        (
            security,
            "AuthorizationPolicy",
            "readers",
            {**selects, "action": "ALLOW", "rules": [readers, callers, everybody]},
        ),
        (security, "AuthorizationPolicy", "named", {**selects, "action": "DENY", "rules": [nameless]}),
        (security, "PeerAuthentication", "strict", {**selects, "mtls": {"mode": "STRICT"}}),
        (security, "RequestAuthentication", "tokens", {**selects, "jwtRules": [jwt]}),
        (
            networking,
            "Sidecar",
            "calls",
            {
                "workloadSelector": {"labels": {"app": "desk"}},
                "outboundTrafficPolicy": {"mode": "REGISTRY_ONLY"},
                "egress": [{"hosts": [may_call]}],
            },
        ),
        (
            "networking.k8s.io/v1",
            "NetworkPolicy",
            "friends",
            {"podSelector": selects["selector"], "policyTypes": ["Ingress"], "ingress": only_friends},
        ),
    ]
    return [
        {"apiVersion": version, "kind": kind, "metadata": {"name": name}, "spec": spec}
        for version, kind, name, spec in guards
    ]


def _jwk(key: rsa.RSAPrivateKey) -> dict[str, str]:
    numbers = key.public_key().public_numbers()
    return {"kty": "RSA", "alg": "RS256", "use": "sig", "n": _number(numbers.n), "e": _number(numbers.e)}


def _number(value: int) -> str:
    return _base64(value.to_bytes((value.bit_length() + 7) // 8, "big"))


def _token(key: rsa.RSAPrivateKey) -> str:
    claims = {"iss": ISSUER, "sub": "somebody", "exp": int(time.time()) + 3600}
    parts = [_base64(json.dumps(part).encode()) for part in ({"alg": "RS256", "typ": "JWT"}, claims)]
    signed = key.sign(".".join(parts).encode(), padding.PKCS1v15(), hashes.SHA256())
    return ".".join([*parts, _base64(signed)])


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
