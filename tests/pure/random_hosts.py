"""Random applications with public hosts: what their production hosts lead to, and what a flow makes of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from random import Random
from typing import Any

from hypothesis import strategies as st

from kardinal_infra.config import FlowConfig, read_flow
from kardinal_infra.model.topology import Topology
from kardinal_infra.observed.live import LiveObjects
from kardinal_infra.plan import FlowPlan, make_plan
from kardinal_infra.routing import Insertion, production_routes
from kardinal_infra.safety import RULE_NAMES
from tests.pure import gateway_model, istio_model
from tests.pure.gateway_model import Request
from tests.pure.istio_model import Call
from tests.pure.outcomes import Outcome
from tests.pure.random_edges import GATEWAY, INGRESS, Edge, own_routes, own_virtual_services
from tests.pure.random_routes import (
    FLOWS,
    NAMESPACE,
    SPREAD,
    Application,
    application_of,
    baseline_of,
    requests_of,
)
from tests.pure.samples import BASELINE_STACK, INJECTOR

DOMAIN = "flows.shop.example"
DIALECTS = ("gateway-api", "istio")
KEYS: tuple[tuple[str, ...], ...] = ((), ("unknown",), ("nobody", ""), *((flow,) for flow in FLOWS), FLOWS)
"""What clients send as the key."""


@dataclass(frozen=True)
class Asked:
    """A request to the host of an entry."""

    entry: int
    request: Request
    keys: tuple[str, ...]


@dataclass(frozen=True)
class Shop:
    """An application with public hosts.

    Attributes:
        dialect: `gateway-api` or `istio`, of the Gateway.
        application: Its services.
        edges: Its entries.
        mesh: The baseline's routes in the mesh.
        own: The owner's routes of the production hosts.
        forked: Services that each flow forks.
        seed: For what is decided later.
    """

    dialect: str
    application: Application
    edges: tuple[Edge, ...]
    mesh: Sequence[dict[str, Any]]
    own: Sequence[dict[str, Any]]
    forked: dict[str, tuple[str, ...]]
    seed: int

    @cached_property
    def topology(self) -> Topology:
        app = self.application
        namespace, name = GATEWAY
        return Topology.from_plain(
            {
                "schemaVersion": 1,
                "application": "shop",
                "namespace": NAMESPACE,
                "domain": DOMAIN,
                "gateway": {"kind": self.dialect, "name": name, "namespace": namespace},
                "services": {
                    service: {"namespace": app.home(service), "ports": _ports(app, service)}
                    for service in app.services
                },
                "entries": [
                    {"service": edge.service, "host": edge.host, "port": edge.port} for edge in self.edges
                ],
            },
            BASELINE_STACK,
        )

    def live(self, made: Sequence[Any] = ()) -> LiveObjects:
        """What is on the cluster, with routes that flows made."""
        istio = self.dialect == "istio"
        known = [*self.mesh, *self.own, *made]
        routes = [item for item in known if _is_route(item)]
        gateway = {"metadata": dict(zip(("namespace", "name"), GATEWAY, strict=True))}
        server = {"port": {"number": 80, "name": "http", "protocol": "HTTP"}, "hosts": ["*"]}
        shared = LiveObjects(
            NAMESPACE,
            http_routes=[route for route in routes if route.get("kind") != "GRPCRoute"],
            grpc_routes=[route for route in routes if route.get("kind") == "GRPCRoute"],
            virtual_services=[item for item in known if not _is_route(item)],
            gateways=[] if istio else [gateway],
            istio_gateways=[{**gateway, "spec": {"servers": [server]}}] if istio else [],
            api_versions=frozenset({"gateway.networking.k8s.io/v1", "networking.istio.io/v1"}),
            injectors=[INJECTOR],
        )
        each = {home: self._namespace(shared, home) for home in {NAMESPACE, *SPREAD}}
        return replace(each.pop(NAMESPACE), others=each)

    def _namespace(self, shared: LiveObjects, home: str) -> LiveObjects:
        app = self.application
        here = [service for service in app.services if app.home(service) == home]
        return replace(
            shared,
            namespace=home,
            namespace_labels={"kubernetes.io/metadata.name": home, "istio-injection": "enabled"},
            services=[_service(app, service) for service in here],
            deployments=[_deployment(app, service) for service in here],
        )

    @cached_property
    def production(self) -> list[dict[str, Any]]:
        """The routes of the production hosts: the owner's, and the baseline stack's where there are none."""
        return self.production_beside(())

    def production_beside(self, made: Sequence[Any]) -> list[dict[str, Any]]:
        """The same, decided while there are routes that flows made."""
        return [*self.own, *production_routes(self.topology, BASELINE_STACK, self.live(made))]

    def ask(self, routes: Sequence[Any], host: str, asked: Asked) -> Outcome:
        """What becomes of a request at the Gateway."""
        if self.dialect != "istio":
            return gateway_model.at_gateway(
                [route for route in routes if _is_route(route)], host, asked.request, asked.keys
            )
        call = Call(asked.request.path, asked.request.method, asked.request.headers, through=INGRESS)
        return istio_model.at_gateway(
            [route for route in routes if not _is_route(route)], host, call, asked.keys
        )


@dataclass(frozen=True)
class Flow:
    """A flow on an application.

    Attributes:
        shop: The application.
        id: The flow's.
        forks: Fork by service.
        routes: Its routes in the mesh.
        insertions: Its entries in VirtualServices.
        hosts: The routes of its public hosts, one for each entry.
        names: Its public hosts, one for each entry.
    """

    shop: Shop
    id: str
    forks: dict[str, str]
    routes: list[dict[str, Any]]
    insertions: tuple[Insertion, ...]
    hosts: list[dict[str, Any]] = field(repr=False)
    names: list[str] = field(repr=False)

    def production(self, asked: Asked) -> Outcome:
        """What becomes of a request to the production host."""
        shop = self.shop
        return shop.ask(shop.production, shop.edges[asked.entry].host, asked)

    def own(self, asked: Asked) -> Outcome:
        """What becomes of the same request to the flow's host, with production's routes beside it."""
        return self.shop.ask([*self.shop.own, *self.hosts], self.names[asked.entry], asked)


def flow_of(shop: Shop, flow: str, made: Sequence[Any] = ()) -> Flow:
    """Plans a flow; the only place where these properties meet the library's planning.

    Args:
        shop: The application.
        flow: Its id, of `shop.forked`.
        made: Routes that other flows made before.
    """
    topology = shop.topology
    plan: FlowPlan = make_plan(
        topology, _config(shop.forked[flow], flow), shop.live(made), stack=f"organization/shop/{flow}"
    )
    return Flow(
        shop,
        flow,
        {fork.service: fork.name for fork in plan.forks},
        [dict(route) for route in plan.routes],
        plan.insertions,
        [dict(entry.route) for entry in plan.entries],
        [entry.host for entry in plan.entries],
    )


@lru_cache(1024)
def _config(forked: tuple[str, ...], flow: str) -> FlowConfig:
    loaded = read_flow(
        {
            "baseline": BASELINE_STACK,
            "services": {service: {"image": "changed"} for service in forked},
            "isolation": "services",
            # What the properties find they find themselves; nothing but an open host stops a flow here.
            "acknowledge": sorted(RULE_NAMES - {"open-edge"}),
        },
        flow,
    )
    assert loaded.config is not None
    assert not loaded.problems
    return loaded.config


@st.composite
def shops(draw: st.DrawFn, dialect: str, flows: int = 1) -> Shop:
    """An application made from one number; what shrinks is how much of everything there is."""
    seed, extra, owned = draw(st.integers(0, 2**32)), draw(st.integers(0, 3)), draw(st.integers(0, 2))
    random = Random(seed)
    app = application_of(random, SPREAD)
    entered = random.sample(app.services, min(len(app.services), random.choice((1, 1, 2))))
    edges = tuple(
        Edge(app, service, random.choice(app.ports[service]), f"{service}.shop.example", len(entered) == 1)
        for service in entered
    )
    write = own_virtual_services if dialect == "istio" else own_routes
    own = [route for edge in edges for route in write(random, edge, owned)]
    mesh = baseline_of(random, app, extra, many=False)
    forked = {
        flow: tuple(random.sample(app.services, random.randint(1, len(app.services))))
        for flow in random.sample(FLOWS, flows)
    }
    return Shop(dialect, app, edges, mesh, own, forked, seed)


@st.composite
def asked_flows(draw: st.DrawFn, dialect: str) -> tuple[Flow, list[Asked]]:
    """A flow on an application, and requests to its hosts."""
    shop = draw(shops(dialect))
    [flow] = shop.forked
    return flow_of(shop, flow), asked_of(shop, draw(st.integers(1, 8)))


def asked_of(shop: Shop, count: int) -> list[Asked]:
    """Requests to the hosts, with what clients may send as the key."""
    random = Random(shop.seed + 1)
    plain = replace(shop.application, grpc=frozenset())
    return [
        Asked(random.randrange(len(shop.edges)), request, random.choice(KEYS))
        for request in requests_of(random, plain, count)
    ]


def _is_route(item: Any) -> bool:
    return "http" not in item["spec"]


def _ports(app: Application, service: str) -> list[dict[str, Any]]:
    return [
        {"port": port, "protocol": "grpc" if (service, port) in app.grpc else "http"}
        for port in app.ports[service]
    ]


def _service(app: Application, service: str) -> dict[str, Any]:
    ports = [{"name": f"http-{port}", "port": port, "targetPort": 8000} for port in app.ports[service]]
    return {
        "metadata": {"name": service, "namespace": app.home(service)},
        "spec": {"clusterIP": "10.96.1.2", "selector": {"app": service}, "ports": ports},
    }


def _deployment(app: Application, service: str) -> dict[str, Any]:
    labels = {"app": service}
    return {
        "metadata": {"name": service, "namespace": app.home(service)},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": service, "image": service}]},
            },
        },
    }
