"""Neon behind the branching interface."""

from collections.abc import Callable
from typing import Any, cast

import pulumi

from kardinal_infra.databases.branching import Branch, BranchRequest, Capabilities, unsupported
from kardinal_infra.databases.neon import inputs
from kardinal_infra.databases.neon.leftovers import discard_branch, settings_from
from kardinal_infra.databases.neon.resource import NeonBranch, NeonBranchArgs
from kardinal_infra.errors import ConfigError, Problem
from kardinal_infra.names import BRANCH_ANNOTATION_STACK


class NeonBackend:
    """Branches in Neon, or in the local service that speaks its API."""

    name = "neon"

    # What this package offers of Neon; the limit of branches depends on the plan.
    capabilities = Capabilities(
        ttl=True, protection=True, pooled=True, nested=True, rotates_credentials=True, copy_on_write=True
    )

    def problems(self, request: BranchRequest) -> list[Problem]:
        """Lists what is wrong with a request, offline.

        Args:
            request: What is asked for.
        """
        # The owner is added when the resource is declared; every request has one.
        props = {**_args(request), "annotations": {BRANCH_ANNOTATION_STACK: "-", **request.annotations}}
        found = [Problem(name, reason) for name, reason in inputs.problems(props, lambda _: False)]
        return [*found, *unsupported(request, self.capabilities)]

    def declare(
        self, resource_name: str, request: BranchRequest, opts: pulumi.ResourceOptions | None = None
    ) -> Branch:
        """Declares a `NeonBranch`.

        Args:
            resource_name: Name of the resource.
            request: What is asked for.
            opts: Options of the resource.

        Raises:
            ConfigError: The request is not one that Neon can fulfil; lists every problem.
        """
        problems = self.problems(request)
        if problems:
            raise ConfigError(problems)
        made = NeonBranch(resource_name, cast("NeonBranchArgs", _args(request)), opts)
        return Branch(
            resource=made,
            branch_id=made.branch_id,
            branch_name=made.branch_name,
            parent_id=made.parent_id,
            host=made.host,
            port=made.port,
            database=made.database,
            role=made.role,
            password=made.password,
            uri=made.uri,
            pooled_uri=made.pooled_uri,
            expires_at=made.expires_at,
        )

    def require_credentials(self, request: BranchRequest, config: Callable[[str], str | None]) -> None:
        """Checks offline that there is a key.

        Args:
            request: What is asked for.
            config: The stack's configuration, by `namespace:key`.

        Raises:
            BranchingError: There is none, or the address of the API is unusable.
        """
        settings_from(config, request.api_host)

    def discard(self, request: BranchRequest, config: Callable[[str], str | None]) -> bool:
        """Deletes a branch that the state may not know.

        Args:
            request: What was asked for.
            config: The stack's configuration, by `namespace:key`.

        Returns:
            Whether there was one.

        Raises:
            BranchingError: There is no key, or the branch cannot be deleted.
        """
        return discard_branch(
            request.project, request.name, request.annotations, config, api_host=request.api_host
        )


def _args(request: BranchRequest) -> dict[str, Any]:
    args: dict[str, Any] = {
        "project": request.project,
        "name": request.name,
        "database": request.database,
        "role": request.role,
        "parent": request.parent,
        "ttl": request.ttl,
        "protected": request.protected,
        "annotations": dict(request.annotations),
        "rotate_password": request.rotate_password,
        "delete_children": request.delete_children,
        "api_host": request.api_host,
    }
    return {name: value for name, value in args.items() if value is not None}
