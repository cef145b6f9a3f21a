"""What cannot work is refused by `preview`, every problem in one message, and nothing is made."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from lab.demo_cluster import differences
from tests.e2e.production import NAMESPACE, UI, Production

pytestmark = [pytest.mark.lab, pytest.mark.engine]

Declare = Callable[..., str]


@pytest.fixture
def nothing_made(production: Production, standing: str) -> Iterator[None]:
    """Checks that the test changed nothing on the cluster and asked Neon for no write."""
    before, operations = production.objects(), production.databases.operations()
    yield
    assert differences(before, production.objects()) == []
    assert production.databases.operations() == operations


def refusal(production: Production, stack: str, *problems: str) -> None:
    """Previews a stack, and checks that every problem is told once, without a traceback."""
    said = production.refused(stack)
    assert "Traceback" not in said
    # Told once in the list of diagnostics; the progress display above it shows the beginning again.
    diagnostics = said.partition("Diagnostics:")[2]
    for problem in problems:
        assert problem in diagnostics, f"missing: {problem}\n{said}"
        assert diagnostics.count(problem) == 1, said


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        (
            {"services": {"voting-ui": {"image": "x"}}},
            f"kardinal:flow.services.voting-ui: unknown service; {NAMESPACE} has: votes-api, voting-app-ui;"
            ' did you mean "voting-app-ui"?',
        ),
        (
            {"databases": {"vote": {}}},
            f"kardinal:flow.databases.vote: unknown database; {NAMESPACE} has: votes",
        ),
        (
            {"services": {"voting-app-ui": {"image": ""}}},
            "kardinal:flow.services.voting-app-ui.image: must be",
        ),
        ({"id": "Not_a_label"}, 'kardinal:flow.id: "Not_a_label" must consist of'),
        ({"id": "x" * 64}, "kardinal:flow.id: has 64 characters, at most 63 are allowed"),
        (
            {"id": "standing"},
            'kardinal:flow.id: flow "standing" is taken by stack "organization/kardinal/standing"',
        ),
        ({"isolaton": "full"}, 'kardinal:flow.isolaton: unknown key; did you mean "isolation"?'),
        ({"baseline": "nosuch"}, 'stack "organization/kardinal/nosuch" cannot be read'),
    ],
)
@pytest.mark.usefixtures("nothing_made")
def test_mistakes_in_the_flow(
    production: Production, flow: Declare, config: dict[str, Any], problem: str
) -> None:
    refusal(production, flow("mistaken", **config), problem)


@pytest.mark.usefixtures("nothing_made")
def test_all_mistakes_at_once(production: Production, flow: Declare) -> None:
    services = {"voting-app-ui": {"imag": "x"}, "nosuch": {"image": "y"}}
    stack = flow("many", id="Not_a_label", services=services, databases={"orders": {}})
    refusal(
        production,
        stack,
        "kardinal:flow.id:",
        "kardinal:flow.services.voting-app-ui.imag: unknown key",
        "kardinal:flow.services.nosuch: unknown service",
        "kardinal:flow.databases.orders: unknown database",
    )


@pytest.fixture
def adopted(production: Production, request: pytest.FixtureRequest) -> Iterator[str]:
    """A stack that exports the baseline's topology, changed as the test's parameter says."""
    change: Callable[[dict[str, Any]], None] = request.param
    production.copy_baseline("adopted-otherwise", change)
    yield "adopted-otherwise"
    production.project.pulumi("stack", "rm", "--yes", "--force", "adopted-otherwise")


def too_old(topology: dict[str, Any]) -> None:
    topology["schemaVersion"] = 0


def without_workload(topology: dict[str, Any]) -> None:
    # A Service of the namespace that no Deployment or StatefulSet stands behind.
    topology["services"]["bare"] = {"ports": [{"port": 80}], "dependsOn": [], "uses": []}


def other_variable(topology: dict[str, Any]) -> None:
    topology["services"]["votes-api"]["uses"][0]["environment"] = {"VOTES_URL": "uri"}


@pytest.mark.parametrize(
    ("adopted", "problem"),
    [
        (too_old, "is too old (schemaVersion 0, needed is 1): run `pulumi up` on it"),
        (without_workload, "no Deployment or StatefulSet"),
        (other_variable, "VOTES_URL"),
    ],
    indirect=["adopted"],
)
def test_a_baseline_that_does_not_fit(
    production: Production, flow: Declare, bare_service: None, adopted: str, problem: str
) -> None:
    services = {**UI, "bare": {"image": "x"}} if problem.startswith("no Deployment") else UI
    refusal(production, flow("misfit", baseline=adopted, services=services), problem)


@pytest.fixture
def bare_service(production: Production) -> Iterator[None]:
    """A Service without a workload."""
    body = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "bare"},
        "spec": {"selector": {"app": "nobody"}, "ports": [{"port": 80}]},
    }
    production.cluster.create(f"/api/v1/namespaces/{NAMESPACE}/services", body)
    yield
    production.cluster.delete(production.path("services", "bare"))


def test_no_injection_in_the_namespace(production: Production, flow: Declare) -> None:
    path = f"/api/v1/namespaces/{NAMESPACE}"
    label = "/metadata/labels/istio-injection"
    production.cluster.patch(path, [{"op": "remove", "path": label}])
    try:
        label_it = (
            f"get no sidecar, which passes requests on; label namespace {NAMESPACE} istio-injection=enabled"
        )
        refusal(
            production,
            flow("uninjected"),
            f"kardinal:flow.services.voting-app-ui: pods of the fork of Deployment voting-app-ui {label_it}",
            f"topology.services.votes-api: pods of the fork of Deployment votes-api {label_it}",
        )
    finally:
        production.cluster.patch(path, [{"op": "add", "path": label, "value": "enabled"}])


@pytest.mark.usefixtures("nothing_made")
def test_without_a_key_preview_works_and_up_says_what_to_set(
    production: Production, flow: Declare, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = flow("keyless")
    monkeypatch.delitem(production.project.environment, "NEON_API_KEY")
    production.project.pulumi("preview", "-s", stack)
    ran = production.project.pulumi("up", "--yes", "--skip-preview", "-s", stack, check=False)
    assert ran.code != 0
    assert (
        "no Neon API key: set NEON_API_KEY or `pulumi config set --secret kardinal:neonApiKey`" in ran.output
    )
    assert "Traceback" not in ran.output
    production.project.pulumi("destroy", "--yes", "--skip-preview", "-s", stack)


@pytest.mark.usefixtures("nothing_made")
def test_a_wrong_key_is_one_line(
    production: Production, flow: Declare, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = flow("wrong-key")
    monkeypatch.setitem(production.project.environment, "NEON_API_KEY", "not-the-key-of-this-project")
    ran = production.project.pulumi("up", "--yes", "--skip-preview", "-s", stack, check=False)
    assert ran.code != 0
    assert "HTTP 401" in ran.output
    assert "Traceback" not in ran.output
    assert "not-the-key-of-this-project" not in ran.output
    monkeypatch.undo()
    production.project.pulumi("destroy", "--yes", "--skip-preview", "-s", stack)
