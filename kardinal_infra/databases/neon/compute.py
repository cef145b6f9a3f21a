"""The compute of a branch: without one nobody can connect, whatever the branch holds.

Fact: docs/facts/neon.md#no-compute-no-connection.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection
from typing import Any

from kardinal_infra.databases.neon.client import NeonClient
from kardinal_infra.databases.neon.errors import NeonConflictError, NeonUnknownOutcomeError
from kardinal_infra.databases.neon.models import READ_WRITE, Endpoint, EndpointOptions, body
from kardinal_infra.errors import BranchingError


def ensure_endpoint(
    client: NeonClient, project_id: str, branch_id: str, options: EndpointOptions | None = None
) -> Endpoint:
    """Returns the read-write compute of a branch, made now if it has none.

    Args:
        client: The Neon client.
        project_id: The project.
        branch_id: The branch.
        options: Size of a new one; default: the project's.

    Raises:
        BranchingError: It has none and gets none.
    """
    endpoint = read_write_endpoint(client, project_id, branch_id)
    if endpoint is None:
        with contextlib.suppress(NeonConflictError, NeonUnknownOutcomeError):
            client.endpoints.create(project_id, branch_id, options or EndpointOptions())
        client.operations.wait_for_branch(project_id, branch_id)
        endpoint = read_write_endpoint(client, project_id, branch_id)
    if endpoint is None:
        raise BranchingError(f"branch {branch_id} has no read-write compute, so nobody can connect to it")
    return endpoint


def resize(
    client: NeonClient, endpoint: Endpoint, options: EndpointOptions, released: Collection[str] = ()
) -> Endpoint:
    """Brings a compute to the wanted size and idle time, and waits until that is in effect.

    Args:
        client: The Neon client.
        endpoint: The compute.
        options: What is wanted; what is None there stays as it is.
        released: Fields of `EndpointOptions` that nobody asks for any more: they get the project's default.

    Returns:
        The compute afterwards.
    """
    wanted = size_of(options)
    if released:
        wanted = {**_defaults(client, endpoint.project_id, released), **wanted}
    changes = {name: value for name, value in wanted.items() if getattr(endpoint, name) != value}
    if not changes:
        return endpoint
    changed = client.endpoints.update(endpoint.project_id, endpoint.id, changes)
    client.operations.wait(changed.operations)
    return read_write_endpoint(client, endpoint.project_id, endpoint.branch_id) or changed.endpoint


def size_of(options: EndpointOptions) -> dict[str, Any]:
    """Returns what options say about size and idle time, by the names of Neon's API."""
    return {name: value for name, value in body(options).items() if name != "type"}


def read_write_endpoint(client: NeonClient, project_id: str, branch_id: str) -> Endpoint | None:
    """Returns the compute of a branch that takes writes, or None. A branch has at most one.

    Args:
        client: Where to look.
        project_id: The project.
        branch_id: The branch.
    """
    for endpoint in client.endpoints.list(project_id, branch_id):
        if endpoint.type == READ_WRITE and endpoint.branch_id == branch_id:
            return endpoint
    return None


def _defaults(client: NeonClient, project_id: str, names: Collection[str]) -> dict[str, Any]:
    settings = client.projects.get(project_id).default_endpoint_settings.model_dump(exclude_none=True)
    # 0 is Neon's own word for "the default"; for sizes there is none.
    settings.setdefault("suspend_timeout_seconds", 0)
    return {name: settings[name] for name in names if name in settings}
