"""Every request of the client, and every answer it is built for, keep to Neon's published document."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import httpx
import pytest

from kardinal_infra.databases.neon.branch import ensure_branch
from kardinal_infra.databases.neon.change import read_branch, update_branch
from kardinal_infra.databases.neon.client import NeonClient
from kardinal_infra.databases.neon.models import EndpointOptions
from kardinal_infra.databases.neon.removal import remove_branch
from kardinal_infra.databases.neon.settings import resolve_settings
from kardinal_infra.databases.neon.spec import BranchSpec
from kardinal_infra.errors import NeonConflictError, NeonNotFoundError
from tests.neon_local.openapi import require_contract
from tests.neon_local.server import KEY, PROJECT, Server

pytestmark = pytest.mark.postgres

SPEC = BranchSpec(
    project=PROJECT,
    name="kardinal/voting/contract/votes",
    database="votes",
    role="votes_owner",
    annotations={"kardinal-stack": "organization/kardinal/contract"},
    parent="main",
    ttl="24h",
)


class Checked(httpx.HTTPTransport):
    """The network, with every call held against the document."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = super().handle_request(request)
        response.request = request
        require_contract(response)
        return response


@pytest.fixture
def client(service: Server) -> Iterator[NeonClient]:
    environment = {"NEON_API_KEY": KEY, "NEON_API_HOST": f"http://127.0.0.1:{service.port}"}
    with NeonClient(resolve_settings(environment=environment), transport=Checked()) as made:
        yield made


def test_the_life_of_a_branch(client: NeonClient, service: Server) -> None:
    made = ensure_branch(client, SPEC)
    branch_id = made.branch.id
    with pytest.raises(NeonConflictError):
        client.endpoints.create(PROJECT, branch_id, EndpointOptions())
    assert read_branch(client, PROJECT, branch_id, database="votes", role="votes_owner") == replace(
        made, adopted=None
    )
    assert ensure_branch(client, SPEC).adopted is True
    update_branch(client, PROJECT, branch_id, replace(SPEC, ttl=None, protected=True), rotate=True)
    update_branch(client, PROJECT, branch_id, SPEC, rotate=False)
    assert remove_branch(client, PROJECT, branch_id) is True
    with pytest.raises(NeonNotFoundError):
        client.branches.get(PROJECT, branch_id)
    assert client.branches.delete(PROJECT, branch_id) is None


def test_roles_and_databases(client: NeonClient) -> None:
    made = ensure_branch(client, replace(SPEC, name="kardinal/voting/parts/votes", rotate_password=False))
    branch_id = made.branch.id
    role = client.roles.create(PROJECT, branch_id, "reader")
    client.operations.wait(role.operations)
    assert role.role.password is not None
    assert client.roles.reveal_password(PROJECT, branch_id, "reader") == role.role.password
    database = client.databases.create(PROJECT, branch_id, "extra", "reader")
    client.operations.wait(database.operations)
    assert {item.name for item in client.databases.list(PROJECT, branch_id)} == {"votes", "extra"}
    uri = client.connections.uri(PROJECT, branch_id=branch_id, database="extra", role="reader")
    assert "//reader:" in uri.get_secret_value()
    for change in (
        client.databases.delete(PROJECT, branch_id, "extra"),
        client.roles.delete(PROJECT, branch_id, "reader"),
    ):
        assert change is not None
        client.operations.wait(change.operations)
    assert "reader" not in {item.name for item in client.roles.list(PROJECT, branch_id)}
    remove_branch(client, PROJECT, branch_id)


def test_computes_are_commanded_and_removed(client: NeonClient) -> None:
    made = ensure_branch(client, replace(SPEC, name="kardinal/voting/compute/votes"))
    assert made.endpoint is not None
    for action in ("suspend", "start", "restart"):
        client.operations.wait(client.endpoints.command(PROJECT, made.endpoint.id, action).operations)
    removed = client.endpoints.delete(PROJECT, made.endpoint.id)
    assert removed is not None
    client.operations.wait(removed.operations)
    assert client.endpoints.list(PROJECT, made.branch.id) == []
    remove_branch(client, PROJECT, made.branch.id)


def test_a_branch_is_reset_to_its_parent_and_compared_with_it(client: NeonClient, service: Server) -> None:
    made = ensure_branch(client, replace(SPEC, name="kardinal/voting/reset/votes", ttl=None))
    branch_id = made.branch.id
    service.sql(branch_id, "ALTER TABLE vote ADD COLUMN weight int")
    assert "weight" in client.branches.schema(PROJECT, branch_id, "votes")
    assert "+    weight integer" in client.branches.compare_schema(PROJECT, branch_id, "votes")
    restored = client.branches.restore(PROJECT, branch_id, source_branch_id=service.main())
    client.operations.wait(restored.operations)
    assert client.branches.compare_schema(PROJECT, branch_id, "votes") == ""
    remove_branch(client, PROJECT, branch_id)
