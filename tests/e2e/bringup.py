"""Brings an adopted application up on the lab and takes it down, for the end-to-end tests and `make churn`.

Everything is of its own: namespace, Pulumi backend, project folder and Neon service. A demo that runs on the
same lab is not touched, and nothing is left at the end.
"""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import httpx
import yaml

from lab.demo_app import Databases, Page
from lab.demo_cluster import Cluster
from lab.demo_images import load_demo_images
from lab.demo_project import ROOT, Project, project_environment
from lab.settings import Lab
from tests.e2e.production import NEON_PROJECT, Production, domain_of

READY_SECONDS = 180


class Parent(Protocol):
    """Where the application's database is, and how flows branch it.

    Attributes:
        variables: What the branching backend reads from the environment.
        databases: The database and its branches, as their owner sees them.
    """

    @property
    def variables(self) -> dict[str, str]: ...
    @property
    def databases(self) -> Databases: ...
    def configure(self, database: dict[str, Any]) -> None:
        """Changes the demo's database in the baseline's config into this one."""


class NeonService:
    """A local Neon service of the tests' own, whose API key can be changed."""

    def __init__(self, host: str, folder: Path, ports: str) -> None:
        self.host = host
        self.folder = folder
        self.ports = ports
        self.port = free_port(host)
        self.process: subprocess.Popen[bytes] | None = None
        self.key = ""

    @property
    def url(self) -> str:
        """Address of its API."""
        return f"http://{self.host}:{self.port}/api/v2"

    @property
    def variables(self) -> dict[str, str]:
        """As for `Parent`."""
        return {"NEON_API_HOST": self.url, "NEON_API_KEY": self.key}

    @property
    def databases(self) -> Databases:
        """As for `Parent`."""
        return Databases(NEON_PROJECT, "votes", "votes_owner", self.url, self.key)

    def configure(self, database: dict[str, Any]) -> None:
        """As for `Parent`."""
        database["project"] = NEON_PROJECT

    def start(self, key: str) -> None:
        """Starts it, with this key from now on."""
        self.key = key
        (self.folder / "key").write_text(key)
        command = [
            *(sys.executable, "-m", "kardinal_neon_local", "serve", "--host", self.host),
            *("--port", str(self.port), "--data-dir", str(self.folder / "data"), "--project", NEON_PROJECT),
            *("--api-key-file", str(self.folder / "key"), "--database", "votes", "--role", "votes_owner"),
            *("--port-range", self.ports),
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


@contextlib.contextmanager
def workplace() -> Iterator[Path]:
    """A folder that PostgreSQL's unprivileged user can enter."""
    folder = Path(tempfile.mkdtemp(prefix="kardinal-e2e-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@contextlib.contextmanager
def own_ports(host: str) -> Iterator[str]:
    """A range of ports of a host that others who ask here do not get: its first one is held meanwhile."""
    with socket.socket() as held:
        for first in range(20000, 21000, 200):
            with contextlib.suppress(OSError):
                held.bind((host, first))
                break
        else:
            raise AssertionError(f"all ranges of ports of {host} are in use")
        yield f"{first + 1}-{first + 199}"


@contextlib.contextmanager
def neon_service(lab: Lab, folder: Path) -> Iterator[NeonService]:
    """A Neon service, on the machine's end of the lab's link so that pods reach its databases.

    Args:
        lab: The lab.
        folder: The workplace.
    """
    (folder / "neon").mkdir()
    with own_ports(lab.host_address) as ports:
        service = NeonService(lab.host_address, folder / "neon", ports)
        service.start("e2e-key-of-the-first-day")
        try:
            yield service
        finally:
            service.stop()


@contextlib.contextmanager
def adopted(
    lab: Lab, variables: dict[str, str], parent: Parent, folder: Path, namespace: str
) -> Iterator[Production]:
    """The voting app in a namespace of its own, adopted by a baseline.

    Args:
        lab: The lab.
        variables: Those by which programs use it.
        parent: Its database.
        folder: The workplace.
        namespace: Removed first, if an earlier run left it, and at the end.
    """
    load_demo_images(lab)
    cluster = Cluster(str(lab.kubeconfig))
    try:
        remove_namespace(cluster, namespace)
        project = own_project(folder, {**variables, **parent.variables})
        page = _up(project, cluster, parent, namespace)
        yield Production(project, cluster, parent.databases, page, namespace)

        project.pulumi("state", "unprotect", "--all", "--yes", "-s", "baseline")
        for stack in ("baseline", "voting-app"):
            project.pulumi("destroy", "--yes", "--skip-preview", "-s", stack)
    finally:
        remove_namespace(cluster, namespace)
        cluster.close()


def _up(project: Project, cluster: Cluster, parent: Parent, namespace: str) -> Page:
    """Makes both stacks, and waits until production's page can be opened."""
    project.ensure_stack("voting-app")
    project.configure("voting-app", {"kardinal:stack": "voting-app", "kardinal:namespace": namespace})
    project.set_secret("voting-app", "kardinal:databaseUrl", parent.databases.uri("main"))
    project.pulumi("up", "--yes", "--skip-preview", "-s", "voting-app")
    project.ensure_stack("baseline")
    project.configure("baseline", baseline_config(parent, namespace, None))
    project.pulumi("up", "--yes", "--skip-preview", "-s", "baseline")

    def address() -> str | None:
        return cluster.gateway_address(namespace, "kardinal")

    eventually(address, "an address for the Gateway", READY_SECONDS)
    # Only now known; probes connect there, for no DNS knows the hosts.
    project.configure("baseline", baseline_config(parent, namespace, f"{address()}:80"))
    project.pulumi("up", "--yes", "--skip-preview", "-s", "baseline")
    page = Page(f"http://{domain_of(namespace)}", f"{address()}:80")
    eventually(lambda: answers(page), "production's page", READY_SECONDS)
    return page


def answers(page: Page) -> bool:
    """Whether the page can be opened."""
    return page.look().status == httpx.codes.OK


def own_project(folder: Path, variables: dict[str, str]) -> Project:
    """A project with its state in a folder of the tests' own.

    Args:
        folder: Gets the folders `state` and `project`.
        variables: Of its commands, besides this process's own.
    """
    (folder / "state").mkdir()
    variables = {**variables, "PULUMI_BACKEND_URL": f"file://{folder}/state"}
    programs = Path(sys.executable).parent
    return Project(project_folder(folder / "project"), project_environment(variables, programs))


def project_folder(folder: Path, source: Path = ROOT) -> Path:
    """A project folder with the programs of another one and settings of its own."""
    folder.mkdir()
    settings = yaml.safe_load((source / "Pulumi.yaml").read_text())
    settings["runtime"]["options"]["virtualenv"] = str(Path(sys.prefix))
    (folder / "Pulumi.yaml").write_text(yaml.safe_dump(settings))
    for name in ("__main__.py", "stacks"):
        if (source / name).exists():
            (folder / name).symlink_to(source / name)
    return folder


def baseline_config(parent: Parent, namespace: str, address: str | None) -> dict[str, Any]:
    """The demo's baseline in another namespace, on another database; without an address, without entries."""
    config = yaml.safe_load((ROOT / "Pulumi.baseline.yaml").read_text())["config"]["kardinal:baseline"]
    domain = domain_of(namespace)
    config |= {"application": namespace, "namespace": namespace, "domain": domain}
    config["gateway"] = {"port": 80, **({"address": address} if address else {})}
    config["entries"] = [{"service": "voting-app-ui", "host": domain}] if address else []
    parent.configure(config["databases"]["votes"])
    return {"kardinal:stack": "baseline", "kardinal:baseline": config}


def remove_namespace(cluster: Cluster, namespace: str) -> None:
    """Removes a namespace, from an earlier run that was killed or from this one."""
    remove(cluster, f"/api/v1/namespaces/{namespace}")


def remove(cluster: Cluster, path: str) -> None:
    """Removes an object, if it is there, and waits until it is gone."""
    if cluster.get(path) is not None:
        cluster.delete(path)
        eventually(lambda: cluster.get(path) is None, f"the end of {path}", READY_SECONDS)
