"""Flows beside random baseline routes: the mesh answers as the model of Gateway API says."""

from __future__ import annotations

from copy import deepcopy
from random import Random
from typing import Any

import pytest

from kardinal_infra.model.names import HEADER_FLOW, Owner, fork_name
from kardinal_infra.routing import Targets, flow_routes
from tests.mesh.conftest import Ask, Manifest, Mesh
from tests.pure.gateway_model import NOT_FOUND, Request, answer
from tests.pure.random_routes import GRPC, HEADERS, METHODS, QUERIES, VERSIONS, Application, baseline_of

pytestmark = pytest.mark.lab

SERVICES = ("web", "votes", "cart")
APPLICATION = Application(
    SERVICES, {"web": (80,), "votes": (80, 9000), "cart": (80,)}, frozenset({("cart", 80)})
)
FLOWS = {"dev": ("votes", "cart"), "pr-7": ("web", "votes")}
SEED = 10
REQUESTS = 60
# Neither these paths nor their rules end with a slash: there Istio and the specification rank differently.
PATHS = ("/", "/api", "/api/v2", "/apix", "/api/x", "/other")


def baseline(namespace: str, seed: int) -> list[Manifest]:
    """Random routes, one with more rules than an object of a flow can hold."""
    routes = baseline_of(Random(seed), APPLICATION, extra=4, many=True)
    made: list[Manifest] = []
    for route in routes:
        copy: dict[str, Any] = deepcopy(route)
        copy["apiVersion"] = "gateway.networking.k8s.io/v1"
        copy["metadata"] = {"name": route["metadata"]["name"], "namespace": namespace}
        rules = copy["spec"]["rules"]
        for rule in rules:
            rule["matches"] = [
                match for match in rule.get("matches", [{}]) if not _ends_with_slash(match)
            ] or [{}]
            if "backendRefs" in rule:
                rule["backendRefs"] = [item for item in rule["backendRefs"] if "namespace" not in item]
        made += [
            {
                **copy,
                "metadata": {**copy["metadata"], "name": f"{copy['metadata']['name']}-{part}"},
                "spec": {**copy["spec"], "rules": rules[start : start + 16]},
            }
            for part, start in enumerate(range(0, len(rules), 16))
        ]
    return made


def _ends_with_slash(match: dict[str, Any]) -> bool:
    return bool(match.get("path", {}).get("value", "") == "/api/")


def random_requests(random: Random) -> list[Request]:
    asked = []
    for _ in range(REQUESTS):
        service, port = random.choice(APPLICATION.places)
        headers = {name: random.choice("12") for name in HEADERS if random.random() < 0.4}
        if (service, port) in APPLICATION.grpc:
            asked.append(Request(service, port, "/" + "/".join(random.choice(GRPC)), "POST", headers))
        else:
            query = {name: random.choice("12") for name in QUERIES if random.random() < 0.4}
            asked.append(Request(service, port, random.choice(PATHS), random.choice(METHODS), headers, query))
    return asked


def sent(request: Request, key: str | None) -> Ask:
    headers = {**request.headers, **({HEADER_FLOW: key} if key else {})}
    query = "&".join(f"{name}={value}" for name, value in request.query.items())
    path = request.path + (f"?{query}" if query else "")
    return Ask(request.service, path, tuple(headers.items()), request.port, request.method)


def expected(routes: list[Manifest], request: Request, key: str | None) -> set[str]:
    headers = {**request.headers, **({HEADER_FLOW: key} if key else {})}
    found = answer(
        routes, Request(request.service, request.port, request.path, request.method, headers, request.query)
    )
    return {"404"} if found == NOT_FOUND else set(found) or {"500"}


def test_flows_beside_random_routes(mesh: Mesh) -> None:
    mesh.services([*SERVICES, *VERSIONS], ports=(80, 9000))
    forks = {flow: {name: fork_name(name, flow) for name in names} for flow, names in FLOWS.items()}
    mesh.services([fork for names in forks.values() for fork in names.values()], ports=(80, 9000))
    mesh.apply(baseline(mesh.namespace, SEED))
    asked = random_requests(Random(SEED))
    keys = (None, "unknown", *FLOWS)

    def live() -> list[Manifest]:
        return [*mesh.objects("httproutes"), *mesh.objects("grpcroutes")]

    def agrees() -> list[str]:
        """Every request under every key, against the model over the routes that are there."""
        routes, table = live(), [(request, key) for request in asked for key in keys]
        wanted = [expected(routes, request, key) for request, key in table]
        found = mesh.settles(
            [sent(*item) for item in table],
            lambda answers: all(one in some for one, some in zip(answers, wanted, strict=True)),
        )
        wrong = [
            f"{item}: {one}, wanted {some}"
            for item, one, some in zip(table, found, wanted, strict=True)
            if one not in some
        ]
        assert not wrong, "\n".join(wrong)
        return found

    before = agrees()
    made: dict[str, list[Manifest]] = {}
    for flow, names in forks.items():
        owner = Owner(f"organization/mesh/{flow}", mesh.namespace, flow)
        routes = [
            route
            for service, port in APPLICATION.places
            for route in flow_routes(Targets(owner, service, names, SERVICES), port, live())
        ]
        mesh.apply(routes, "--dry-run=server")
        mesh.apply(routes)
        made[flow] = routes
    assert any(route["metadata"]["name"].endswith("-02") for route in made["dev"] + made["pr-7"])
    with_flows = agrees()
    answered = {key: {with_flows[n] for n in range(len(with_flows)) if keys[n % 4] == key} for key in keys}
    assert answered["dev"] >= {"votes-dev", "cart-dev"}
    assert answered["pr-7"] >= {"votes-pr-7", "web-pr-7"}
    assert not {name for names in forks.values() for name in names.values()} & (
        answered[None] | answered["unknown"]
    )
    assert "No validation issues found" in mesh.analyze()

    for kind in ("HTTPRoute", "GRPCRoute"):
        for routes in made.values():
            mesh.delete(kind.lower(), *(item["metadata"]["name"] for item in routes if item["kind"] == kind))
    after = agrees()
    routes = live()
    table = [(request, key) for request in asked for key in keys]
    sure = [n for n, (request, key) in enumerate(table) if len(expected(routes, request, key)) == 1]
    assert len(sure) > len(table) // 2
    assert [after[n] for n in sure] == [before[n] for n in sure]
    mesh.delete("httproute", "--all")
    mesh.delete("grpcroute", "--all")
