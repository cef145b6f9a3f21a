"""A whole flow on an application whose database is a plain PostgreSQL server."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from kardinal_infra.databases.postgres.marks import read_marks
from lab.demo_app import Databases
from lab.demo_cluster import differences
from lab.settings import Lab
from tests.databases.server import OWNER_PASSWORD, PostgresServer, postgres_server
from tests.e2e import bringup
from tests.e2e.production import Production

pytestmark = [pytest.mark.lab, pytest.mark.engine]

NAMESPACE = "voting-postgres"
MARKS = "SELECT rolname, shobj_description(oid, 'pg_authid') FROM pg_roles"


@dataclass(frozen=True, repr=False)
class OnServer(Databases):
    """The server's databases: production's, and those with the marks of a branch."""

    server: PostgresServer | None = None

    def branches(self) -> dict[str, str]:
        """Name to database."""
        assert self.server is not None
        marks = {role: read_marks(comment) for role, comment in self.server.sql(MARKS)}
        return {found.branch: role for role, found in marks.items() if found is not None}

    def uri(self, branch: str) -> str:
        """The application's own of production's, the administrator's of branches."""
        assert self.server is not None
        if branch == "main":
            return self.server.uri("votes", "votes_owner", OWNER_PASSWORD)
        return self.server.uri(self.branches()[branch])


@dataclass(frozen=True)
class Plain:
    """A server as the parent of flows' branches.

    Attributes:
        server: It.
        path: Of programs, its own pg_dump first.
    """

    server: PostgresServer
    path: str

    @property
    def variables(self) -> dict[str, str]:
        return {
            "KARDINAL_POSTGRES_URI": self.server.uri(),
            "PATH": f"{self.server.programs.directory}:{self.path}",
        }

    @property
    def databases(self) -> Databases:
        return OnServer("", "votes", "votes_owner", "", "", self.server)

    def configure(self, database: dict[str, Any]) -> None:
        del database["parent"]
        database |= {"backend": "postgres", "project": self.server.address}


@pytest.fixture
def server(lab: Lab) -> Iterator[PostgresServer]:
    """On the machine's end of the lab's link, where pods reach it."""
    with postgres_server(host=lab.host_address) as started:
        started.sql(f"CREATE ROLE votes_owner LOGIN PASSWORD '{OWNER_PASSWORD}'")
        started.sql("CREATE DATABASE votes OWNER votes_owner")
        yield started


@pytest.fixture
def adopted(lab: Lab, lab_environment: dict[str, str], server: PostgresServer) -> Iterator[Production]:
    """The voting app on it."""
    parent = Plain(server, lab_environment["PATH"])
    with (
        bringup.workplace() as folder,
        bringup.adopted(lab, lab_environment, parent, folder, NAMESPACE) as production,
    ):
        yield production


def test_a_killed_up_converges_and_the_branch_is_the_flows_alone(
    adopted: Production, server: PostgresServer
) -> None:
    before, databases, roles = adopted.objects(), server.databases(), server.roles()
    counts = adopted.page.look().counts
    assert counts == adopted.databases.votes("main")
    name = "plain"
    adopted.declare_flow(name)

    adopted.kill_up(name, lambda line: "postgres:Branch" in line and "creating" in line)
    adopted.up(name)

    page = adopted.flow_page(name)
    assert page.look().fork == f"voting-app-ui-{name}"
    assert page.look().counts == {**counts, "Parrots": 0}
    page.vote("Parrots", 2)
    adopted.page.vote("Dogs")
    assert adopted.databases.votes(adopted.branch(name)) == {**counts, "Parrots": 2}
    assert adopted.databases.votes("main") == {**counts, "Dogs": counts["Dogs"] + 1}
    # One branch, whatever the killed run had made of it; the state knows it and no password of it.
    [branch] = adopted.databases.branches().values()
    assert sorted(server.databases()) == sorted([*databases, branch])
    assert sorted(server.roles()) == sorted([*roles, branch])
    outputs = adopted.project.outputs(name)
    assert outputs["databases"]["votes"]["branchId"] == branch
    assert outputs["databases"]["votes"]["parentId"] == "votes"
    adopted.up(name, "--expect-no-changes")

    adopted.destroy(name)
    assert (server.databases(), server.roles()) == (databases, roles)
    assert differences(before, adopted.objects()) == []
    assert adopted.page.look().status == 200
