"""Connection URIs that are checked before anyone uses them.

The worst known accident with branching tools is a URI of production handed out as one of a branch
(create-branch-action issues 27 and 34). So an answer counts only if it names the compute of the branch.

Facts: docs/facts/neon.md#never-the-default-branch, docs/facts/neon.md#uris-may-be-missing,
docs/facts/neon.md#passwords-are-the-parents.
"""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import unquote, urlsplit

from pydantic import SecretStr

from kardinal_infra.databases.neon.client import NeonClient
from kardinal_infra.databases.neon.errors import NeonPreconditionError
from kardinal_infra.databases.neon.models import Endpoint
from kardinal_infra.errors import BranchingError


@dataclass(frozen=True)
class Connection:
    """How to reach one role's database on a branch.

    Attributes:
        host: Host of the compute.
        port: Port of the compute.
        password: The role's password on this branch.
        uri: Direct.
        pooled_uri: Through the transaction-mode pooler; equal to `uri` where there is none.
    """

    host: str
    port: int
    password: SecretStr
    uri: SecretStr
    pooled_uri: SecretStr


def connection(
    client: NeonClient,
    endpoint: Endpoint,
    *,
    database: str,
    role: str,
    password: SecretStr | None = None,
) -> Connection:
    """Asks for both URIs of a branch and checks them.

    Args:
        client: Whom to ask.
        endpoint: The read-write compute of the branch.
        database: Database name.
        role: Role name.
        password: A password set a moment ago, which the answer must hold already.

    Raises:
        BranchingError: An answer does not belong to this compute, database and role.
        NeonPreconditionError: The project does not store passwords.
    """
    direct, pooled = (
        _ask(client, endpoint, database=database, role=role, password=password, pooled=pooled)
        for pooled in (False, True)
    )
    parts = urlsplit(direct.get_secret_value())
    return Connection(
        host=endpoint.host,
        port=parts.port or 5432,
        password=SecretStr(unquote(parts.password or "")),
        uri=direct,
        pooled_uri=pooled,
    )


def _ask(
    client: NeonClient,
    endpoint: Endpoint,
    *,
    database: str,
    role: str,
    password: SecretStr | None,
    pooled: bool,
) -> SecretStr:
    deadline = client.clock.monotonic() + client.settle
    while True:
        try:
            uri = client.connections.uri(
                endpoint.project_id,
                branch_id=endpoint.branch_id,
                endpoint_id=endpoint.id,
                database=database,
                role=role,
                pooled=pooled,
            )
        except NeonPreconditionError as error:
            raise NeonPreconditionError(
                f"{error.message}; project {endpoint.project_id} does not store passwords, so no URI can be"
                " read: allow it to (store_passwords) in the project's settings",
                status=HTTPStatus.PRECONDITION_FAILED,
            ) from None
        check_uri(uri, endpoint, database=database, role=role)
        if password is None or _password(uri) == password.get_secret_value():
            return uri
        if client.clock.monotonic() >= deadline:
            raise BranchingError(
                f"Neon still answers with the old password of role {role!r} on branch {endpoint.branch_id}"
            )
        client.clock.sleep(0.5)


def check_uri(uri: SecretStr, endpoint: Endpoint, *, database: str, role: str) -> None:
    """Checks that a URI leads to one database and role on one compute, and nowhere else.

    Args:
        uri: The URI; never part of a message.
        endpoint: The compute of the branch.
        database: Database name.
        role: Role name.

    Raises:
        BranchingError: It does not; the message names the part that is wrong.
    """
    parts = urlsplit(uri.get_secret_value())
    expected = endpoint.host.lower()
    problems = []
    if parts.scheme not in {"postgres", "postgresql"}:
        problems.append(f"its scheme is {parts.scheme!r}")
    if parts.hostname not in {expected, pooled_host(endpoint)}:
        problems.append(f"it names the host {parts.hostname!r} instead of {expected!r}")
    if endpoint.port is None and not expected.startswith(endpoint.id.lower()):
        problems.append(f"the host {expected!r} is not this compute's alone, and no port tells them apart")
    elif (parts.port or 5432) != (endpoint.port or 5432):
        problems.append(f"it names the port {parts.port} instead of {endpoint.port or 5432}")
    if unquote(parts.path).removeprefix("/") != database:
        problems.append(f"it does not name the database {database!r}")
    if unquote(parts.username or "") != role:
        problems.append(f"it does not name the role {role!r}")
    if not parts.password:
        problems.append("it holds no password")
    if problems:
        raise BranchingError(
            f"Neon's connection URI is not one of branch {endpoint.branch_id} (compute {endpoint.id}):"
            f" {'; '.join(problems)}; it is not used"
        )


def pooled_host(endpoint: Endpoint) -> str:
    """Returns the host of the pooler in front of a compute: `-pooler` after the id in the first label."""
    return endpoint.host.lower().replace(endpoint.id, f"{endpoint.id}-pooler", 1)


def _password(uri: SecretStr) -> str:
    return unquote(urlsplit(uri.get_secret_value()).password or "")
