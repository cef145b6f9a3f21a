"""The backend: what a flow, its guard and `kardinal reap` ask of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pulumi

from kardinal_folders.files import CONFIG, Folder
from kardinal_folders.resource import INPUTS, FoldersBranch
from kardinal_infra.databases.branch_backend import ResourceBackend
from kardinal_infra.databases.branching import Branch, BranchRequest, Capabilities, OwnedBranch
from kardinal_infra.model.base import ConfigReader
from kardinal_infra.model.names import BRANCH_ANNOTATION_STACK


class FoldersBackend(ResourceBackend):
    """Copies of SQLite files. Nobody logs in to a file, so no credential of a branch opens its parent."""

    name = "folders"
    capabilities = Capabilities(
        options=frozenset(INPUTS.INPUTS), rotates_credentials=True, config_keys=(CONFIG,)
    )
    inputs = INPUTS

    def branch(self, resource_name: str, args: Any, opts: pulumi.ResourceOptions | None) -> Branch:
        """Declares the resource."""
        return Branch.of(FoldersBranch(resource_name, args, opts))

    def require_credentials(self, request: BranchRequest, config: ConfigReader) -> None:
        """Checks that it is known where the folders are."""
        Folder.of(request.project, config)

    def discard(self, request: BranchRequest, config: ConfigReader) -> bool:
        """Removes a branch that the state may not know."""
        return Folder.of(request.project, config).remove(request.name, request.annotations)

    def owned(self, project: str, config: ConfigReader) -> list[OwnedBranch]:
        """Lists the branches that a stack has made."""
        return [
            OwnedBranch(name, name, project, marks, created_at=made)
            for name, marks, made in Folder.of(project, config).branches()
            if BRANCH_ANNOTATION_STACK in marks
        ]

    def remove(self, branch: OwnedBranch, config: ConfigReader, still: Callable[[OwnedBranch], bool]) -> bool:
        """Removes a branch that was listed, if it is still the same and to go."""
        now = [item for item in self.owned(branch.project, config) if item.branch_id == branch.branch_id]
        folder = Folder.of(branch.project, config)
        return bool(now) and still(now[0]) and folder.remove(branch.branch_id, branch.annotations)
