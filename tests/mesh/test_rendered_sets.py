"""Everything that baselines, flows and the doctor make: valid to the API server, and nothing to analyze.

Whole applications with several flows of different kinds beside each other, and a probe on top: two of them in
one namespace must not get into each other's way, either.
"""

from __future__ import annotations

import runpy
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings

from kardinal_infra.model.names import ANNOTATION_STACK
from kardinal_infra.routing.key import Key
from lab.settings import Lab
from tests.components import recorder
from tests.mesh.conftest import Manifest, Mesh
from tests.mesh.rendering import SERVER_SIDE, Adopted, adopt, keep, pods, rendered
from tests.package.examples import FOLDER, default_config, project, stacks
from tests.pure import samples
from tests.pure.random_routes import Cluster, clusters

pytestmark = pytest.mark.lab

EVERYTHING = Path(__file__).with_name("everything.yaml").read_text()
"""Objects and baseline of an application with all that flows have to do with; NAMESPACE stands for it."""

ALLOWED = ["api.example.com", "http://plain.example.com", "tcp://192.0.2.7:6379"]
BOTH = ("orders", "users")

FLOWS: dict[str, dict[str, Any]] = {
    "by-env": {
        "services": {name: {"image": f"{name}:2"} for name in ("page", "api", "mail", "cart", "store")}
    },
    "by-pooler": {
        "services": {"page": {"image": "page:2", "env": {"LEVEL": "debug"}}},
        "databases": {name: {"handover": "sidecar"} for name in BOTH},
    },
    "locked": {"isolation": "full", "egress": {"mode": "locked", "allow": ALLOWED}},
    "locked-pooler": {
        "services": {"store": {"image": "store:2"}, "api": {"image": "api:2"}},
        "databases": {name: {"handover": "sidecar"} for name in BOTH},
        "egress": "locked",
    },
    "shared": {"isolation": "services", "services": {"api": {"image": "api:2", "replicas": 2}}},
    "working": {"services": {"worker": {"image": "worker:2", "env": {"QUEUE": "mine"}, "replicas": 1}}},
}


@pytest.fixture
def place(lab: Lab) -> Iterator[Mesh]:
    """A namespace whose pods get a sidecar; removed at the end."""
    made = Mesh(f"whole-{uuid.uuid4().hex[:6]}", str(lab.kubeconfig), lab.programs)
    made.kubectl("create", "namespace", made.namespace)
    made.kubectl("label", "namespace", made.namespace, "istio-injection=enabled")
    yield made
    made.kubectl("delete", "namespace", made.namespace, "--wait=false")


def accepted(place: Mesh, objects: list[Manifest]) -> None:
    """The API server takes all objects, and has no warning about any of them."""
    shown = place.apply(objects, *SERVER_SIDE, "--dry-run=server", "--warnings-as-errors")
    assert shown.count("(server dry run)") == len(objects)


def check(place: Mesh, objects: list[Manifest]) -> None:
    """Objects and the pods that come of them are accepted; then they are made, with nothing that runs."""
    accepted(place, [*objects, *pods(objects)])
    keep(place, objects)


def check_flows(adopted: Adopted, flows: dict[str, dict[str, Any]]) -> list[Manifest]:
    """Several flows beside each other, and a probe of the baseline and of one of them."""
    made = []
    for name, args in flows.items():
        objects = adopted.flow(name, **args)
        check(adopted.mesh, objects)
        made += objects
    for flow in (None, next(iter(flows))):
        objects = adopted.doctor(flow, routing_key=Key(asked=("header", "baggage")))
        check(adopted.mesh, objects)
    return made


@pytest.mark.parametrize(("kind", "flows"), [("istio", list(FLOWS)), ("gateway-api", ["by-env", "locked"])])
def test_an_application_with_everything(place: Mesh, kind: str, flows: list[str]) -> None:
    name = {"istio": "edge", "gateway-api": "public"}[kind]
    gateway = {"existing": {"kind": kind, "name": name, "namespace": place.namespace}}
    application = yaml.safe_load(EVERYTHING.replace("NAMESPACE", place.namespace))
    adopted = adopt(place, application["objects"], {**application["baseline"], "gateway": gateway})
    check(place, adopted.added)

    made = check_flows(adopted, {flow: FLOWS[flow] for flow in flows})

    kinds = {item["kind"] for item in made}
    assert kinds >= {
        *(
            "Deployment",
            "StatefulSet",
            "Service",
            "Secret",
            "Job",
            "HTTPRoute",
            "GRPCRoute",
            "VirtualService",
        ),
        *("Sidecar", "ServiceEntry", "NetworkPolicy", "AuthorizationPolicy", "PeerAuthentication"),
        "RequestAuthentication",
    }
    assert "No validation issues found" in place.analyze()


def test_the_voting_app_and_every_example_of_a_flow(place: Mesh, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", place.kubeconfig)
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "voting-app"}}
    objects = [account, *samples.manifests(samples.live(), place.namespace)]
    topology = samples.TOPOLOGY
    config = {key: topology[key] for key in ("application", "domain", "services", "entries", "databases")}
    adopted = adopt(place, objects, config)
    check(place, adopted.added)
    outputs = stacks(place.namespace)

    for example in ("01-minimal-flow", "02-flow-with-database", "06-full-isolation-and-sidecar", "07-hooks"):
        program = FOLDER / example / "__main__.py"

        def run(program: Path = program) -> None:
            runpy.run_path(str(program), run_name="__main__")

        stack = recorder.run(
            run,
            project=project(example)["name"],
            stack=f"of-{example[:2]}",
            config=default_config(example),
            stacks=outputs,
        )
        made = rendered(place, stack)
        assert {item["metadata"]["annotations"][ANNOTATION_STACK] for item in made} == {
            f"organization/{project(example)['name']}/of-{example[:2]}"
        }
        check(place, made)
    check_flows(adopted, {"plain": {"services": {"votes-api": {"image": "votes-api:2"}}}})
    assert "No validation issues found" in place.analyze()


def test_routes_of_random_applications(place: Mesh) -> None:
    routes: list[Manifest] = []

    @settings(max_examples=40, deadline=None, database=None, derandomize=True)
    @given(clusters())
    def collect(cluster: Cluster) -> None:
        for flow in cluster.flows:
            for route in cluster.derived(flow, cluster.baseline):
                metadata = {"name": route["metadata"]["name"], "namespace": place.namespace}
                routes.append({**route, "metadata": metadata})

    collect()
    assert {route["kind"] for route in routes} == {"HTTPRoute", "GRPCRoute"}
    accepted(place, routes)
