"""Where the demo runs: in the lab, or on a cluster of the user's own."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from kardinal_infra.databases.neon.settings import DEFAULT_HOST
from lab import environment, lifecycle
from lab.demo_app import Databases
from lab.demo_cluster import Cluster
from lab.demo_images import load_demo_images
from lab.demo_project import ROOT, Project, project_environment
from lab.ingress import ingress_port
from lab.neon import PROJECT
from lab.report import Report
from lab.screenshots import ensure_chromium
from lab.settings import Lab, LabError, from_environment
from lab.toolchain import ensure_pulumi
from lab_plugins.install import PluginError, ensure_plugins


@dataclass(frozen=True)
class Images:
    """Images of the voting app, as the cluster pulls them."""

    ui: str
    ui_dev: str
    api: str


LAB_IMAGES = Images("voting-app-ui:1.0", "voting-app-ui-dev", "votes-api:1.0")


@dataclass(frozen=True)
class Wishes:
    """What the command line says about the target.

    Attributes:
        context: Context of the kubeconfig.
        images: The voting app's images; the lab has its own.
        neon_project: Neon project, id or name, with a branch `main`.
        neon_role: Owner of the database `votes` in it.
        address: `host:port` of the Gateway; None: as the Gateway says.
    """

    context: str | None
    images: Images
    neon_project: str
    neon_role: str
    address: str | None


@dataclass(frozen=True)
class Target:
    """Everything the story needs to know of the place.

    Attributes:
        title: One line about the place.
        toolchain: Lines about the programs in use.
        project: The repository as a Pulumi project, with the environment of its commands.
        cluster: The cluster.
        databases: The Neon project.
        images: The voting app's images.
        context: Context of the kubeconfig that the stacks name; None: the current one.
        port: Port in URLs.
        address: `host:port` to connect to; None: to be asked of the Gateway.
        enter: The command that puts a shell into this place; empty when every shell is.
    """

    title: str
    toolchain: list[str]
    project: Project
    cluster: Cluster
    databases: Databases
    images: Images
    context: str | None
    port: int
    address: str | None
    enter: str


def find_target(wishes: Wishes, report: Report) -> Target:
    """Decides where the demo runs and gets that place ready.

    `KUBECONFIG` in the environment, unless it is the lab's own, or a context mean the user's cluster;
    otherwise the lab is brought up.

    Args:
        wishes: What the command line says.
        report: Where progress goes.

    Raises:
        LabError: Something is missing; lists everything that is.
    """
    lab = from_environment()
    named = os.environ.get("KUBECONFIG")
    if wishes.context or (named and Path(named) != lab.kubeconfig):
        return _own_cluster(wishes, lab, report)
    return _lab(lab, report)


def _lab(lab: Lab, report: Report) -> Target:
    lifecycle.up(lab, report)
    with report.working("images", "the voting app's images"):
        load_demo_images(lab, report)
    ensure_chromium(lab, report)
    variables = environment()
    project, toolchain = _project(variables, lab, report)
    databases = Databases(
        PROJECT, "votes", "votes_owner", variables["NEON_API_HOST"], variables["NEON_API_KEY"]
    )
    port = ingress_port(lab)
    return Target(
        title=f"the lab {lab.name}",
        toolchain=toolchain,
        project=project,
        cluster=Cluster(str(lab.kubeconfig)),
        databases=databases,
        images=LAB_IMAGES,
        context=None,
        port=port,
        address=f"127.0.0.1:{port}",
        enter='eval "$(.venv/bin/python -m lab env)" && export PATH="$PWD/.venv/bin:$PATH"',
    )


def _own_cluster(wishes: Wishes, lab: Lab, report: Report) -> Target:
    key = os.environ.get("NEON_API_KEY", "")
    missing = []
    if not key:
        missing.append("NEON_API_KEY: the key of a Neon API (and NEON_API_HOST, if it is not neon.tech's)")
    if not wishes.neon_project:
        missing.append(
            "--neon-project: a Neon project with the database `votes`; flows branch from its `main`"
        )
    missing += [
        f"--{name.replace('_', '-')}-image: built from examples/voting-app, where the cluster can pull it"
        for name, image in vars(wishes.images).items()
        if not image
    ]
    if missing:
        raise LabError("\n  ".join(["the demo on your own cluster needs:", *missing]))
    cluster = Cluster(None, wishes.context)
    project, toolchain = _project({}, lab, report)
    if project.pulumi("whoami", check=False).code != 0:
        raise LabError("Pulumi has no state backend: run `pulumi login` (or set PULUMI_BACKEND_URL)")
    host = os.environ.get("NEON_API_HOST", DEFAULT_HOST)
    databases = Databases(wishes.neon_project, "votes", wishes.neon_role, host, key)
    port = int(wishes.address.rpartition(":")[2]) if wishes.address else 80
    return Target(
        title=f"your cluster at {cluster.server}",
        toolchain=toolchain,
        project=project,
        cluster=cluster,
        databases=databases,
        images=wishes.images,
        context=wishes.context,
        port=port,
        address=wishes.address,
        enter="",
    )


def _project(variables: dict[str, str], lab: Lab, report: Report) -> tuple[Project, list[str]]:
    pulumi = ensure_pulumi(lab, report)
    path = os.pathsep.join([str(pulumi), variables.get("PATH", os.environ.get("PATH", os.defpath))])
    environment_ = project_environment({**variables, "PATH": path}, Path(sys.executable).parent)
    project = Project(ROOT, environment_)
    found = shutil.which("pulumi", path=environment_["PATH"])
    try:
        plugins = ensure_plugins(pulumi, lab.cache, environment_.get("PULUMI_HOME"))
    except PluginError as error:
        raise LabError(str(error)) from error
    return project, [f"pulumi {project.pulumi('version').output.strip()}: {found}", *plugins]
