"""Neon behind the branching interface."""

from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, cast

import pulumi

from kardinal_infra.databases.branching import (
    Branch,
    BranchRequest,
    Capabilities,
    Compute,
    MaskingRule,
    OwnedBranch,
    unsupported,
)
from kardinal_infra.databases.neon import inputs
from kardinal_infra.databases.neon.leftovers import discard_branch, settings_from
from kardinal_infra.databases.neon.owned import list_owned, remove_owned
from kardinal_infra.databases.neon.resource import NeonBranch, NeonBranchArgs
from kardinal_infra.errors import ConfigError, Problem
from kardinal_infra.names import BRANCH_ANNOTATION_STACK


class NeonBackend:
    """Branches in Neon, or in the local service that speaks its API."""

    name = "neon"

    # What this package offers of Neon; the limit of branches depends on the plan.
    capabilities = Capabilities(
        ttl=True,
        self_expiring=True,
        protection=True,
        point_in_time=True,
        schema_only=True,
        masking=True,
        pooled=True,
        nested=True,
        rotates_credentials=True,
        compute=True,
        databases=True,
        roles=True,
        copy_on_write=True,
    )

    def problems(self, request: BranchRequest) -> list[Problem]:
        """Lists what is wrong with a request, offline.

        Args:
            request: What is asked for.
        """
        # The owner is added when the resource is declared; every request has one.
        props = {**_args(request), "annotations": {BRANCH_ANNOTATION_STACK: "-", **request.annotations}}
        problems = inputs.problems(props, lambda _: False, datetime.now(UTC))
        found = [Problem(name, reason) for name, reason in problems]
        return [*found, *unsupported(request, self.capabilities, self.name)]

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
        return Branch.of(made)

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

    def owned(self, project: str, config: Callable[[str], str | None]) -> list[OwnedBranch]:
        """Lists the branches of a project that a stack of ours made.

        Args:
            project: Project id or name.
            config: The configuration of a stack, by `namespace:key`.

        Raises:
            BranchingError: There is no key, no such project, or a call failed.
        """
        return list_owned(settings_from(config), project)

    def remove(
        self,
        branch: OwnedBranch,
        config: Callable[[str], str | None],
        still: Callable[[OwnedBranch], bool],
    ) -> bool:
        """Deletes a branch that `owned` has listed, after one more look at it.

        Args:
            branch: As it was listed.
            config: The configuration of a stack, by `namespace:key`.
            still: Says of the branch as it is now whether it is to go.

        Returns:
            Whether it was deleted.

        Raises:
            BranchingError: It may not go, or the deletion failed.
        """
        return remove_owned(settings_from(config), branch, still)


def _args(request: BranchRequest) -> dict[str, Any]:
    args: dict[str, Any] = {
        "project": request.project,
        "name": request.name,
        "database": request.database,
        "role": request.role,
        "parent": request.parent,
        "parent_timestamp": request.parent_timestamp,
        "parent_lsn": request.parent_lsn,
        "init": None if request.init == "data" else request.init,
        "masking_rules": [_given(rule) for rule in request.masking_rules] or None,
        "ttl": request.ttl,
        "expires_at": request.expires_at,
        "compute": None if request.compute is None else _given(request.compute),
        "databases": dict(request.databases) or None,
        "roles": list(request.roles) or None,
        "protected": request.protected,
        "annotations": dict(request.annotations),
        "rotate_password": request.rotate_password,
        "delete_children": request.delete_children,
        "api_host": request.api_host,
    }
    return {name: value for name, value in args.items() if value is not None}


def _given(part: MaskingRule | Compute) -> dict[str, Any]:
    return {name: value for name, value in asdict(part).items() if value is not None}
