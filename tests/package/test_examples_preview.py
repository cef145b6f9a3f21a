"""Every numbered example by the real `pulumi preview`, beside an application on the lab."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from lightkube import ApiError, Client
from lightkube.codecs import load_all_yaml
from lightkube.resources.core_v1 import Namespace

from kardinal_infra.cluster.client import connect
from kardinal_infra.cluster.snapshot import read_live
from kardinal_infra.model.topology import Topology
from kardinal_infra.routing import catch_all_routes
from lab.demo_project import Project, project_environment
from lab.settings import Lab
from tests.package.examples import EXAMPLES, FOLDER, stacks, topology
from tests.pure import samples
from tests.pure.samples import BASELINE_STACK

pytestmark = [pytest.mark.lab, pytest.mark.engine]

NAMESPACE = "voting-examples"
PATIENCE = 120.0

EXPORT = """import json
from pathlib import Path

import pulumi

for name, value in json.loads(Path("outputs.json").read_text()).items():
    pulumi.export(name, pulumi.Output.secret(value) if name == "connectionUris" else value)
"""
"""Stands for the stacks that examples read: exports what it is given and makes nothing."""


def manifests() -> list[dict[str, Any]]:
    """The application as its owner would have made it, without any pod, and its baseline's routes."""
    described = Topology.from_plain(topology(NAMESPACE), BASELINE_STACK)
    http = {"name": "http", "port": 80, "protocol": "HTTP"}
    tls = {"certificateRefs": [{"name": "public"}]}
    https = {"name": "https", "port": 443, "protocol": "HTTPS", "tls": tls}
    gateways = [
        {
            "metadata": {"name": name, "namespace": NAMESPACE},
            "spec": {"gatewayClassName": "nobody", "listeners": listeners},
        }
        for name, listeners in (("kardinal", [http]), ("public", [http, https]))
    ]
    kinds: list[tuple[str, Any]] = [
        ("Gateway", gateways),
        ("HTTPRoute", catch_all_routes(described, BASELINE_STACK)),
    ]
    made: list[dict[str, Any]] = [
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": NAMESPACE, "labels": {"istio-injection": "enabled"}},
        },
        *samples.manifests(samples.live(), NAMESPACE),
    ]
    for kind, items in kinds:
        for item in items:
            metadata = {"name": item["metadata"]["name"], "namespace": NAMESPACE}
            api_version = "gateway.networking.k8s.io/v1"
            made.append({"apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": item["spec"]})
    return made


def remove_namespace(client: Client) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            client.delete(Namespace, NAMESPACE)
        except ApiError as error:
            if error.status.code == 404:
                return
            if error.status.code != 409:  # already going
                raise
        assert time.monotonic() < deadline, f"namespace {NAMESPACE} does not go away"
        time.sleep(0.3)


@pytest.fixture(scope="module")
def application(lab: Lab) -> Iterator[None]:
    """The application in a namespace of its own."""
    with connect(NAMESPACE, kubeconfig=str(lab.kubeconfig)) as client:
        remove_namespace(client)
        for item in load_all_yaml(yaml.safe_dump_all(manifests()), create_resources_for_crds=True):
            client.create(item)
        yield
        remove_namespace(client)


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("examples")


@pytest.fixture(scope="module")
def environment(lab_environment: dict[str, str], workplace: Path) -> dict[str, str]:
    """A backend of the tests' own, and no Neon key: a preview needs none."""
    (workplace / "state").mkdir()
    variables = {**lab_environment, "PULUMI_BACKEND_URL": f"file://{workplace}/state"}
    for name in ("NEON_API_KEY", "NEON_API_HOST"):
        variables.pop(name, None)
    return {
        name: value
        for name, value in project_environment(variables, Path(sys.executable).parent).items()
        if not name.startswith("NEON_")
    }


def place(folder: Path, settings: dict[str, Any]) -> Path:
    """Writes a project's settings, with the tests' interpreter."""
    folder.mkdir(exist_ok=True)
    settings["runtime"]["options"]["virtualenv"] = sys.prefix
    (folder / "Pulumi.yaml").write_text(yaml.safe_dump(settings))
    return folder


@pytest.fixture(scope="module")
def others(environment: dict[str, str], workplace: Path) -> None:
    """The stacks that examples read."""
    for name, outputs in stacks(NAMESPACE).items():
        _, project, stack = name.split("/")
        runtime = {"name": "python", "options": {"toolchain": "pip"}}
        folder = place(workplace / stack, {"name": project, "runtime": runtime})
        (folder / "__main__.py").write_text(EXPORT)
        (folder / "outputs.json").write_text(json.dumps(outputs))
        made = Project(folder, environment)
        made.pulumi("stack", "init", stack)
        made.pulumi("up", "--yes", "--skip-preview", "-s", stack)


@pytest.fixture
def preview(
    application: None, others: None, environment: dict[str, str], workplace: Path
) -> Callable[..., list[str]]:
    """Previews an example and returns the types of what it would make, sorted."""

    def run(example: str, **config: str) -> list[str]:
        folder = workplace / example
        shutil.copytree(FOLDER / example, folder)
        place(folder, yaml.safe_load((folder / "Pulumi.yaml").read_text()))
        project = Project(folder, environment)
        project.pulumi("stack", "init", "pr-42")
        for key, value in config.items():
            project.pulumi("config", "set", key, value, "-s", "pr-42")
        ran = project.pulumi("preview", "--json", "-s", "pr-42")
        steps = json.loads(ran.output[ran.output.index("{") :])["steps"]
        assert {step["op"] for step in steps} == {"create"}
        return sorted(step["newState"]["type"].rsplit(":", 1)[-1] for step in steps)

    return run


FLOW = [
    *["Acceptance"] * 2,
    "Branch",
    "BranchedDatabase",
    "Command",
    "Command",
    "Deployment",
    "Deployment",
    "Flow",
    "FlowRoutes",
]


WITH_MIGRATIONS = sorted(
    [
        *FLOW,
        *["ForkedWorkload"] * 2,
        *["HTTPRoute"] * 3,
        *["Job", "Leftovers", "Probe"],
        *["Secret"] * 2,
        *["Service"] * 2,
        "Stack",
    ]
)
EXPECTED = {
    "01-minimal-flow": WITH_MIGRATIONS,
    "02-flow-with-database": WITH_MIGRATIONS,
    "03-neon-branch-alone": ["Branch", "Stack"],  # needs no key to be previewed
    "04-read-a-flow": ["Stack"],
    "05-adopt-an-application": [*["Acceptance"] * 2, "Baseline", *["HTTPRoute"] * 3, "Probe", "Stack"],
    "06-full-isolation-and-sidecar": WITH_MIGRATIONS,
    "07-hooks": sorted([*WITH_MIGRATIONS, "Command", "Command"]),
}
"""Types of what each example would make, sorted; a new example needs a line here."""

CONFIG = {"05-adopt-an-application": {"namespace": NAMESPACE, "gatewayNamespace": NAMESPACE}}


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_shows_what_it_would_make_and_makes_nothing(
    example: str, preview: Callable[..., list[str]], lab: Lab
) -> None:
    assert preview(example, **CONFIG.get(example, {})) == EXPECTED[example]

    live = read_live(NAMESPACE, kubeconfig=str(lab.kubeconfig))
    assert [*live.of_flow("pr-42")] == []
    assert {item["metadata"]["name"] for item in live.deployments} == {"voting-app-ui", "votes-api"}
