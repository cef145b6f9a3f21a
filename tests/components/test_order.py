"""What waits for what: on `up` in this order, on `destroy` in the reverse."""

from __future__ import annotations

from typing import Any

import pulumi
import pulumi_kubernetes as k8s
import pytest

from kardinal_infra import Flow, FlowRoutes, ForkedWorkload
from kardinal_infra.routing import Insertion
from tests.components import recorder
from tests.components.flows import declare
from tests.components.recorder import Stack, run
from tests.pure import samples
from tests.pure.samples import FLOW


@pytest.fixture
def flow(preview: bool) -> Stack:
    return declare(preview=preview)


def test_everything_comes_after_the_guard_and_so_is_gone_before_it(flow: Stack) -> None:
    guard = flow.one(recorder.LEFTOVERS)

    assert guard.dependencies == frozenset()
    made = [item for item in flow.declared if not item.type.startswith("kardinal:")]
    assert [item.name for item in made if item is not guard and not flow.waits_for(item, guard)] == []


def test_migrations_come_after_their_branch_and_before_every_pod_and_service(flow: Stack) -> None:
    job = flow.one(recorder.JOB)

    assert flow.waits_for(job, flow.one(recorder.BRANCH))
    assert flow.waits_for(job, flow.one(recorder.SECRET, "dev-votes-migrations"))
    for kind in (recorder.DEPLOYMENT, recorder.SERVICE):
        # The page's fork uses no database itself; a failed migration stops it too.
        assert all(flow.waits_for(item, job) for item in flow.all(kind))


def test_a_fork_comes_after_the_secret_it_reads(flow: Stack) -> None:
    api = flow.one(recorder.DEPLOYMENT, "votes-api-dev")

    assert flow.waits_for(api, flow.one(recorder.SECRET, "dev-votes.votes-api"))


def test_a_drain_stands_between_what_is_routed_to_and_what_routes_to_it(flow: Stack) -> None:
    targets = [*flow.all(recorder.DEPLOYMENT), *flow.all(recorder.SERVICE)]
    mesh = [flow.one(recorder.HTTP_ROUTE, name) for name in ("votes-api-dev-80", "voting-app-ui-dev-80")]
    entry = flow.one(recorder.HTTP_ROUTE, "voting-app-ui-dev-entry")
    mesh_drain = flow.one(recorder.DRAIN, "dev-mesh-drain")
    entry_drain = flow.one(recorder.DRAIN, "dev-entry-drain")

    assert len(targets) == 4
    # Directly: the engine follows the graph of the state, with nothing in between that could be gone.
    assert mesh_drain.dependencies >= {item.urn for item in targets}
    assert all(mesh_drain.urn in route.dependencies for route in mesh)
    assert entry_drain.dependencies >= {route.urn for route in mesh}
    assert entry_drain.urn in entry.dependencies
    for drain in (mesh_drain, entry_drain):
        assert drain.inputs == {"create": ":", "delete": "sleep 2"}


def test_hosts_come_after_the_forks_routes_are_accepted(flow: Stack) -> None:
    mesh, entry = (flow.one(recorder.ACCEPTANCE, f"dev-{kind}-accepted") for kind in ("mesh", "entry"))
    host = flow.one(recorder.HTTP_ROUTE, "voting-app-ui-dev-entry")

    assert [item["metadata"]["name"] for item in mesh.inputs["routes"]] == [
        "votes-api-dev-80",
        "voting-app-ui-dev-80",
    ]
    assert [item["metadata"]["name"] for item in entry.inputs["routes"]] == [host.object_name]
    assert flow.waits_for(host, mesh)
    assert flow.waits_for(entry, host)


def test_the_probe_comes_last(flow: Stack) -> None:
    probe = flow.one(recorder.PROBE)

    assert all(flow.waits_for(probe, item) for item in flow.declared if item.type.startswith("kubernetes:"))


def test_a_whole_flow_comes_after_what_its_caller_says(preview: bool) -> None:
    def program() -> None:
        pull = k8s.core.v1.Secret("registry", metadata={"name": "registry", "namespace": "x"})
        Flow("dev", _args(), pulumi.ResourceOptions(depends_on=[pull]), **_surroundings())

    stack = run(program, preview=preview)
    pull = stack.one(recorder.SECRET, "registry")
    assert all(
        stack.waits_for(item, pull)
        for item in stack.declared
        if item is not pull and not item.type.startswith("kardinal:")
    )


def test_the_caller_chooses_the_cluster(preview: bool) -> None:
    def program() -> None:
        cluster = k8s.Provider("staging", context="staging")
        Flow("dev", _args(), pulumi.ResourceOptions(provider=cluster), **_surroundings())

    stack = run(program, preview=preview)
    provider = stack.one("pulumi:providers:kubernetes")
    objects = [item for item in stack.declared if item.type.startswith("kubernetes:")]
    assert len(objects) == 10
    assert all(item.provider.startswith(f"{provider.urn}::") for item in objects)


def test_rules_of_a_virtual_service_stand_where_routes_do(preview: bool) -> None:
    def route(name: str) -> dict[str, Any]:
        return {
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "HTTPRoute",
            "metadata": {"name": name, "namespace": "ns"},
            "spec": {"rules": []},
        }

    insertion = Insertion("ns", "canary", "web", "dev", ({"name": "kardinal.dev.0"},), lost_at="7")
    args: Any = {
        "mesh": [route("a")],
        "insertions": [insertion],
        "entries": [route("host")],
        "drain_seconds": 7,
    }
    args |= {"kubeconfig": "text", "context": "lab"}
    stack = run(lambda: FlowRoutes("dev", args), preview=preview)
    rules = stack.one(recorder.RULES)
    mesh_drain, entry_drain = (stack.one(recorder.DRAIN, f"dev-{kind}-drain") for kind in ("mesh", "entry"))
    host = stack.one(recorder.HTTP_ROUTE, "host")
    assert stack.waits_for(rules, mesh_drain)
    assert stack.waits_for(entry_drain, rules)
    assert stack.waits_for(host, rules)
    asked = {key: value for key, value in rules.inputs.items() if key not in {"__provider", "kubeconfig"}}
    assert asked == {
        "namespace": "ns",
        "virtual_service": "canary",
        "flow": "dev",
        "rules": [{"name": "kardinal.dev.0"}],
        "lost_at": "7",
        "context": "lab",
    }
    assert isinstance(rules.inputs["kubeconfig"], recorder.Hidden)
    assert {item.inputs["delete"] for item in stack.all(recorder.DRAIN)} == {"sleep 7"}


def test_a_fork_by_itself_waits_as_told_and_as_long_as_told(preview: bool) -> None:
    metadata = {"name": "web-dev", "namespace": "ns"}

    def program() -> None:
        first = k8s.core.v1.ConfigMap("first", metadata={"name": "first"})
        ForkedWorkload(
            "web-dev",
            {
                "workload": {"metadata": metadata, "spec": {"replicas": 1}},
                "service": {"metadata": metadata, "spec": {"ports": []}},
                "timeout": "90s",
            },
            pulumi.ResourceOptions(depends_on=[first]),
        )

    stack = run(program, preview=preview)
    first = stack.one("kubernetes:core/v1:ConfigMap")
    deployment, service = stack.one(recorder.DEPLOYMENT), stack.one(recorder.SERVICE)
    assert deployment.timeouts == ("90s", "90s")
    assert stack.waits_for(deployment, first)
    assert stack.waits_for(service, first)


def _args() -> Any:
    return dict(FLOW)


def _surroundings() -> dict[str, Any]:
    return {"topology": samples.topology(), "live": samples.live()}
