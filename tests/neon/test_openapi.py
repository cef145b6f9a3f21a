"""Every request of the client, and every answer it is built for, keep to Neon's published document."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, LiteralString

import httpx
import psycopg
import pytest

from kardinal_infra.databases.neon.branch import ensure_branch
from kardinal_infra.databases.neon.change import read_branch, update_branch
from kardinal_infra.databases.neon.client import NeonClient
from kardinal_infra.databases.neon.errors import NeonConflictError, NeonNotFoundError
from kardinal_infra.databases.neon.models import EndpointOptions, Operation
from kardinal_infra.databases.neon.removal import remove_branch
from kardinal_infra.databases.neon.settings import resolve_settings
from kardinal_infra.databases.neon.spec import BranchSpec, BranchView, Former
from kardinal_infra.databases.request import Compute, MaskingRule
from kardinal_infra.errors import BranchingError
from kardinal_neon_local.testing.contract import require_contract
from kardinal_neon_local.testing.server import KEY, PROJECT, Server
from tests.neon.wanted import replace

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


class Wire:
    """Calls of the API that the package does not make, held against the document all the same."""

    def __init__(self, service: Server, client: NeonClient) -> None:
        self._client = client
        self._http = httpx.Client(
            base_url=f"http://127.0.0.1:{service.port}/api/v2/projects/{PROJECT}",
            headers={"authorization": f"Bearer {KEY}"},
            transport=Checked(),
        )

    def get(self, path: str, **params: str) -> dict[str, Any]:
        return dict(self._http.get(path, params=params).raise_for_status().json())

    def change(self, method: str, path: str, body: object = None) -> None:
        """Makes a change and waits until it is in effect."""
        answer = self._http.request(method, path, json=body).raise_for_status().json()
        self._client.operations.wait([Operation.model_validate(item) for item in answer["operations"]])

    def close(self) -> None:
        self._http.close()


@pytest.fixture
def wire(service: Server, client: NeonClient) -> Iterator[Wire]:
    made = Wire(service, client)
    yield made
    made.close()


def test_computes_are_commanded_and_removed(client: NeonClient, wire: Wire) -> None:
    made = ensure_branch(client, replace(SPEC, name="kardinal/voting/compute/votes"))
    assert made.endpoint is not None
    for action in ("suspend", "start", "restart"):
        wire.change("POST", f"/endpoints/{made.endpoint.id}/{action}")
    wire.change("DELETE", f"/endpoints/{made.endpoint.id}")
    assert client.endpoints.list(PROJECT, made.branch.id) == []
    remove_branch(client, PROJECT, made.branch.id)


def test_a_branch_is_reset_to_its_parent_and_compared_with_it(
    client: NeonClient, wire: Wire, service: Server
) -> None:
    made = ensure_branch(client, replace(SPEC, name="kardinal/voting/reset/votes", ttl=None))
    branch = f"/branches/{made.branch.id}"
    service.sql(made.branch.id, "ALTER TABLE vote ADD COLUMN weight int")
    assert "weight" in wire.get(f"{branch}/schema", db_name="votes", format="sql")["sql"]
    compared = wire.get(f"{branch}/compare_schema", db_name="votes")
    assert "+    weight integer" in compared["diff"]
    wire.change("POST", f"{branch}/restore", {"source_branch_id": service.main()})
    assert not wire.get(f"{branch}/compare_schema", db_name="votes").get("diff")
    remove_branch(client, PROJECT, made.branch.id)


def rows(view: BranchView, statement: LiteralString) -> list[tuple[object, ...]]:
    assert view.connection is not None
    with psycopg.connect(view.connection.uri.get_secret_value(), autocommit=True) as connection:
        return connection.execute(statement).fetchall()


def test_a_schema_only_branch_has_tables_and_no_rows(client: NeonClient, service: Server) -> None:
    spec = replace(SPEC, name="kardinal/voting/empty/votes", init="schema-only")
    made = ensure_branch(client, spec)
    assert (made.branch.parent_id, made.parent_id) == (None, service.main())
    assert rows(made, "SELECT count(*) FROM vote") == [(0,)]
    assert ensure_branch(client, spec).branch.id == made.branch.id
    update_branch(client, PROJECT, made.branch.id, spec, rotate=True)
    assert service.sql(service.main(), "SELECT count(*) FROM vote") == [(300,)]
    assert remove_branch(client, PROJECT, made.branch.id) is True


def test_a_branch_with_a_size_databases_and_roles_of_its_own(client: NeonClient, service: Server) -> None:
    spec = replace(
        SPEC,
        name="kardinal/voting/extras/votes",
        compute=Compute(max_units=2, suspend_after="10m"),
        databases={"audit": "auditor"},
        roles=("auditor", "reader"),
    )
    made = ensure_branch(client, spec)
    assert made.endpoint is not None
    assert (made.endpoint.autoscaling_limit_max_cu, made.endpoint.suspend_timeout_seconds) == (2, 600)
    assert made.connection is not None
    password = made.extras.passwords["auditor"].get_secret_value()
    target: dict[str, Any] = {"host": made.connection.host, "port": made.connection.port, "user": "auditor"}
    with psycopg.connect(**target, password=password, dbname="audit") as connection:
        connection.execute("CREATE TABLE entry (id int)")
    former = Former(frozenset({"suspend_timeout_seconds"}), frozenset({"audit"}), frozenset(spec.roles or ()))
    less = replace(spec, compute=Compute(max_units=1), databases={}, roles=("reader",))
    updated = update_branch(client, PROJECT, made.branch.id, less, rotate=False, former=former)
    assert updated.endpoint is not None
    assert updated.endpoint.autoscaling_limit_max_cu == 1
    assert {item.name for item in client.databases.list(PROJECT, made.branch.id)} == {"votes"}
    assert {item.name for item in client.roles.list(PROJECT, made.branch.id)} == {"votes_owner", "reader"}
    remove_branch(client, PROJECT, made.branch.id)


def test_the_columns_and_keys_of_a_table_are_read(client: NeonClient, service: Server) -> None:
    [vote] = client.branches.tables(PROJECT, service.main(), "votes")
    assert (vote.schema_name, vote.name) == ("public", "vote")
    assert [column.name for column in vote.columns] == ["id", "choice"]
    assert [(item.type, item.columns) for item in vote.constraints] == [("primary_key", ["id"])]


CHOICE = MaskingRule(table="vote", column="choice", value="masked")


def test_a_masked_branch_holds_no_choice_of_anybody(client: NeonClient, service: Server) -> None:
    spec = replace(SPEC, name="kardinal/voting/masked/votes", init="masked", masking_rules=(CHOICE,))
    made = ensure_branch(client, spec)
    assert rows(made, "SELECT DISTINCT choice FROM vote") == [("masked",)]
    assert rows(made, "SELECT count(*) FROM vote") == [(300,)]
    assert client.anonymized.rules(PROJECT, made.branch.id) == list(spec.rules)
    assert ensure_branch(client, spec).branch.id == made.branch.id
    update_branch(client, PROJECT, made.branch.id, spec, rotate=True)
    assert read_branch(client, PROJECT, made.branch.id, database="votes", role="votes_owner") is not None
    assert service.sql(service.main(), "SELECT DISTINCT choice FROM vote") == [("cat",)]
    assert remove_branch(client, PROJECT, made.branch.id) is True


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"column": "mail"}, r"votes.public.vote has no column 'mail' \(it has id, choice\)"),
        ({"value": None, "function": "anon.nonsense()"}, r"anon\.nonsense"),
    ],
)
def test_what_cannot_be_masked_leaves_nothing(
    client: NeonClient, change: dict[str, Any], message: str
) -> None:
    rule = CHOICE.model_copy(update=change)
    spec = replace(SPEC, name="kardinal/voting/unmasked/votes", init="masked", masking_rules=(rule,))
    with pytest.raises(BranchingError, match=message):
        ensure_branch(client, spec)
    assert client.branches.named(PROJECT, spec.name) == []
