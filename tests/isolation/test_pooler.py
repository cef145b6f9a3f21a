"""The hand-over by a pooler on the real mesh: mutual TLS only, the egress lock, and TLS to the branch."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import psycopg
import pytest

from kardinal_infra.databases.sidecar import CONTAINER_NAME, add_pooler
from kardinal_infra.forking import branch_entry, branch_ports, fork_workload, lock_sidecar, locked_hosts
from kardinal_infra.model.names import Owner
from lab.demo_images import load_demo_images
from lab.settings import Lab
from tests.authority import Authority
from tests.e2e.bringup import NeonService, eventually, workplace
from tests.e2e.production import NEON_PROJECT
from tests.isolation.conftest import IMAGE, Kubectl, apply
from tests.isolation.guarded import deployment
from tests.pure.forked import spec
from tests.pure.samples import STACK

pytestmark = [pytest.mark.lab, pytest.mark.postgres]

POOLER = "kardinal-pgbouncer:lab"
UNCHANGED = "postgresql://production-user:production-password@{host}/votes?sslmode=require"
"""As the application has it; neither user nor password are the branch's."""

MIGRATE = """
import asyncio, sys, asyncpg
async def main():
    connection = await asyncpg.connect(sys.argv[1])
    await connection.execute("UPDATE place SET name = 'branch'")
asyncio.run(main())
"""
LOOK = """
import asyncio, json, sys, asyncpg
async def look(uri):
    # Several at once, each with statements of the same names.
    found = [await asyncpg.connect(uri, timeout=10) for _ in range(3)]
    rows = {await each.fetchval("SELECT name FROM place WHERE $1", True) for each in found * 2}
    prepared = await found[-1].fetchval("SELECT count(*) FROM pg_prepared_statements WHERE NOT from_sql")
    return [*rows, prepared > 0]
async def main():
    for uri in sys.argv[1:]:
        try:
            print(json.dumps(await look(uri)))
        except (OSError, asyncpg.PostgresError, asyncio.TimeoutError) as error:
            print(json.dumps(["closed", str(error)]))
asyncio.run(main())
"""


@dataclass(frozen=True)
class Pooled:
    """A namespace with an application and its fork, whose pooler leads to a branch.

    Attributes:
        kubectl: Asks kubectl in the namespace.
        namespace: Its name.
        parent: Connection string of the parent, by address.
    """

    kubectl: Kubectl
    namespace: str
    parent: str

    def look(self, deployment: str, *uris: str) -> list[Any]:
        """Database that answers each connection string, and whether it prepares statements."""
        inside = ("exec", f"deployment/{deployment}", "-c", "main", "--", "python3", "-c", LOOK)
        return [json.loads(line) for line in self.kubectl(*inside, *uris).splitlines()]


@pytest.fixture(scope="module")
def pooled(running: Lab, kubectl: Kubectl, namespace: str) -> Iterator[Pooled]:
    load_demo_images(running)
    authority = Authority()
    with (
        workplace() as folder,
        neon(running, folder, authority.certificate("ep-branch.neon.test")) as service,
    ):
        uris = [service.databases.uri(name) for name in ("main", "pooled")]
        [parent, branch] = map(urlsplit, uris)
        owner = Owner(STACK, namespace, "dev")
        port = branch_ports("dev", ["votes"])["votes"]
        made = replace(spec(with_migrations(), container="main", locked=True), owner=owner)
        connection = {
            "port": str(port),
            "database": "votes",
            "user": branch.username or "",
            "password": branch.password or "",
            "sslmode": "verify-full",
        }
        strict = {"mtls": {"mode": "STRICT"}}
        apply(
            kubectl,
            {
                "apiVersion": "security.istio.io/v1",
                "kind": "PeerAuthentication",
                "metadata": {"name": "all"},
                "spec": strict,
            },
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": "ca"},
                "data": {"ca.crt": authority.pem},
            },
            *parent_service(parent.hostname or "", parent.port or 0),
            secret("branch", {**connection, "host": "ep-branch.neon.test"}),
            secret("misnamed", {**connection, "host": "ep-other.neon.test"}),
            lock_sidecar(made, locked_hosts(owner, [], ["votes"], [])),
            branch_entry(owner, "votes", port, branch.hostname or "", branch.port or 0),
            deployment("web", IMAGE),
            with_poolers(fork_workload(made, {})),
        )
        kubectl("wait", "--for=condition=Available", "deployment/web", "deployment/web-dev", "--timeout=180s")
        yield Pooled(kubectl, namespace, uris[0])
        kubectl("delete", "deployment", "--all")


@contextlib.contextmanager
def neon(lab: Lab, folder: Path, pair: tuple[str, str]) -> Iterator[NeonService]:
    """A Neon service with a certificate of somebody's, and a branch `pooled` of its database."""
    (folder / "neon" / "data").mkdir(parents=True)
    (folder / "neon" / "data" / "tls.pem").write_text("".join(pair))
    service = NeonService(lab.host_address, folder / "neon", "21000-21099")
    try:
        service.start("key-of-the-tests")
        with psycopg.connect(service.databases.uri("main")) as connection:
            connection.execute("CREATE TABLE place AS SELECT 'production' AS name")
        httpx.post(
            f"{service.url}/projects/{NEON_PROJECT}/branches",
            json={"branch": {"name": "pooled"}, "endpoints": [{"type": "read_write"}]},
            headers={"Authorization": f"Bearer {service.key}"},
            trust_env=False,
        ).raise_for_status()
        eventually(lambda: answers(service.databases.uri("pooled")), "the branch", 60)
        yield service
    finally:
        service.stop()


def answers(uri: str) -> bool:
    try:
        psycopg.connect(uri).close()
    except psycopg.OperationalError:
        return False
    return True


def with_migrations() -> dict[str, Any]:
    """The baseline's Deployment, with migrations in an init container."""
    item = deployment("web", IMAGE)
    command = ["python3", "-c", MIGRATE, UNCHANGED.format(host="votes-db")]
    item["spec"]["template"]["spec"]["initContainers"] = [
        {"name": "migrate", "image": IMAGE, "command": command}
    ]
    return item


def with_poolers(fork: dict[str, Any]) -> dict[str, Any]:
    """Adds a pooler to the branch, and one to the same server by a name that its certificate lacks."""
    for secret_name, host in (("misnamed", "misnamed-db"), ("branch", "votes-db")):
        fork = add_pooler(
            fork,
            secret_name=secret_name,
            client_host=host,
            client_port=5432,
            client_database="votes",
            image=POOLER,
        )
    pod = fork["spec"]["template"]["spec"]
    pod["volumes"].append({"name": "ca", "configMap": {"name": "ca"}})
    bundle = {"name": "ca", "mountPath": "/etc/ssl/certs/ca-certificates.crt", "subPath": "ca.crt"}
    for container in pod["initContainers"]:
        if container["image"] == POOLER:
            container["volumeMounts"].append(bundle)
    # Nobody else knows these names; where they lead to the mesh decides by the port.
    names = ["ep-branch.neon.test", "ep-other.neon.test"]
    pod["hostAliases"].append({"ip": "192.0.2.1", "hostnames": names})
    return fork


def parent_service(address: str, port: int) -> list[dict[str, Any]]:
    """A name in the cluster for a database outside."""
    metadata = {"name": "votes-db", "labels": {"kubernetes.io/service-name": "votes-db"}}
    ports = [{"name": "tcp", "port": 5432, "targetPort": port}]
    return [
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "votes-db"}, "spec": {"ports": ports}},
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": metadata,
            "addressType": "IPv4",
            "ports": [{"name": "tcp", "port": port}],
            "endpoints": [{"addresses": [address]}],
        },
    ]


def secret(name: str, content: dict[str, str]) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": content}


def test_the_unchanged_connection_leads_to_the_branch(pooled: Pooled) -> None:
    # The migration of the init container came through the pooler too.
    assert pooled.look("web-dev", UNCHANGED.format(host="votes-db")) == [["branch", True]]


def test_the_branch_s_certificate_must_bear_its_name(pooled: Pooled) -> None:
    [[answer, _]] = pooled.look("web-dev", UNCHANGED.format(host="misnamed-db"))
    assert answer == "closed"
    # The client is kept waiting while the pooler tries again; why is in the pooler's log.
    log = pooled.kubectl("logs", "deployment/web-dev", "-c", CONTAINER_NAME)
    assert "name `ep-other.neon.test' not present in server certificate" in log, log


def test_the_parent_is_closed_to_the_fork_and_open_to_the_baseline(pooled: Pooled) -> None:
    parent = urlsplit(pooled.parent)
    name = f"votes-db.{pooled.namespace}.svc.cluster.local:5432"
    uris = [pooled.parent, parent._replace(netloc=f"{parent.username}:{parent.password}@{name}").geturl()]
    assert [answer for answer, _ in pooled.look("web-dev", *uris)] == ["closed", "closed"]
    assert [answer for answer, _ in pooled.look("web", *uris)] == ["production", "production"]
