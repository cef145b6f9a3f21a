"""Any PostgreSQL server behind the branching interface."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, cast

import pulumi

from kardinal_infra.databases.branching import Branch, BranchRequest, Capabilities, OwnedBranch, unsupported
from kardinal_infra.databases.postgres import inputs
from kardinal_infra.databases.postgres.resource import PostgresBranch, PostgresBranchArgs
from kardinal_infra.databases.postgres.settings import (
    PostgresSettings,
    driver_problem,
    require_driver,
    resolve_settings,
)
from kardinal_infra.errors import ConfigError, Problem
from kardinal_infra.names import BRANCH_ANNOTATION_STACK

Config = Callable[[str], str | None]


class PostgresBackend:
    """Branches as databases of one PostgreSQL server."""

    name = "postgres"

    # Whether blocks are shared depends on the server's version and file system.
    capabilities = Capabilities(
        ttl=True, protection=True, schema_only=True, nested=True, rotates_credentials=True
    )

    def problems(self, request: BranchRequest) -> list[Problem]:
        """Lists what is wrong with a request, offline.

        Args:
            request: What is asked for.
        """
        # The owner is added when the resource is declared; every request has one.
        props = {**_args(request), "annotations": {BRANCH_ANNOTATION_STACK: "-", **request.annotations}}
        reasons = inputs.problems(props, lambda _: False, datetime.now(UTC))
        found = [Problem(name, reason) for name, reason in reasons]
        if request.api_host is not None:
            found.append(Problem("api_host", "the backend postgres has no API; leave it out"))
        if not request.rotate_password:
            found.append(Problem("rotate_password", "a branch of the backend postgres has a role of its own"))
        if problem := driver_problem():
            found.append(Problem("backend", f"the branching backend postgres {problem}"))
        return [*found, *unsupported(request, self.capabilities, self.name)]

    def declare(
        self, resource_name: str, request: BranchRequest, opts: pulumi.ResourceOptions | None = None
    ) -> Branch:
        """Declares a `PostgresBranch`.

        Args:
            resource_name: Name of the resource.
            request: What is asked for.
            opts: Options of the resource.

        Raises:
            ConfigError: The request is not one that can be fulfilled; lists every problem.
        """
        problems = self.problems(request)
        if problems:
            raise ConfigError(problems)
        made = PostgresBranch(resource_name, cast("PostgresBranchArgs", _args(request)), opts)
        return Branch.of(made, database=made.branch_database, role=made.branch_role)

    def require_credentials(self, request: BranchRequest, config: Config) -> None:
        """Checks offline that there is an administrator's URI, and the driver.

        Args:
            request: What is asked for.
            config: The stack's configuration, by `namespace:key`.

        Raises:
            PostgresSettingsError: There is none.
        """
        _settings(request.project, config)

    def discard(self, request: BranchRequest, config: Config) -> bool:
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

    def owned(self, project: str, config: Config) -> list[OwnedBranch]:
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

    def remove(self, branch: OwnedBranch, config: Config, still: Callable[[OwnedBranch], bool]) -> bool:
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


def _settings(project: str, config: Config) -> PostgresSettings:
    require_driver()
    return resolve_settings(project, config)


def _args(request: BranchRequest) -> dict[str, Any]:
    args: dict[str, Any] = {
        "project": request.project,
        "name": request.name,
        "database": request.database,
        "role": request.role,
        "parent": request.parent,
        # What else a request may say here is reported as unsupported.
        "init": "schema-only" if request.init == "schema-only" else None,
        "ttl": request.ttl,
        "expires_at": request.expires_at,
        "protected": request.protected,
        "annotations": dict(request.annotations),
        "delete_children": request.delete_children,
    }
    return {name: value for name, value in args.items() if value is not None}
