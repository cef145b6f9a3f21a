"""The compute of a branch: without one nobody can connect, whatever the branch holds."""

from __future__ import annotations

import contextlib

from kardinal_infra.databases.neon.client import NeonClient
from kardinal_infra.databases.neon.models import READ_WRITE, Endpoint, EndpointOptions
from kardinal_infra.errors import BranchingError, NeonConflictError, NeonUnknownOutcomeError


def ensure_endpoint(client: NeonClient, project_id: str, branch_id: str) -> Endpoint:
    """Returns the read-write compute of a branch, made now if it has none.

    Args:
        client: The Neon client.
        project_id: The project.
        branch_id: The branch.

    Raises:
        BranchingError: It has none and gets none.
    """
    endpoint = read_write_endpoint(client, project_id, branch_id)
    if endpoint is None:
        with contextlib.suppress(NeonConflictError, NeonUnknownOutcomeError):
            client.endpoints.create(project_id, branch_id, EndpointOptions())
        client.operations.wait_for_branch(project_id, branch_id)
        endpoint = read_write_endpoint(client, project_id, branch_id)
    if endpoint is None:
        raise BranchingError(f"branch {branch_id} has no read-write compute, so nobody can connect to it")
    return endpoint


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
