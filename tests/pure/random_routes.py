"""Random applications, baseline routes and flows, for the properties of both dialects."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from random import Random
from typing import Any

from hypothesis import reject
from hypothesis import strategies as st

from kardinal_infra.model.names import Owner, fork_name
from kardinal_infra.routing import Targets, flow_routes
from tests.pure.gateway_model import NOT_FOUND, Request

NAMESPACE = "shop"
ELSEWHERE = "other"
SPREAD = (NAMESPACE, NAMESPACE, "data", ELSEWHERE)
"""Where services of an application in several namespaces can be."""
NAMES = ("web", "votes", "cart", "mail", "stock")
VERSIONS = ("votes-canary", "web-green")  # Services that no topology declares
FLOWS = ("a", "dev", "pr-7")
PORTS = (80, 9000)
PATHS = ("/", "/api", "/api/v2", "/apix", "/api/")
METHODS = ("GET", "POST")
HEADERS = ("x-a", "x-b", "x-c")
QUERIES = ("p", "q")
GRPC = (("shop.Cart", "Add"), ("shop.Cart", "Drop"), ("shop.Mail", "Add"))
SECONDS = 12


@dataclass
class Application:
    """Services with their ports, which of the ports speak gRPC and are routed so, and where services are."""

    services: tuple[str, ...]
    ports: dict[str, tuple[int, ...]]
    grpc: frozenset[tuple[str, int]] = field(default_factory=frozenset)
    homes: dict[str, str] = field(default_factory=dict)

    def home(self, service: str) -> str:
        return self.homes.get(service, NAMESPACE)

    @property
    def places(self) -> list[tuple[str, int]]:
        return [(service, port) for service in self.services for port in self.ports[service]]


@dataclass
class Cluster:
    """An application, its baseline routes and the flows on them."""

    application: Application
    baseline: list[dict[str, Any]]
    flows: dict[str, dict[str, str]]
    seed: int

    def derived(self, flow: str, live: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The flow's routes, made at any time, in any order, of any age beside the baseline's."""
        owner, app = Owner(f"organization/shop/{flow}", NAMESPACE, flow), self.application
        try:
            made = [
                route
                for service, port in app.places
                for route in flow_routes(
                    Targets(owner.at(app.home(service)), service, self.flows[flow], app.services, app.homes),
                    port,
                    live,
                )
            ]
        except ValueError:
            reject()  # what is refused is not deployed
        random = Random(f"{self.seed}/{flow}")
        for route in made:
            route["metadata"]["creationTimestamp"] = _created(random.randrange(SECONDS))
        return made

    def everything(self, without: str | None = None) -> list[dict[str, Any]]:
        """The route objects after all flows came up one after the other, each seeing those before it."""
        live = list(self.baseline)
        for flow in self.flows:
            if flow != without:
                live += self.derived(flow, live)
        return live


def named(values: dict[str, str]) -> list[dict[str, str]]:
    return [{"type": "Exact", "name": name, "value": value} for name, value in values.items()]


def application_of(random: Random, namespaces: Sequence[str] = (NAMESPACE,)) -> Application:
    """One to four services with one or two ports each; a quarter of the ports are routed as gRPC."""
    services = tuple(random.sample(NAMES, random.randint(1, 4)))
    ports: dict[str, tuple[int, ...]] = {
        name: random.choice(((80,), (80, 9000), (9000,))) for name in services
    }
    places = [(name, port) for name in services for port in ports[name]]
    grpc = frozenset(place for place in places if random.random() < 0.25)
    return Application(services, ports, grpc, {name: random.choice(namespaces) for name in services})


def http_match(random: Random) -> dict[str, Any]:
    match: dict[str, Any] = {}
    if random.random() < 0.6:
        match["path"] = {
            "type": random.choice(("Exact", "PathPrefix", "PathPrefix")),
            "value": random.choice(PATHS),
        }
    if random.random() < 0.3:
        match["method"] = random.choice(METHODS)
    for field_name, names in (("headers", HEADERS), ("queryParams", QUERIES)):
        values = {name: random.choice("12") for name in names if random.random() < 0.25}
        if values:
            match[field_name] = named(values)
    return match


def grpc_match(random: Random) -> dict[str, Any]:
    match: dict[str, Any] = {}
    service, method = random.choice(GRPC)
    kept = random.choice(
        ({}, {"service": service}, {"method": method}, {"service": service, "method": method})
    )
    if kept:
        match["method"] = {"type": "Exact", **kept}
    values = {name: random.choice("12") for name in HEADERS if random.random() < 0.25}
    if values:
        match["headers"] = named(values)
    return match


def _rule(random: Random, application: Application, service: str, port: int, grpc: bool) -> dict[str, Any]:
    rule: dict[str, Any] = {}
    if count := random.choice((0, 1, 1, 2, 3)):
        rule["matches"] = [(grpc_match if grpc else http_match)(random) for _ in range(count)]
    names = random.sample(
        [service, *VERSIONS, *(name for name in application.services if name != service)],
        k=random.choice((0, 1, 1, 2, 2, 3)),
    )
    backends = [
        {
            "name": name,
            "port": port,
            "weight": random.choice((0, 1, 9)),
            **_place(random, application, service, name),
        }
        for name in names
    ]
    if random.random() < 0.1:
        backends.append({"name": random.choice(NAMES), "namespace": ELSEWHERE, "port": port, "weight": 1})
    if backends:
        rule["backendRefs"] = backends
    return rule


def _place(random: Random, application: Application, service: str, name: str) -> dict[str, str]:
    """Of a backend; without it a declared Service's name means a version in the route's own namespace."""
    home, here = application.home(name), application.home(service)
    if name in VERSIONS:  # of any service of the application, beside it or not
        home = random.choice((here, here, application.home(random.choice(application.services))))
    return {} if home == here else {"namespace": home}


def _created(second: int) -> str:
    return f"2026-01-01T00:00:{second:02d}Z"


def _route(
    kind: str,
    name: str,
    place: tuple[str, int],
    rules: list[dict[str, Any]],
    second: int,
    namespace: str,
) -> dict[str, Any]:
    service, port = place
    return {
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace, "creationTimestamp": _created(second)},
        "spec": {
            "parentRefs": [{"group": "", "kind": "Service", "name": service, "port": port}],
            "rules": rules,
        },
    }


def baseline_of(random: Random, application: Application, extra: int, many: bool) -> list[dict[str, Any]]:
    """A catch-all for each Service and port, and routes of any age; `many` gives one of them 40 rules."""
    routes = []
    for service, port in application.places:
        kind = "GRPCRoute" if (service, port) in application.grpc else "HTTPRoute"
        everything = {"backendRefs": [{"name": service, "port": port}]}
        home, place = application.home(service), (service, port)
        routes.append(_route(kind, f"{service}-{port}-all", place, [everything], 5, home))
    for index in range(extra):
        service, port = random.choice(application.places)
        grpc = (service, port) in application.grpc
        size = 40 if many and index == 0 else random.randint(1, 4)
        rules = [_rule(random, application, service, port, grpc) for _ in range(size)]
        kind = "GRPCRoute" if grpc else "HTTPRoute"
        name, second = f"{service}-{port}-{index}", random.randrange(SECONDS)
        routes.append(_route(kind, name, (service, port), rules, second, application.home(service)))
    return routes


def flows_of(random: Random, services: tuple[str, ...]) -> dict[str, dict[str, str]]:
    """One to three flows: forks by service, by flow."""
    return {
        flow: {
            service: fork_name(service, flow)
            for service in random.sample(services, random.randint(1, len(services)))
        }
        for flow in random.sample(FLOWS, random.randint(1, len(FLOWS)))
    }


@st.composite
def clusters(draw: st.DrawFn, namespaces: Sequence[str] = (NAMESPACE,)) -> Cluster:
    """A cluster made from one number: hypothesis draws few values fast, and its size apart to shrink by.

    Args:
        draw: Hypothesis' own.
        namespaces: Where services can be.
    """
    seed, extra, size = draw(st.integers(0, 2**32)), draw(st.integers(0, 4)), draw(st.integers(0, 7))
    random = Random(seed)
    application = application_of(random, namespaces)
    baseline = baseline_of(random, application, extra, many=size == 0)
    return Cluster(application, baseline, flows_of(random, application.services), seed)


def requests_of(random: Random, application: Application, count: int) -> list[Request]:
    """Requests to any of the application's Services, some with what its rules ask for."""
    made = []
    for _ in range(count):
        service, port = random.choice(application.places)
        headers = {name: random.choice("12") for name in HEADERS if random.random() < 0.4}
        if (service, port) in application.grpc:
            made.append(Request(service, port, "/" + "/".join(random.choice(GRPC)), "POST", headers))
            continue
        path = random.choice((*PATHS, "/api/x", "/api/v2/y", "/other"))
        query = {name: random.choice("12") for name in QUERIES if random.random() < 0.4}
        made.append(Request(service, port, path, random.choice(METHODS), headers, query))
    return made


@st.composite
def asked_clusters(
    draw: st.DrawFn, namespaces: Sequence[str] = (NAMESPACE,)
) -> tuple[Cluster, list[Request]]:
    """A cluster, and requests to its Services."""
    cluster = draw(clusters(namespaces))
    return cluster, requests_of(Random(cluster.seed + 1), cluster.application, draw(st.integers(1, 8)))


def copied(routes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return deepcopy(routes)


def led(
    application: Application,
    asked: str,
    before: Mapping[str, int],
    written: Collection[str],
    forks: Mapping[str, str],
) -> frozenset[str]:
    """Names the Services that answer a flow's request inside the mesh, as the model writes them.

    Args:
        application: The application.
        asked: The Service that is called.
        before: What the baseline's routes answer to the same request.
        written: All Services that the rule of it names.
        forks: Fork by service.
    """
    led_to = {_target(application, asked, name, written) for name in before}
    targets = {service: fork for service, fork in forks.items() if service in led_to}
    if before == NOT_FOUND or not targets:
        return frozenset(before)
    return frozenset(_shown(application, asked, service, fork) for service, fork in targets.items())


def _target(application: Application, asked: str, answered: str, written: Collection[str]) -> str | None:
    """Where the baseline sent a request to: a declared service, a version of one, or neither."""
    namespace, name, declared = _read(application, asked, answered)
    if declared:
        return name
    others = [_read(application, asked, other) for other in written]
    beside = {name for home, name, declared in others if declared and home == namespace}
    if len(beside) == 1:
        return beside.pop()
    return asked if namespace == application.home(asked) else None


def _read(application: Application, asked: str, written: str) -> tuple[str, str, bool]:
    """Namespace and name of what the model writes, and whether that is one of the application's services."""
    namespace, _, name = written.rpartition("/")
    namespace = namespace or application.home(asked)
    return namespace, name, name in application.services and application.home(name) == namespace


def _shown(application: Application, asked: str, service: str, fork: str) -> str:
    """How the model names a fork that answers for a service."""
    home = application.home(service)
    return fork if home == application.home(asked) else f"{home}/{fork}"
