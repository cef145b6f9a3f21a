"""Calls on projects, and the two that belong to a project as a whole: operations and connection URIs."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator
from http import HTTPStatus

from pydantic import SecretStr

from kardinal_infra.databases.neon.decode import decode, field
from kardinal_infra.databases.neon.errors import NeonError, NeonNotFoundError
from kardinal_infra.databases.neon.http import NeonHttp, segment
from kardinal_infra.databases.neon.models import Operation, Project
from kardinal_infra.databases.neon.operations import RUNNING, OperationWaiter
from kardinal_infra.databases.neon.pages import pages

_ID = re.compile(r"[a-z0-9-]{1,60}")

PROJECTS_A_PAGE = 400
OPERATIONS_A_PAGE = 200


class Projects:
    """Calls under `/projects`."""

    def __init__(self, http: NeonHttp) -> None:
        self._http = http

    def list(self, search: str | None = None) -> Iterator[Project]:
        """Yields the projects that the key can see.

        Args:
            search: Part of a name or id.
        """
        for page in pages(
            lambda cursor: self._http.get(
                "/projects", {"limit": PROJECTS_A_PAGE, "search": search, "cursor": cursor}
            ),
            "projects",
        ):
            for item in page["projects"]:
                yield decode(Project, item)

    def get(self, project_id: str) -> Project:
        """Reads one project.

        Raises:
            NeonNotFoundError: There is none with this id.
        """
        return decode(Project, field(self._http.get(f"/projects/{segment(project_id)}"), "project"))

    def find(self, id_or_name: str) -> Project:
        """Reads the project with this id, or the only one with exactly this name.

        Args:
            id_or_name: For example `old-violet-32930710` or `voting`.

        Raises:
            NeonNotFoundError: No project matches; the message names those the key can see.
            NeonError: Several projects have the name, or this key cannot look projects up by name.
        """
        # Neon answers 400 to what cannot be an id.
        if _ID.fullmatch(id_or_name):
            with contextlib.suppress(NeonNotFoundError):
                return self.get(id_or_name)
        try:
            visible = list(self.list())
        except NeonError as error:
            if error.status != HTTPStatus.BAD_REQUEST:
                raise
            raise NeonError(
                f"there is no Neon project with the id {id_or_name!r}, and this key cannot look projects up"
                f" by name ({error.message}): use the project's id",
                status=HTTPStatus.BAD_REQUEST,
                request_id=error.request_id,
            ) from None
        named = [project for project in visible if project.name == id_or_name]
        if len(named) == 1:
            return named[0]
        if named:
            ids = ", ".join(sorted(project.id for project in named))
            raise NeonError(f"{len(named)} Neon projects are named {id_or_name!r}: use one of the ids {ids}")
        known = ", ".join(sorted(f"{project.name} ({project.id})" for project in visible)[:10]) or "none"
        raise NeonNotFoundError(
            f"there is no Neon project with the id or name {id_or_name!r}; visible with this key: {known}",
            status=404,
        )


class Operations:
    """Calls on a project's operations, and the waiting for them."""

    def __init__(self, http: NeonHttp, waiter: OperationWaiter) -> None:
        self._http = http
        self._waiter = waiter

    def list(self, project_id: str) -> Iterator[Operation]:
        """Yields the operations of a project, newest first."""
        path = f"/projects/{segment(project_id)}/operations"
        for page in pages(
            lambda cursor: self._http.get(path, {"limit": OPERATIONS_A_PAGE, "cursor": cursor}), "operations"
        ):
            for item in page["operations"]:
                yield decode(Operation, item)

    def get(self, project_id: str, operation_id: str) -> Operation:
        """Reads one operation; one made a moment ago may take some seconds to be visible."""
        path = f"/projects/{segment(project_id)}/operations/{segment(operation_id)}"
        return decode(Operation, field(self._http.get(path, just_made=True), "operation"))

    def wait(self, operations: Iterable[Operation]) -> None:
        """Returns when all of these are done.

        Raises:
            NeonOperationError: One failed for good.
            NeonTimeoutError: They did not finish in time.
        """
        self._waiter.wait(operations, lambda operation: self.get(operation.project_id, operation.id))

    def wait_for_branch(self, project_id: str, branch_id: str) -> None:
        """Returns when nothing runs on a branch any more, whoever began it.

        Only the newest page of the project's operations is looked at: older ones are long done.
        """
        path = f"/projects/{segment(project_id)}/operations"
        page = next(pages(lambda _: self._http.get(path, {"limit": OPERATIONS_A_PAGE}), "operations"))
        newest_first = [decode(Operation, item) for item in page["operations"]]
        # An old failure of a branch that works by now is history, not a reason to stop.
        self.wait(
            operation
            for operation in reversed(newest_first)
            if operation.branch_id == branch_id and operation.status in RUNNING
        )


class Connections:
    """Connection URIs."""

    def __init__(self, http: NeonHttp) -> None:
        self._http = http

    def uri(
        self,
        project_id: str,
        *,
        branch_id: str,
        database: str,
        role: str,
        endpoint_id: str | None = None,
        pooled: bool = False,
    ) -> SecretStr:
        """Asks for the URI of one role on one database of one branch.

        The branch is required here although Neon's API makes it optional: left out, Neon answers with the
        default branch, which is production.

        Args:
            project_id: The project.
            branch_id: The branch, never guessed.
            database: Database name.
            role: Role name; its password is part of the URI.
            endpoint_id: One particular compute of the branch.
            pooled: Ask for the transaction-mode pooler instead of the compute.

        Raises:
            NeonError: The branch, database, role or compute does not exist (404), or the project does not
                store passwords (412).
        """
        if not (branch_id and database and role):
            raise NeonError("a connection URI needs an explicit branch, database and role")
        params = {
            "branch_id": branch_id,
            "database_name": database,
            "role_name": role,
            "endpoint_id": endpoint_id,
            "pooled": "true" if pooled else None,
        }
        answer = self._http.get(f"/projects/{segment(project_id)}/connection_uri", params, just_made=True)
        return SecretStr(str(field(answer, "uri")))
