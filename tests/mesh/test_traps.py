"""Every trap of a mesh's routes, seen on the real mesh, and the rule that finds it before it is deployed.

Status and `istioctl analyze` are green for nearly all of them. If a test here fails after an upgrade of
Istio, the mesh has learned something and the rule may be too strict.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from kardinal_infra.model.names import HEADER_FLOW
from kardinal_infra.model.topology import Topology
from kardinal_infra.observed.live import LiveObjects
from kardinal_infra.safety import REFUSALS, RULES, Case, ProposedFork
from tests.mesh.conftest import Ask, Manifest, Mesh

pytestmark = pytest.mark.lab

KEY = {"type": "Exact", "name": HEADER_FLOW, "value": "dev"}
TAG = ((HEADER_FLOW, "dev"),)
FORK = "fork"
HEADLESS_FORK = "fork-without-address"
CANARY = "other-version"
EVERYTHING: dict[str, Any] = {}


def tagged(service: str, path: str = "/", port: int = 80) -> Ask:
    return Ask(service, path, TAG, port)


class Trap:
    """A Service with routes on it, and one of the forks that all such Services share."""

    def __init__(self, mesh: Mesh, service: str, fork: str) -> None:
        self.mesh = mesh
        self.service = service
        self.fork = fork
        self.baseline: list[Manifest] = []
        self.flow: list[Manifest] = []
        self.virtual_services: list[Manifest] = []

    def route(
        self,
        match: dict[str, Any],
        backend: str | None = None,
        *,
        flow: bool = False,
        kind: str = "HTTPRoute",
        port: int | None = 80,
        to_port: int = 80,
    ) -> None:
        rule: dict[str, Any] = {"backendRefs": [{"name": backend or self.service, "port": to_port}]}
        if match:
            rule["matches"] = [match]
        found = self.flow if flow else self.baseline
        suffix = f"{'flow' if flow else 'base'}-{len(found)}-{kind.lower()}"
        parent = {"group": "", "kind": "Service", "name": self.service, **({"port": port} if port else {})}
        found.append(
            {
                "apiVersion": "gateway.networking.k8s.io/v1",
                "kind": kind,
                "metadata": {"name": f"{self.service}-{suffix}", "namespace": self.mesh.namespace},
                "spec": {"parentRefs": [parent], "rules": [rule]},
            }
        )

    def virtual_service(self, name: str, **spec: Any) -> None:
        self.virtual_services.append(
            {
                "apiVersion": "networking.istio.io/v1",
                "kind": "VirtualService",
                "metadata": {"name": name, "namespace": self.mesh.namespace},
                "spec": {"hosts": [self.service], **spec},
            }
        )

    def rules(self) -> set[str]:
        """Names of the rules that find something."""
        namespace = self.mesh.namespace
        services = self.mesh.objects("services")
        topology = Topology.from_plain(
            {
                "schemaVersion": 1,
                "application": "traps",
                "namespace": namespace,
                "domain": "traps.localhost",
                "gateway": {"name": "none", "namespace": namespace},
                "services": {self.service: {"ports": [{"port": 80}]}},
            },
            "s",
        )
        kinds = ("HTTPRoute", "GRPCRoute")
        http, grpc = ([item for item in self.baseline if item["kind"] == kind] for kind in kinds)
        fork_service = next(item for item in services if item["metadata"]["name"] == self.fork)
        fork = ProposedFork(self.service, "", {"kind": "Deployment"}, {}, fork_service)
        case = Case(
            live=LiveObjects(
                namespace=namespace,
                services=services,
                http_routes=http,
                grpc_routes=grpc,
                virtual_services=self.virtual_services,
            ),
            topology=topology,
            flow="dev",
            forks=(fork,),
            routes=tuple(self.flow),
        )
        return {finding.rule for rule in (*RULES, *REFUSALS) for finding in rule.findings(case)}


@pytest.fixture(scope="module")
def traps(mesh: Mesh) -> Iterator[dict[str, Trap]]:
    """All traps at once, each on a Service of its own; sprung at the end."""
    mesh.services([FORK, CANARY])
    mesh.services([HEADLESS_FORK], clusterIP="None")
    found: dict[str, Trap] = {}

    def trap(service: str, fork: str = FORK) -> Trap:
        found[service] = Trap(mesh, service, fork)
        return found[service]

    one = trap("longer-path")
    one.route(EVERYTHING)
    one.route({"path": {"type": "PathPrefix", "value": "/api"}}, CANARY)
    one.route({"headers": [KEY]}, FORK, flow=True)

    one = trap("method")
    one.route(EVERYTHING)
    one.route({"method": "GET"}, CANARY)
    one.route({"headers": [KEY]}, FORK, flow=True)

    one = trap("expression")
    one.route(EVERYTHING)
    one.route({"path": {"type": "RegularExpression", "value": "/v[0-9]+"}}, CANARY)

    trap("alone").route({"headers": [KEY]}, FORK, flow=True)

    one = trap("portless-flow")
    one.route(EVERYTHING)
    one.route({"headers": [KEY]}, FORK, flow=True, port=None)

    one = trap("portless-baseline")
    one.route(EVERYTHING, port=None)
    one.route({"headers": [KEY]}, FORK, flow=True)

    one = trap("backend-port")
    one.route(EVERYTHING)
    one.route({"headers": [KEY]}, FORK, flow=True, to_port=81)

    one = trap("parent-port")
    one.route(EVERYTHING)
    one.route({"headers": [KEY]}, FORK, flow=True, port=81)

    one = trap("open")
    one.route({"path": {"type": "PathPrefix", "value": "/"}, "headers": [KEY]}, FORK, flow=True)
    one.route({"path": {"type": "PathPrefix", "value": "/a"}}, FORK, flow=True)
    one.route(EVERYTHING)

    one = trap("kinds")
    one.route(EVERYTHING)
    one.route({"headers": [KEY]}, FORK, kind="GRPCRoute", flow=True)

    one = trap("kinds-of-the-owner")
    one.route(EVERYTHING)
    one.route({"headers": [{"name": "x", "value": "1"}]}, CANARY, kind="GRPCRoute")

    one = trap("headless", HEADLESS_FORK)
    one.route(EVERYTHING)
    one.route({"headers": [KEY]}, HEADLESS_FORK, flow=True)

    to_canary = [{"route": [{"destination": {"host": CANARY}}]}]
    one = trap("dialects")
    one.virtual_service("dialects", http=to_canary)
    one.route({"headers": [KEY]}, FORK, flow=True)
    one.route({"headers": [{"name": "x", "value": "1"}]})

    one = trap("twice")
    one.virtual_service("twice-a", http=to_canary)
    one.virtual_service(
        "twice-b",
        http=[{"fault": {"abort": {"httpStatus": 418, "percentage": {"value": 100}}}, **to_canary[0]}],
    )

    trap("undeclared").route(EVERYTHING)
    found["undeclared"].route({"headers": [KEY]}, FORK, flow=True)

    mesh.services([name for name in found if name != "undeclared"])
    mesh.services(["undeclared"], (80, 9000))
    older = [item for one in found.values() for item in (*one.virtual_services, *one.baseline)]
    mesh.apply(older)
    # Of two that silence each other the older wins; creation times have whole seconds.
    time.sleep(1)
    mesh.apply([item for one in found.values() for item in one.flow])
    yield found
    mesh.delete("httproute,grpcroute,virtualservice", "--all")


TABLE: dict[str, tuple[set[str], dict[Ask, str]]] = {
    "longer-path": (
        {"shadowed-rule"},
        {
            tagged("longer-path"): FORK,
            tagged("longer-path", "/api/x"): CANARY,
            Ask("longer-path"): "longer-path",
        },
    ),
    "method": ({"shadowed-rule"}, {tagged("method"): CANARY, Ask("method"): CANARY}),
    "expression": ({"dead-expression"}, {Ask("expression", "/v1"): "expression"}),
    "alone": ({"missing-catch-all"}, {Ask("alone"): "404", tagged("alone"): FORK}),
    "portless-flow": ({"portless-flow-route"}, {tagged("portless-flow"): "portless-flow"}),
    "portless-baseline": (
        {"portless-route", "missing-catch-all"},
        {tagged("portless-baseline"): "portless-baseline"},
    ),
    "backend-port": ({"wrong-port"}, {tagged("backend-port"): "500", Ask("backend-port"): "backend-port"}),
    "parent-port": ({"wrong-port"}, {tagged("parent-port"): "parent-port"}),
    "open": ({"open-route"}, {Ask("open", "/a"): FORK, Ask("open"): "open"}),
    "kinds": ({"mixed-route-kinds"}, {tagged("kinds"): "kinds"}),
    "kinds-of-the-owner": (
        {"mixed-route-kinds"},
        {Ask("kinds-of-the-owner", headers=(("x", "1"),)): "kinds-of-the-owner"},
    ),
    "headless": ({"headless-fork"}, {tagged("headless"): "headless"}),
    "dialects": ({"mixed-dialects"}, {Ask("dialects"): "404", tagged("dialects"): FORK}),
    "twice": ({"duplicate-virtual-service"}, {Ask("twice"): CANARY}),
    "undeclared": (
        {"undeclared-port"},
        {tagged("undeclared"): FORK, tagged("undeclared", port=9000): "undeclared"},
    ),
}


@pytest.mark.parametrize("service", list(TABLE))
def test_the_mesh_falls_for_it_and_a_rule_finds_it(traps: dict[str, Trap], mesh: Mesh, service: str) -> None:
    rules, answers = TABLE[service]
    assert traps[service].rules() >= rules
    mesh.comes_to(answers)


def test_the_status_of_what_goes_wrong_is_green(traps: dict[str, Trap], mesh: Mesh) -> None:
    live = {
        item["metadata"]["name"]: item for kind in ("httproutes", "grpcroutes") for item in mesh.objects(kind)
    }
    for service in ("longer-path", "alone", "portless-flow", "backend-port", "kinds"):
        assert traps[service].flow, service
        for route in traps[service].flow:
            [parent] = live[route["metadata"]["name"]]["status"]["parents"]
            conditions = {item["type"]: item["status"] for item in parent["conditions"]}
            assert conditions == {"Accepted": "True", "ResolvedRefs": "True"}, service
