"""Calls on branches.

`set_as_default` is left out on purpose: nothing here may ever move production to another branch.
"""

from __future__ import annotations

import builtins
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kardinal_infra.databases.neon.decode import decode, field
from kardinal_infra.databases.neon.http import NeonHttp, segment
from kardinal_infra.databases.neon.models import (
    AnnotatedBranch,
    Annotation,
    Branch,
    BranchChange,
    BranchCreated,
    BranchOptions,
    EndpointOptions,
    Table,
    body,
)
from kardinal_infra.databases.neon.pages import pages

BRANCHES_A_PAGE = 1000


class Branches:
    """Calls under `/projects/{project}/branches`."""

    def __init__(self, http: NeonHttp) -> None:
        self._http = http

    def list(self, project_id: str, search: str | None = None) -> Iterator[AnnotatedBranch]:
        """Yields branches with their annotations, all pages.

        Args:
            project_id: The project.
            search: Part of a name or id (Neon matches substrings: filter exactly afterwards).
        """
        path = f"/projects/{segment(project_id)}/branches"

        def fetch(cursor: str | None) -> dict[str, Any]:
            return self._http.get(path, {"limit": BRANCHES_A_PAGE, "search": search, "cursor": cursor})

        for page in pages(fetch, "branches"):
            annotations = page.get("annotations")
            marks = annotations if isinstance(annotations, Mapping) else {}
            for item in page["branches"]:
                branch = decode(Branch, item)
                yield AnnotatedBranch(branch=branch, annotations=_marks(marks.get(branch.id)))

    def named(self, project_id: str, name: str) -> builtins.list[AnnotatedBranch]:
        """Returns the branches with exactly this name; more than one only if Neon lets names repeat."""
        return [found for found in self.list(project_id, search=name) if found.branch.name == name]

    def children(self, project_id: str, branch_id: str) -> builtins.list[AnnotatedBranch]:
        """Returns the branches whose parent is this one."""
        return [found for found in self.list(project_id) if found.branch.parent_id == branch_id]

    def get(self, project_id: str, branch_id: str, *, just_made: bool = False) -> AnnotatedBranch:
        """Reads one branch by id.

        Args:
            project_id: The project.
            branch_id: The branch.
            just_made: It was created a moment ago, so wait some seconds for it to become visible.

        Raises:
            NeonNotFoundError: There is none.
        """
        answer = self._http.get(_path(project_id, branch_id), just_made=just_made)
        return AnnotatedBranch(
            branch=decode(Branch, field(answer, "branch")), annotations=_marks(answer.get("annotation"))
        )

    def create(
        self,
        project_id: str,
        options: BranchOptions,
        *,
        endpoints: Sequence[EndpointOptions],
        annotations: Mapping[str, str],
    ) -> BranchCreated:
        """Starts the creation of a branch.

        Args:
            project_id: The project.
            options: Name, parent and so on.
            endpoints: Its computes; without any, nobody can connect to the branch.
            annotations: Ownership marks. No call changes them later.

        Raises:
            NeonConflictError: The name is taken.
            NeonUnknownOutcomeError: It may or may not have been created.
        """
        request = {
            "branch": body(options),
            "endpoints": [body(endpoint) for endpoint in endpoints],
            "annotation_value": dict(annotations),
        }
        return decode(BranchCreated, self._http.post(f"/projects/{segment(project_id)}/branches", request))

    def patch(self, project_id: str, branch_id: str, changes: Mapping[str, Any]) -> BranchChange:
        """Changes `name`, `protected` or `expires_at` (RFC 3339, or None to never expire)."""
        return decode(BranchChange, self._http.patch(_path(project_id, branch_id), {"branch": dict(changes)}))

    def delete(self, project_id: str, branch_id: str) -> BranchChange | None:
        """Deletes a branch.

        Returns:
            The change to wait for, or None when it was already gone (204).

        Raises:
            NeonNotFoundError: No such branch, or no such project.
        """
        answer = self._http.delete(_path(project_id, branch_id))
        return decode(BranchChange, answer) if answer else None

    def tables(
        self,
        project_id: str,
        branch_id: str,
        database: str,
        *,
        lsn: str | None = None,
        timestamp: str | None = None,
    ) -> builtins.list[Table]:
        """Returns the tables of a database.

        Args:
            project_id: The project.
            branch_id: The branch.
            database: Database name.
            lsn: As they were at this position.
            timestamp: As they were at this time, RFC 3339, instead of a position.
        """
        params = {"db_name": database, "format": "json", "lsn": lsn, "timestamp": timestamp}
        schema = field(self._http.get(_path(project_id, branch_id) + "/schema", params), "json")
        return [decode(Table, item) for item in (schema or {}).get("tables") or ()]


def _path(project_id: str, branch_id: str) -> str:
    return f"/projects/{segment(project_id)}/branches/{segment(branch_id)}"


def _marks(annotation: object) -> dict[str, str]:
    return decode(Annotation, annotation).value if isinstance(annotation, Mapping) else {}
