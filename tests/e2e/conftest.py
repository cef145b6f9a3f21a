"""One production for all end-to-end tests: the voting app in a namespace of its own, adopted by a baseline.

Everything is the tests' own: namespace, Pulumi backend, project folder and Neon service. A demo that runs on
the same lab is not touched, and nothing is left when the tests end.
"""

import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from lab.demo_app import Databases, Page
from lab.demo_cluster import Cluster
from lab.demo_images import load_demo_images
from lab.demo_project import ROOT, Project, project_environment
from lab.settings import Lab
from tests.e2e.production import DOMAIN, NAMESPACE, NEON_PROJECT, Production

KEY_LENGTH = 32
READY_SECONDS = 180


class NeonService:
    """A local Neon service of the tests' own, whose API key can be changed."""

    def __init__(self, host: str, folder: Path) -> None:
        self.host = host
        self.folder = folder
        self.port = free_port(host)
        self.process: subprocess.Popen[bytes] | None = None
        self.key = ""

    @property
    def url(self) -> str:
        """Address of its API."""
        return f"http://{self.host}:{self.port}/api/v2"

    def start(self, key: str) -> None:
        """Starts it, with this key from now on."""
        self.key = key
        (self.folder / "key").write_text(key)
        command = [
            *(str(Path(sys.executable).with_name("kardinal-neon-local")), "serve", "--host", self.host),
            *("--port", str(self.port), "--data-dir", str(self.folder / "data"), "--project", NEON_PROJECT),
            *("--api-key-file", str(self.folder / "key"), "--database", "votes", "--role", "votes_owner"),
            *("--port-range", "20000-20499"),
        ]
        with (self.folder / "neon.log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, cwd="/")
        eventually(self._healthy, "the tests' Neon service", READY_SECONDS)

    def stop(self) -> None:
        """Ends it; its data stay."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(timeout=60)

    def _healthy(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, (self.folder / "neon.log").read_text()[-2000:]
        try:
            return httpx.get(f"http://{self.host}:{self.port}/healthz", trust_env=False).is_success
        except httpx.HTTPError:
            return False


def free_port(host: str) -> int:
    """A port of the host on which nobody listens."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def eventually(condition: Callable[[], Any], what: str, seconds: float) -> None:
    """Waits until a condition holds, and fails when it does not in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {seconds:g} s"
        time.sleep(0.3)


@pytest.fixture(scope="session")
def workplace() -> Iterator[Path]:
    """A folder that PostgreSQL's unprivileged user can enter."""
    folder = Path(tempfile.mkdtemp(prefix="kardinal-e2e-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def neon(lab: Lab, workplace: Path) -> Iterator[NeonService]:
    """The Neon service, on the machine's end of the lab's link so that pods reach its databases."""
    (workplace / "neon").mkdir()
    service = NeonService(lab.host_address, workplace / "neon")
    service.start("e2e-key-of-the-first-day")
    yield service
    service.stop()


@pytest.fixture(scope="session")
def production(
    lab: Lab, lab_environment: dict[str, str], neon: NeonService, workplace: Path
) -> Iterator[Production]:
    """The adopted application."""
    load_demo_images(lab)
    cluster = Cluster(str(lab.kubeconfig))
    remove_namespace(cluster)
    variables = {
        **lab_environment,
        "PULUMI_BACKEND_URL": f"file://{workplace}/state",
        "NEON_API_HOST": neon.url,
        "NEON_API_KEY": neon.key,
    }
    (workplace / "state").mkdir()
    project = Project(
        project_folder(workplace / "project"), project_environment(variables, Path(sys.executable).parent)
    )
    databases = Databases(NEON_PROJECT, "votes", "votes_owner", neon.url, neon.key)

    project.ensure_stack("voting-app")
    project.configure("voting-app", {"kardinal:stack": "voting-app", "kardinal:namespace": NAMESPACE})
    project.set_secret("voting-app", "kardinal:databaseUrl", databases.uri("main"))
    project.pulumi("up", "--yes", "--skip-preview", "-s", "voting-app")
    project.ensure_stack("baseline")
    project.configure("baseline", baseline_config(None))
    project.pulumi("up", "--yes", "--skip-preview", "-s", "baseline")

    def address() -> str | None:
        return cluster.gateway_address(NAMESPACE, "kardinal")

    eventually(address, "an address for the Gateway", READY_SECONDS)
    # Only now known; probes connect there, for no DNS knows the hosts.
    project.configure("baseline", baseline_config(f"{address()}:80"))
    project.pulumi("up", "--yes", "--skip-preview", "-s", "baseline")
    page = Page(f"http://{DOMAIN}", f"{address()}:80")
    eventually(lambda: answers(page), "production's page", READY_SECONDS)
    yield Production(project, cluster, databases, page)

    project.pulumi("state", "unprotect", "--all", "--yes", "-s", "baseline")
    for stack in ("baseline", "voting-app"):
        project.pulumi("destroy", "--yes", "--skip-preview", "-s", stack)
    remove_namespace(cluster)
    cluster.close()


def answers(page: Page) -> bool:
    """Whether the page can be opened."""
    return page.look().status == httpx.codes.OK


def project_folder(folder: Path) -> Path:
    """A project folder with the repository's programs and settings of its own."""
    folder.mkdir()
    settings = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())
    settings["runtime"]["options"]["virtualenv"] = str(Path(sys.prefix))
    (folder / "Pulumi.yaml").write_text(yaml.safe_dump(settings))
    for name in ("__main__.py", "stacks"):
        (folder / name).symlink_to(ROOT / name)
    return folder


def baseline_config(address: str | None) -> dict[str, Any]:
    """The demo's baseline in the tests' namespace and Neon project; without an address, without entries."""
    config = yaml.safe_load((ROOT / "Pulumi.baseline.yaml").read_text())["config"]["kardinal:baseline"]
    config |= {"application": "voting-e2e", "namespace": NAMESPACE, "domain": DOMAIN}
    config["gateway"] = {"port": 80, **({"address": address} if address else {})}
    config["entries"] = [{"service": "voting-app-ui", "host": DOMAIN}] if address else []
    config["databases"]["votes"]["project"] = NEON_PROJECT
    return {"kardinal:stack": "baseline", "kardinal:baseline": config}


def remove_namespace(cluster: Cluster) -> None:
    """Removes the tests' namespace, from an earlier run that was killed or from this one."""
    path = f"/api/v1/namespaces/{NAMESPACE}"
    if cluster.get(path) is not None:
        cluster.delete(path)
        eventually(lambda: cluster.get(path) is None, f"the end of namespace {NAMESPACE}", READY_SECONDS)


@pytest.fixture
def flow(production: Production) -> Iterator[Callable[..., str]]:
    """Makes the stack of a flow, not yet up; after the test it is destroyed and removed."""
    made: list[str] = []

    def make(name: str, **config: Any) -> str:
        made.append(name)
        production.declare_flow(name, **config)
        return name

    yield make
    for name in made:
        production.remove_flow(name)


@pytest.fixture(scope="session")
def standing(production: Production) -> Iterator[str]:
    """A flow that is up while the tests look at it; they leave it as it is."""
    name = "standing"
    production.declare_flow(name)
    production.up(name)
    yield name
    production.remove_flow(name)
