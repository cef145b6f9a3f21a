"""A backend of somebody else's, installed beside this package, in every process that asks for a branch.

The programs are those of the product, the engine and its provider processes are real, and so are the copies. The
cluster is an API server that can be read: what would be made on it is previewed, and what needs none is made.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from lab.demo_project import ROOT, Project
from lab.settings import LabError
from tests.components.kubernetes_api import KubernetesApi, demonstration, serving
from tests.databases.backends import make_database, query_file
from tests.engine import engine_project
from tests.pure.samples import TOPOLOGY

pytestmark = pytest.mark.engine

NAME = "kardinal/voting-app/dev/votes"
VOTES = {"backend": "folders", "project": "shop", "database": "votes", "role": "nobody"}
BASELINE = {name: value for name, value in TOPOLOGY.items() if name != "schemaVersion"} | {
    "gateway": {"port": 8080, "address": "127.0.0.1:8080"},
    "databases": {"votes": VOTES},
}
FLOW = {
    "baseline": "organization/kardinal/baseline",
    "services": {"voting-app-ui": {"image": "voting-app-ui-dev"}},
}
BRANCH = "urn:pulumi:dev::kardinal::kardinal:index:Flow$kardinal:index:BranchedDatabase$"
GUARD, COPY = "**dynamic/leftovers:Leftovers::dev", "**dynamic/folders:Branch::dev-votes"

KILLED = """
import os, signal

if os.environ.get("KILL_AFTER_THE_COPY"):
    from kardinal_folders.files import Folder

    whole = Folder.make

    def make(*arguments):
        whole(*arguments)
        os.kill(os.getpid(), signal.SIGKILL)

    Folder.make = make
"""
"""Ends the provider's process between the copy and the answer to the engine."""


class Shop:
    """The project, its cluster, and the folder with its database.

    Attributes:
        project: The project, with the stacks `baseline` and `dev`.
        folder: The folder that the baseline names.
    """

    def __init__(self, project: Project, folder: Path) -> None:
        self.project = project
        self.folder = folder

    @property
    def production(self) -> str:
        return f"sqlite:///{self.folder / 'votes.db'}"

    @property
    def copy(self) -> Path:
        return self.folder / "branches" / f"{quote(NAME, safe='')}.db"

    def up(self, *targets: str) -> str:
        """Makes what needs no cluster."""
        chosen = [f"--target={target}" for target in targets]
        return self.project.pulumi("up", "--yes", "--skip-preview", "-s", "dev", *chosen).output

    def reap(self, *arguments: str) -> tuple[int, list[dict[str, Any]]]:
        ran = self.project.kardinal("reap", "--json", "--grace", "0s", *arguments)
        assert ran.code in (0, 3), ran.output
        return ran.code, json.loads(ran.output)["branches"]


@pytest.fixture(scope="module")
def cluster() -> Iterator[KubernetesApi]:
    with serving(demonstration()) as api:
        yield api


@pytest.fixture
def shop(tmp_path: Path, toy_distribution: Path, cluster: KubernetesApi) -> Shop:
    """The baseline is up."""
    work, patches = tmp_path / "project", tmp_path / "patches"
    work.mkdir()
    patches.mkdir()
    (patches / "sitecustomize.py").write_text(KILLED)
    (tmp_path / "kubeconfig").write_text(cluster.kubeconfig())
    make_database(tmp_path / "databases" / "shop" / "votes.db")
    project = engine_project(
        work,
        "from stacks import run\nrun()\n",
        plugins=True,
        PYTHONPATH=os.pathsep.join(map(str, (patches, toy_distribution, ROOT))),
        KUBECONFIG=str(tmp_path / "kubeconfig"),
    )
    project.ensure_stack("baseline")
    project.configure("baseline", {"kardinal:stack": "baseline", "kardinal:baseline": BASELINE})
    project.set_secret("baseline", "kardinal:foldersRoot", str(tmp_path / "databases"))
    project.pulumi("up", "--yes", "--skip-preview", "-s", "baseline", "--target=**kardinal:index:Baseline::*")
    project.configure("dev", {"kardinal:stack": "flow", "kardinal:flow": FLOW})
    return Shop(project, tmp_path / "databases" / "shop")


def test_a_flow_gets_a_copy_and_leaves_none(shop: Shop) -> None:
    shown = shop.project.pulumi("preview", "-s", "dev").output
    assert "(folders project shop)" in shown
    with pytest.raises(LabError, match="no folder of databases: set KARDINAL_FOLDERS_ROOT"):
        shop.up(GUARD)
    assert not shop.copy.exists()

    shop.project.set_secret("dev", "kardinal:foldersRoot", str(shop.folder.parent))
    shop.up(GUARD, COPY)
    uri = f"sqlite:///{shop.copy}"
    query_file(uri, "DELETE FROM vote WHERE id > 100")
    count = "SELECT count(*) FROM vote"
    assert (query_file(uri, count), query_file(shop.production, count)) == ([(100,)], [(300,)])
    assert shop.reap() == (0, shop.reap()[1])
    assert [(item["name"], item["reason"]) for item in shop.reap()[1]] == [(NAME, "in use")]

    shop.project.pulumi("destroy", "--yes", "--skip-preview", "-s", "dev")
    assert not shop.copy.exists()
    assert query_file(shop.production, count) == [(300,)]
