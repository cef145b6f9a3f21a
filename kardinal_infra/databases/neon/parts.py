"""Calls on what a branch consists of: endpoints (computes), roles and databases."""

from __future__ import annotations

import builtins
from collections.abc import Mapping
from typing import Any

from pydantic import SecretStr

from kardinal_infra.databases.neon.decode import decode, field
from kardinal_infra.databases.neon.http import NeonHttp, segment
from kardinal_infra.databases.neon.models import (
    Database,
    DatabaseChange,
    Endpoint,
    EndpointChange,
    EndpointOptions,
    Role,
    RoleChange,
    body,
)


def _branch(project_id: str, branch_id: str) -> str:
    return f"/projects/{segment(project_id)}/branches/{segment(branch_id)}"


class Endpoints:
    """Calls on the computes of a branch."""

    def __init__(self, http: NeonHttp) -> None:
        self._http = http

    def list(self, project_id: str, branch_id: str) -> builtins.list[Endpoint]:
        """Returns the endpoints of one branch; their order means nothing."""
        answer = self._http.get(_branch(project_id, branch_id) + "/endpoints", just_made=True)
        return [decode(Endpoint, item) for item in field(answer, "endpoints")]

    def create(self, project_id: str, branch_id: str, options: EndpointOptions) -> EndpointChange:
        """Adds a compute to a branch.

        Raises:
            NeonConflictError: The branch already has a read-write one.
        """
        request = {"endpoint": {"branch_id": branch_id, **body(options)}}
        return decode(EndpointChange, self._http.post(f"/projects/{segment(project_id)}/endpoints", request))

    def update(self, project_id: str, endpoint_id: str, changes: Mapping[str, Any]) -> EndpointChange:
        """Changes the size or the idle time of a compute; in effect after the last operation.

        Args:
            project_id: The project.
            endpoint_id: The compute.
            changes: Fields of `EndpointOptions` but its type.
        """
        path = f"/projects/{segment(project_id)}/endpoints/{segment(endpoint_id)}"
        return decode(EndpointChange, self._http.patch(path, {"endpoint": dict(changes)}))


class Roles:
    """Calls on the roles of a branch."""

    def __init__(self, http: NeonHttp) -> None:
        self._http = http

    def list(self, project_id: str, branch_id: str) -> builtins.list[Role]:
        """Returns the roles, without passwords."""
        answer = self._http.get(_branch(project_id, branch_id) + "/roles")
        return [decode(Role, item) for item in field(answer, "roles")]

    def create(self, project_id: str, branch_id: str, name: str) -> RoleChange:
        """Creates a role; the answer holds its password.

        Args:
            project_id: The project.
            branch_id: The branch.
            name: At most 63 bytes.
        """
        answer = self._http.post(_branch(project_id, branch_id) + "/roles", {"role": {"name": name}})
        return decode(RoleChange, answer)

    def delete(self, project_id: str, branch_id: str, name: str) -> RoleChange | None:
        """Deletes a role; None when it was already gone."""
        answer = self._http.delete(f"{_branch(project_id, branch_id)}/roles/{segment(name)}")
        return decode(RoleChange, answer) if answer else None

    def reset_password(self, project_id: str, branch_id: str, name: str) -> RoleChange:
        """Gives a role a new password, valid after the last operation; open connections are dropped.

        Repeated after an unknown outcome: only the last password counts.
        """
        path = f"{_branch(project_id, branch_id)}/roles/{segment(name)}/reset_password"
        return decode(RoleChange, self._http.post(path, repeatable=True))

    def reveal_password(self, project_id: str, branch_id: str, name: str) -> SecretStr:
        """Reads a role's password.

        Raises:
            NeonError: 412 when the project does not store passwords, 404 without such a role.
        """
        path = f"{_branch(project_id, branch_id)}/roles/{segment(name)}/reveal_password"
        return SecretStr(str(field(self._http.get(path), "password")))


class Databases:
    """Calls on the databases of a branch."""

    def __init__(self, http: NeonHttp) -> None:
        self._http = http

    def list(self, project_id: str, branch_id: str) -> builtins.list[Database]:
        """Returns the databases; their order means nothing."""
        answer = self._http.get(_branch(project_id, branch_id) + "/databases")
        return [decode(Database, item) for item in field(answer, "databases")]

    def create(self, project_id: str, branch_id: str, name: str, owner: str) -> DatabaseChange:
        """Creates a database owned by an existing role."""
        request = {"database": {"name": name, "owner_name": owner}}
        return decode(DatabaseChange, self._http.post(_branch(project_id, branch_id) + "/databases", request))

    def update(self, project_id: str, branch_id: str, name: str, *, owner: str) -> DatabaseChange:
        """Gives a database to another existing role."""
        path = f"{_branch(project_id, branch_id)}/databases/{segment(name)}"
        return decode(DatabaseChange, self._http.patch(path, {"database": {"owner_name": owner}}))

    def delete(self, project_id: str, branch_id: str, name: str) -> DatabaseChange | None:
        """Deletes a database; None when it was already gone."""
        answer = self._http.delete(f"{_branch(project_id, branch_id)}/databases/{segment(name)}")
        return decode(DatabaseChange, answer) if answer else None
