"""The tea shop of examples/shop in a namespace of its own, adopted, for the tests that make flows on it."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psycopg
import yaml
from psycopg.rows import dict_row

from lab.demo_app import Databases, Page
from lab.demo_cluster import Cluster
from lab.demo_images import SHOP, SHOP_IMAGES, load_demo_images
from lab.demo_project import Project, project_environment
from lab.settings import Lab
from tests.e2e.bringup import READY_SECONDS, NeonService, eventually, project_folder, remove, remove_namespace
from tests.e2e.production import UP, Production, domain_of

NAMESPACE = "shop-e2e"
USER = 10001
VOLUMES = 3
"""One for production's queue, one for each of the queues that flows have at one time."""

DATABASE, ROLE = "orders", "orders_owner"


@dataclass(frozen=True)
class Shop(Production):
    """The shop; `page` is its front."""

    def front(self, flow: str = "") -> Page:
        """The shop at its public host, or at a flow's."""
        return self._at(f"{flow}." if flow else "")

    def admin(self, flow: str = "") -> Page:
        """The second entry."""
        return self._at(f"{flow}-admin." if flow else "admin.")

    def place(self, page: Page, item: str, quantity: int = 1) -> dict[str, Any]:
        """Orders something, by the path that the shop's front hands to another service."""
        answer = page.ask("POST", "/api/orders", document={"item": item, "quantity": quantity})
        assert answer.status_code == httpx.codes.CREATED, answer.text
        order: dict[str, Any] = answer.json()["order"]
        return order

    def shipped(self, page: Page, order: int) -> dict[str, Any]:
        """Waits until the worker has shipped an order; the order then."""

        def found() -> dict[str, Any]:
            seen: dict[str, Any] = page.ask("GET", f"/api/orders/{order}").json()["order"]
            return seen

        eventually(lambda: found()["state"] == "shipped", f"shipping of order {order}", READY_SECONDS)
        return found()

    def rows(self, branch: str) -> list[dict[str, Any]]:
        """The orders in a branch of the database."""
        with psycopg.connect(self.databases.uri(branch), row_factory=dict_row) as connection:
            return connection.execute("SELECT * FROM orders ORDER BY id").fetchall()

    def queued(self, pod: str = "queue-0") -> int:
        """How many jobs were ever put into a queue's server."""
        told = self.kubectl("exec", pod, "-c", "queue", "--", "redis-cli", "info", "commandstats")
        calls = [line for line in told.splitlines() if line.startswith("cmdstat_lpush:")]
        return int(calls[0].partition("calls=")[2].partition(",")[0]) if calls else 0

    def branch(self, flow: str) -> str:
        """Name of a flow's branch."""
        return f"kardinal/{self.namespace}/{flow}/{DATABASE}"

    def _at(self, prefix: str) -> Page:
        return Page(f"http://{prefix}{domain_of(self.namespace)}", self.page.address)


@contextlib.contextmanager
def adopted_shop(lab: Lab, variables: dict[str, str], neon: NeonService, folder: Path) -> Iterator[Shop]:
    """Brings the shop up and adopts it; nothing of it is left at the end.

    Args:
        lab: The lab.
        variables: Those by which programs use it.
        neon: Gets a project of its own.
        folder: Becomes the workplace.
    """
    load_demo_images(lab, images=SHOP_IMAGES)
    folder.mkdir()
    (folder / "state").mkdir()
    backend = {"PULUMI_BACKEND_URL": f"file://{folder}/state", **neon.variables}
    environment = project_environment({**variables, **backend}, Path(sys.executable).parent)
    owner = Project(project_folder(folder / "production", SHOP / "production"), environment)
    flows = Project(project_folder(folder / "flows", SHOP / "flows"), environment)
    databases = _project(neon)
    cluster = Cluster(str(lab.kubeconfig))
    try:
        with _volumes(cluster, folder / "volumes"):
            _up_production(owner, databases)
            address = f"{cluster.gateway_address(NAMESPACE, 'public')}:80"
            flows.ensure_stack("baseline")
            flows.configure("baseline", baseline_config(address, databases.project))
            flows.pulumi(*UP, "-s", "baseline")
            front = Page(f"http://{domain_of(NAMESPACE)}", address)
            eventually(lambda: front.ask("GET", "/").is_success, "the shop's page", READY_SECONDS)
            # Everything that the two stacks made is in the namespace, and goes with it.
            yield Shop(flows, cluster, databases, front, NAMESPACE)
    finally:
        cluster.close()


def baseline_config(address: str, project: str) -> dict[str, Any]:
    """The example's baseline in the tests' namespace, behind their address and on their Neon project."""
    config = yaml.safe_load((SHOP / "flows" / "Pulumi.baseline.yaml").read_text())["config"]
    text = yaml.safe_dump(config["kardinal:baseline"]).replace("shop.localhost", domain_of(NAMESPACE))
    baseline = yaml.safe_load(text) | {"application": NAMESPACE, "namespace": NAMESPACE}
    baseline["gateway"] = {"address": address, "existing": {"name": "public", "namespace": NAMESPACE}}
    baseline["databases"][DATABASE]["project"] = project
    return {**config, "kardinal:baseline": baseline}


def flow_config(name: str) -> dict[str, Any]:
    """What a flow of the example requests."""
    config = yaml.safe_load((SHOP / "flows" / f"Pulumi.{name}.yaml").read_text())["config"]
    return dict(config["kardinal:flow"])


def _up_production(owner: Project, databases: Databases) -> None:
    owner.ensure_stack("production")
    owner.configure(
        "production",
        {"shop:namespace": NAMESPACE, "shop:host": domain_of(NAMESPACE), "shop:storageClass": NAMESPACE},
    )
    owner.set_secret("production", "shop:databaseUrl", databases.uri("main"))
    owner.pulumi(*UP, "-s", "production")


def _project(neon: NeonService) -> Databases:
    branch = {"name": "main", "database_name": DATABASE, "role_name": ROLE}
    made = httpx.post(
        f"{neon.url}/projects",
        json={"project": {"name": NAMESPACE, "branch": branch}},
        headers={"Authorization": f"Bearer {neon.key}"},
        timeout=READY_SECONDS,
        trust_env=False,
    )
    assert made.status_code == httpx.codes.CREATED, made.text
    return Databases(made.json()["project"]["id"], DATABASE, ROLE, neon.url, neon.key)


@contextlib.contextmanager
def _volumes(cluster: Cluster, folder: Path) -> Iterator[None]:
    """Volumes of the node, as a provisioner would make them."""
    collection = "/api/v1/persistentvolumes"
    names = [f"{NAMESPACE}-{number}" for number in range(VOLUMES)]

    def clear() -> None:
        remove_namespace(cluster, NAMESPACE)  # a claim keeps its volume
        for name in names:
            remove(cluster, f"{collection}/{name}")

    clear()
    for name in names:
        path = folder / name
        path.mkdir(parents=True)
        os.chown(path, USER, USER)
        cluster.create(
            collection,
            {
                "apiVersion": "v1",
                "kind": "PersistentVolume",
                "metadata": {"name": name},
                "spec": {
                    "accessModes": ["ReadWriteOnce"],
                    "capacity": {"storage": "64Mi"},
                    "storageClassName": NAMESPACE,
                    "hostPath": {"path": str(path), "type": "Directory"},
                },
            },
        )
    try:
        yield
    finally:
        clear()
