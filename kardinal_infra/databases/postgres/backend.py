"""Any PostgreSQL server behind the branching interface."""

from collections.abc import Callable, Iterable
from typing import Any

import pulumi

from kardinal_infra.databases.branch_backend import ResourceBackend
from kardinal_infra.databases.branching import Branch, BranchRequest, Capabilities, OwnedBranch
from kardinal_infra.databases.postgres import inputs
from kardinal_infra.databases.postgres.resource import PostgresBranch
from kardinal_infra.databases.postgres.settings import (
    CONFIG_NAMESPACE,
    DEFAULT_PORT,
    URI_CONFIG,
    PostgresSettings,
    driver_problem,
    require_driver,
    resolve_settings,
)
from kardinal_infra.errors import Problem
from kardinal_infra.model.base import ConfigReader


class PostgresBackend(ResourceBackend):
    """Branches as databases of one PostgreSQL server."""

    name = "postgres"

    capabilities = Capabilities(
        options=frozenset(inputs.INPUTS),
        inits=frozenset({"schema-only"}),
        rotates_credentials=True,
        sidecar_port=DEFAULT_PORT,
        project_is_server=True,
        config_keys=(f"{CONFIG_NAMESPACE}:{URI_CONFIG}",),
    )

    inputs = inputs

    def branch(self, resource_name: str, args: Any, opts: pulumi.ResourceOptions | None) -> Branch:
        """Declares a `PostgresBranch`.

        Args:
            resource_name: Name of the resource.
            args: Its inputs.
            opts: Options of the resource.
        """
        made = PostgresBranch(resource_name, args, opts)
        return Branch.of(made, database=made.branch_database, role=made.branch_role)

    def further_problems(self) -> Iterable[Problem]:
        """Lists what keeps this backend from working here: the driver is an extra of the package."""
        if problem := driver_problem():
            yield Problem("backend", f"the branching backend {self.name} {problem}")

    def require_credentials(self, request: BranchRequest, config: ConfigReader) -> None:
        """Checks offline that there is an administrator's URI, and the driver.

        Args:
            request: What is asked for.
            config: The stack's configuration, by `namespace:key`.

        Raises:
            PostgresSettingsError: There is none.
        """
        _settings(request.project, config)

    def discard(self, request: BranchRequest, config: ConfigReader) -> bool:
        """Deletes a branch that the state may not know.

        Args:
            request: What was asked for.
            config: The stack's configuration, by `namespace:key`.

        Returns:
            Whether there was one.

        Raises:
            BranchingError: There is no URI, or the branch cannot be deleted.
        """
        settings = _settings(request.project, config)
        # Imported when used: it loads the driver.
        from kardinal_infra.databases.postgres.removal import discard_branch

        return discard_branch(settings, request.name, request.annotations)

    def owned(self, project: str, config: ConfigReader) -> list[OwnedBranch]:
        """Lists the branches of all stacks on a server.

        Args:
            project: The server, as in requests.
            config: The configuration of a stack, by `namespace:key`.

        Raises:
            BranchingError: They cannot be listed.
        """
        settings = _settings(project, config)
        from kardinal_infra.databases.postgres.removal import list_owned

        return list_owned(settings, project)

    def remove(self, branch: OwnedBranch, config: ConfigReader, still: Callable[[OwnedBranch], bool]) -> bool:
        """Deletes a listed branch after one more look at it, its role included.

        Args:
            branch: As it was listed.
            config: The configuration of a stack, by `namespace:key`.
            still: Says whether the branch, as it is now, is to go.

        Returns:
            Whether it was deleted.

        Raises:
            BranchingError: It may not go, has become somebody else's, or the deletion failed.
        """
        settings = _settings(branch.project, config)
        from kardinal_infra.databases.postgres.removal import remove_owned

        return remove_owned(settings, branch, still)


def _settings(project: str, config: ConfigReader) -> PostgresSettings:
    require_driver()
    return resolve_settings(project, config)
