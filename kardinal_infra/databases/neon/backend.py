"""Neon behind the branching interface."""

from collections.abc import Callable
from typing import Any

import pulumi

from kardinal_infra.databases.branch_backend import ResourceBackend
from kardinal_infra.databases.branching import (
    Branch,
    BranchRequest,
    Capabilities,
    OwnedBranch,
)
from kardinal_infra.databases.neon import inputs
from kardinal_infra.databases.neon.leftovers import discard_branch, settings_from
from kardinal_infra.databases.neon.owned import list_owned, remove_owned
from kardinal_infra.databases.neon.resource import NeonBranch
from kardinal_infra.databases.neon.settings import CONFIG_NAMESPACE, HOST_CONFIG, KEY_CONFIG
from kardinal_infra.model.base import ConfigReader


class NeonBackend(ResourceBackend):
    """Branches in Neon, or in the local service that speaks its API."""

    name = "neon"

    capabilities = Capabilities(
        options=frozenset(inputs.INPUTS),
        inits=frozenset({"schema-only", "masked"}),
        rotates_credentials=True,
        sidecar_port=5432,
        config_keys=(f"{CONFIG_NAMESPACE}:{KEY_CONFIG}", f"{CONFIG_NAMESPACE}:{HOST_CONFIG}"),
    )
    inputs = inputs

    def branch(self, resource_name: str, args: Any, opts: pulumi.ResourceOptions | None) -> Branch:
        """Declares a `NeonBranch`.

        Args:
            resource_name: Name of the resource.
            args: Its inputs.
            opts: Options of the resource.
        """
        return Branch.of(NeonBranch(resource_name, args, opts))

    def require_credentials(self, request: BranchRequest, config: ConfigReader) -> None:
        """Checks offline that there is a key.

        Args:
            request: What is asked for.
            config: The stack's configuration, by `namespace:key`.

        Raises:
            BranchingError: There is none, or the address of the API is unusable.
        """
        settings_from(config, request.api_host)

    def discard(self, request: BranchRequest, config: ConfigReader) -> bool:
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

    def owned(self, project: str, config: ConfigReader) -> list[OwnedBranch]:
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
        config: ConfigReader,
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
