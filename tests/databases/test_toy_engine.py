"""A backend of somebody else's, installed beside this package, in every process that asks for a branch.

The programs are those of the product, the engine and its provider processes are real, and so are the copies.
The cluster is an API server that can only be read, so of a flow is made what needs none: guard and branch.
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
NEEDS_NO_CLUSTER = (
    "**kardinal:index:Flow::dev",
    "**dynamic/leftovers:Leftovers::dev",
    "**kardinal:index:BranchedDatabase::dev-votes",
    "**dynamic/folders:Branch::dev-votes",
)

COUNT = "SELECT count(*) FROM vote"

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

    def pulumi(self, command: str, *arguments: str) -> str:
        """A command on the flow's stack, over what needs no cluster; its output, also when it fails."""
        targets = [f"--target={target}" for target in NEEDS_NO_CLUSTER]
        options = ["-s", "dev", *targets, *arguments]
        return self.project.pulumi(command, *options, check=False).output

    def reap(self, *arguments: str) -> tuple[int, list[dict[str, Any]]]:
        ran = self.project.kardinal("reap", "--json", "--grace", "0s", *arguments)
        assert ran.code in (0, 3), ran.output
        return ran.code, json.loads(ran.output)["branches"]


@pytest.fixture(scope="module")
def cluster() -> Iterator[KubernetesApi]:
    with serving(demonstration()) as api:
        yield api


@pytest.fixture(scope="module")
def adopted(tmp_path_factory: pytest.TempPathFactory, toy_distribution: Path, cluster: KubernetesApi) -> Shop:
    """The baseline is up."""
    tmp_path = tmp_path_factory.mktemp("shop")
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
    return Shop(project, tmp_path / "databases" / "shop")


@pytest.fixture
def shop(adopted: Shop) -> Iterator[Shop]:
    """A flow that is not up yet."""
    adopted.project.ensure_stack("dev")
    adopted.project.configure("dev", {"kardinal:stack": "flow", "kardinal:flow": FLOW})
    yield adopted
    adopted.copy.unlink(missing_ok=True)
    adopted.project.pulumi("stack", "rm", "dev", "--force", "--yes", check=False)


def test_a_flow_gets_a_copy_and_leaves_none(shop: Shop) -> None:
    shown = shop.pulumi("preview")
    assert "(folders project shop)" in shown
    assert "+ 5 to create" in shown  # with the stack itself
    refused = shop.pulumi("up", "--yes", "--skip-preview")
    assert "no folder of databases: set KARDINAL_FOLDERS_ROOT" in refused
    assert not shop.copy.exists()

    shop.project.set_secret("dev", "kardinal:foldersRoot", str(shop.folder.parent))
    shop.pulumi("up", "--yes", "--skip-preview")
    uri = f"sqlite:///{shop.copy}"
    query_file(uri, "DELETE FROM vote WHERE id > 100")
    assert (query_file(uri, COUNT), query_file(shop.production, COUNT)) == ([(100,)], [(300,)])
    code, found = shop.reap()
    assert (code, [(item["name"], item["reason"]) for item in found]) == (0, [(NAME, "in use")])

    shop.project.pulumi("destroy", "--yes", "--skip-preview", "-s", "dev")
    assert not shop.copy.exists()
    assert query_file(shop.production, COUNT) == [(300,)]


def test_a_copy_that_a_killed_up_left_goes_with_the_stack(shop: Shop) -> None:
    shop.project.set_secret("dev", "kardinal:foldersRoot", str(shop.folder.parent))
    shop.project.environment["KILL_AFTER_THE_COPY"] = "1"
    broken = shop.pulumi("up", "--yes", "--skip-preview")
    del shop.project.environment["KILL_AFTER_THE_COPY"]
    assert "error reading from server: EOF" in broken
    assert shop.copy.exists()
    assert "folders:Branch" not in shop.project.pulumi("stack", "export", "-s", "dev").output

    destroyed = shop.project.pulumi("destroy", "--yes", "--skip-preview", "-s", "dev").output
    assert f"kardinal: removed branch {NAME}, which the stack's state did not know" in destroyed
    assert not shop.copy.exists()
    assert query_file(shop.production, COUNT) == [(300,)]


def test_a_copy_whose_stack_is_gone_is_reaped(shop: Shop) -> None:
    shop.project.set_secret("dev", "kardinal:foldersRoot", str(shop.folder.parent))
    shop.pulumi("up", "--yes", "--skip-preview")
    shop.project.pulumi("stack", "rm", "dev", "--force", "--yes")
    code, found = shop.reap()
    assert (code, [(item["name"], item["reason"]) for item in found]) == (3, [(NAME, "its stack is gone")])
    assert shop.copy.exists()
    code, found = shop.reap("--yes")
    assert (code, [(item["backend"], item["name"], item["done"]) for item in found]) == (
        0,
        [("folders", NAME, "deleted")],
    )
    assert not shop.copy.exists()
    assert query_file(shop.production, COUNT) == [(300,)]
