"""What the backends do alike whose branches are resources of a dynamic provider with declared inputs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, ClassVar

import pulumi

from kardinal_infra.databases.branch_provider import Inputs
from kardinal_infra.databases.branching import Branch, BranchRequest, Capabilities, unsupported
from kardinal_infra.errors import ConfigError, Problem
from kardinal_infra.model.names import BRANCH_ANNOTATION_STACK


class ResourceBackend(ABC):
    """Base of such backends; the rest of `BranchingBackend` is each one's own.

    Attributes:
        name: As in `BranchingBackend`.
        capabilities: As in `BranchingBackend`.
        inputs: What the resource declares; a request is turned into them by their names.
    """

    name: ClassVar[str]
    capabilities: ClassVar[Capabilities]
    inputs: Inputs

    @abstractmethod
    def branch(self, resource_name: str, args: Any, opts: pulumi.ResourceOptions | None) -> Branch:
        """Declares the resource.

        Args:
            resource_name: Its name.
            args: Its inputs.
            opts: Its options.
        """

    def further_problems(self) -> Iterable[Problem]:
        """Lists what keeps this backend from working here at all, such as a missing driver."""
        return ()

    def problems(self, request: BranchRequest) -> list[Problem]:
        """Lists what is wrong with a request, offline.

        Args:
            request: What is asked for.
        """
        missing = unsupported(request, self.capabilities, self.name)
        told = {problem.path for problem in missing}
        # The owner is added when the resource is declared; every request has one.
        props = {
            **self._args(request),
            "annotations": {BRANCH_ANNOTATION_STACK: "-", **request.annotations},
        }
        reasons = self.inputs.problems(props, lambda _: False, datetime.now(UTC))
        found = [Problem(name, reason) for name, reason in reasons if name not in told]
        return [*found, *self.further_problems(), *missing]

    def declare(
        self, resource_name: str, request: BranchRequest, opts: pulumi.ResourceOptions | None = None
    ) -> Branch:
        """Declares the resource that makes, keeps and deletes the branch.

        Args:
            resource_name: Name of the resource.
            request: What is asked for.
            opts: Options of the resource.

        Raises:
            ConfigError: The request is not one that can be fulfilled; lists every problem.
        """
        if problems := self.problems(request):
            raise ConfigError(problems)
        return self.branch(resource_name, self._args(request), opts)

    def _args(self, request: BranchRequest) -> dict[str, Any]:
        """What the request says of the resource's inputs; the rest is told as unsupported."""
        return {name: value for name, value in request.to_plain().items() if name in self.inputs.INPUTS}
