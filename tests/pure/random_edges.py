"""Random routes of the owner's on a production host, in both dialects; none lets a client's key through."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from random import Random
from typing import Any

from tests.pure.outcomes import KEY, Place
from tests.pure.random_routes import HEADERS, METHODS, PATHS, SPREAD, VERSIONS, Application, http_match

GATEWAY = ("edge", "public")
INGRESS = "/".join(GATEWAY)
SECONDS = 12
NOBODY = "nobody"
"""A value of the key that the owner sets: of no flow."""


@dataclass(frozen=True)
class Edge:
    """A production host.

    Attributes:
        application: The application.
        service: Service of the entry.
        port: Its port.
        host: The host.
        alone: No other host's routes can be meant by a wildcard.
    """

    application: Application
    service: str
    port: int
    host: str
    alone: bool

    @property
    def home(self) -> str:
        return self.application.home(self.service)


def own_routes(random: Random, edge: Edge, count: int) -> list[dict[str, Any]]:
    """HTTPRoutes of a host, of any age."""
    return [_http_route(random, edge, f"{edge.service}-edge-{index}") for index in range(count)]


def own_virtual_services(random: Random, edge: Edge, count: int) -> list[dict[str, Any]]:
    """The same as VirtualServices on a gateway, some for the mesh too."""
    return [_virtual_service(random, edge, f"{edge.service}-edge-{index}") for index in range(count)]


def opened(random: Random, route: dict[str, Any], flow: str) -> dict[str, Any]:
    """The same route, of which some rules or entries leave the key as the client sent it, or enter a flow.

    Args:
        random: Decides which.
        route: An HTTPRoute or VirtualService.
        flow: The flow.
    """
    spec = deepcopy(route["spec"])
    for part in spec.get("rules") or spec["http"]:
        if random.random() < 0.2:
            for item in (part, *(part.get("backendRefs") or part.get("route") or ())):
                item.pop("headers", None)
                if "filters" in item:
                    item["filters"] = [
                        entry for entry in item["filters"] if entry["type"] != "RequestHeaderModifier"
                    ]
            entering = {random.choice(("set", "add")): {_key_name(random): flow}, "remove": {}}
            if random.random() < 0.5 and "route" in part:
                part["headers"] = _headers(entering)
            elif random.random() < 0.5 and part.get("backendRefs"):
                part["filters"] = [*part.get("filters", ()), _modifier(entering)]
    return {**route, "spec": spec}


def _metadata(random: Random, edge: Edge, name: str) -> dict[str, Any]:
    created = f"2026-01-01T00:00:{random.randrange(SECONDS):02d}Z"
    return {"name": name, "namespace": edge.home, "creationTimestamp": created}


def _hosts(random: Random, edge: Edge) -> list[str]:
    wide = f"*.{edge.host.partition('.')[2]}"
    every = [[edge.host], [edge.host], ["www.example", edge.host]]
    return random.choice([*every, [wide], ["*"]] if edge.alone else every)


def _http_route(random: Random, edge: Edge, name: str) -> dict[str, Any]:
    namespace, gateway = GATEWAY
    spec: dict[str, Any] = {"parentRefs": [{"name": gateway, "namespace": namespace}]}
    if (hosts := _hosts(random, edge)) != ["*"]:
        spec["hostnames"] = hosts
    spec["rules"] = [_rule(random, edge) for _ in range(random.randint(1, 4))]
    return {"metadata": _metadata(random, edge, name), "spec": spec}


def _virtual_service(random: Random, edge: Edge, name: str) -> dict[str, Any]:
    spec: dict[str, Any] = {
        "hosts": _hosts(random, edge),
        "gateways": random.choice(([INGRESS], ["mesh", INGRESS], ["edge/other", INGRESS])),
        "http": [_entry(random, edge) for _ in range(random.randint(1, 4))],
    }
    for match in spec["http"][0].get("match", ()):
        match.pop("gateways", None)  # an object without a word for this gateway leaves the host to nobody
    if "*" in spec["hosts"]:
        spec["gateways"] = [INGRESS]  # or it would be for every Service of the mesh
    return {"metadata": _metadata(random, edge, name), "spec": spec}


def _places(random: Random, edge: Edge) -> list[Place]:
    """Where one rule leads to: forked or not, versions of any service, Services of anywhere."""
    app = edge.application
    others = [name for name in app.services if name != edge.service]
    pool = [edge.service, edge.service, *VERSIONS, *others]
    names = dict.fromkeys(random.choice(pool) for _ in range(random.choice((1, 1, 2, 3))))
    return [_place(random, edge, name) for name in names]


def _place(random: Random, edge: Edge, name: str) -> Place:
    app = edge.application
    home = app.homes.get(name, edge.home)
    if name in VERSIONS and random.random() < 0.3:
        home = app.home(random.choice(app.services))
    if random.random() < 0.1:
        home = random.choice(SPREAD)  # a declared name elsewhere is another Service
    return Place(home, name, random.choice(app.ports.get(name, (80, 8080))))


def _key_name(random: Random) -> str:
    return random.choice((KEY, KEY.title()))


def _closing(random: Random) -> dict[str, dict[str, str]]:
    """Header changes, by action, that leave nothing of a client's key."""
    own = {"x-own": "1"} if random.random() < 0.5 else {}
    if random.random() < 0.3:
        return {"set": {**own, _key_name(random): NOBODY}}
    added = {_key_name(random): NOBODY} if random.random() < 0.2 else {}
    return {"set": own, "remove": {_key_name(random): ""}, "add": added}


def _meddling(random: Random) -> dict[str, dict[str, str]]:
    """Header changes beside those that close the host."""
    name = random.choice(("x-own", _key_name(random)))
    return {random.choice(("set", "add", "remove")): {name: NOBODY}}


def _rule(random: Random, edge: Edge) -> dict[str, Any]:
    rule: dict[str, Any] = {}
    if random.random() < 0.3:
        rule["name"] = f"r{random.randrange(9)}"
    if count := random.choice((0, 1, 1, 2, 3)):
        rule["matches"] = [http_match(random) for _ in range(count)]
    if random.random() < 0.1:
        redirect = {"type": "RequestRedirect", "requestRedirect": {"port": random.choice((8443, 9443))}}
        return {**rule, "filters": [redirect]}
    by_rule = random.random() < 0.7
    filters = [_modifier(_closing(random))] if by_rule else []
    if random.random() < 0.2:
        filters.append({"type": "ResponseHeaderModifier", "responseHeaderModifier": {"remove": ["server"]}})
    if random.random() < 0.2:
        [*_, mirror] = _places(random, edge)
        filters.append({"type": "RequestMirror", "requestMirror": {"backendRef": _backend(edge, mirror)}})
    if filters:
        rule["filters"] = filters
    rule["backendRefs"] = []
    for place in _places(random, edge):
        backend = _backend(edge, place)
        if random.random() < 0.8:
            backend["weight"] = random.choice((0, 1, 9))
        if not by_rule:
            backend["filters"] = [_modifier(_closing(random))]
        elif random.random() < 0.2:
            backend["filters"] = [_modifier(_meddling(random))]
        rule["backendRefs"].append(backend)
    return rule


def _backend(edge: Edge, place: Place) -> dict[str, Any]:
    namespace = {} if place.namespace == edge.home else {"namespace": place.namespace}
    return {"name": place.name, "port": place.port, **namespace}


def _modifier(changes: dict[str, dict[str, str]]) -> dict[str, Any]:
    written: dict[str, Any] = {
        action: [{"name": name, "value": value} for name, value in changes[action].items()]
        for action in ("set", "add")
        if changes.get(action)
    }
    if changes.get("remove"):
        written["remove"] = list(changes["remove"])
    return {"type": "RequestHeaderModifier", "requestHeaderModifier": written}


def _match(random: Random) -> dict[str, Any]:
    match: dict[str, Any] = {}
    if random.random() < 0.6:
        match["uri"] = {random.choice(("exact", "prefix")): random.choice(PATHS)}
    if random.random() < 0.3:
        match["method"] = {"exact": random.choice(METHODS)}
    for part in ("headers", "withoutHeaders"):
        values = {name: {"exact": random.choice("12")} for name in HEADERS if random.random() < 0.2}
        if values:
            match[part] = values
    if random.random() < 0.2:
        match["gateways"] = random.choice((["mesh"], [INGRESS], ["mesh", INGRESS], ["edge/other"]))
    return match


def _entry(random: Random, edge: Edge) -> dict[str, Any]:
    entry: dict[str, Any] = {}
    if random.random() < 0.3:
        entry["name"] = f"e{random.randrange(9)}"
    if count := random.choice((0, 1, 1, 1, 2)):
        entry["match"] = [_match(random) for _ in range(count)]
    if random.random() < 0.1:
        return {**entry, "redirect": {"port": random.choice((8443, 9443))}}
    by_entry = random.random() < 0.7
    if by_entry:
        entry["headers"] = _headers(_closing(random))
    if random.random() < 0.2:
        [*_, mirror] = _places(random, edge)
        target = _destination(random, edge, mirror)
        entry |= random.choice(({"mirror": target}, {"mirrors": [{"destination": target}]}))
    entry["route"] = []
    places = _places(random, edge)
    for place in places:
        item: dict[str, Any] = {"destination": _destination(random, edge, place)}
        if len(places) > 1 or random.random() < 0.5:
            item["weight"] = random.choice((0, 10, 90))
        if not by_entry:
            item["headers"] = _headers(_closing(random))
        elif random.random() < 0.2:
            item["headers"] = _headers(_meddling(random))
        entry["route"].append(item)
    return entry


def _destination(random: Random, edge: Edge, place: Place) -> dict[str, Any]:
    full = f"{place.name}.{place.namespace}.svc.cluster.local"
    host = random.choice((place.name, full)) if place.namespace == edge.home else full
    port = {"port": {"number": place.port}} if random.random() < 0.6 else {}
    subset = {"subset": "v2"} if random.random() < 0.2 else {}
    return {"host": host, **port, **subset}


def _headers(changes: dict[str, dict[str, str]]) -> dict[str, Any]:
    written: dict[str, Any] = {action: changes[action] for action in ("set", "add") if changes.get(action)}
    if changes.get("remove"):
        written["remove"] = list(changes["remove"])
    return {"request": written}
