"""What the branch resources of all backends do alike: they name their owner, hide secrets, refuse imports."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, ClassVar

import pulumi
import pulumi.dynamic
from pulumi.dynamic import ResourceProvider

from kardinal_infra.model.names import BRANCH_ANNOTATION_STACK


class BranchResource(pulumi.dynamic.Resource):
    """Base of the branch resources.

    Attributes:
        OUTPUTS: What the provider adds to the inputs.
        SECRET_OUTPUTS: Those of them that are secret: without the option the engine would write the
            provider's answers into the state in clear.
        INSTEAD_OF_IMPORT: What to do instead of an import, for the message.
    """

    OUTPUTS: ClassVar[Collection[str]]
    SECRET_OUTPUTS: ClassVar[Collection[str]]
    INSTEAD_OF_IMPORT: ClassVar[str] = "let a stack with the same annotations adopt it"

    def __init__(
        self,
        provider: ResourceProvider,
        resource_name: str,
        args: Mapping[str, Any],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Declares the branch, with this stack among its annotations.

        Args:
            provider: Makes it.
            resource_name: Name of the resource.
            args: Its inputs.
            opts: Options.

        Raises:
            pulumi.RunError: `opts.import_` is set.
        """
        if opts is not None and opts.import_ is not None:
            raise pulumi.RunError(
                f"{type(self).__name__} {resource_name!r}: dynamic resources cannot be imported;"
                f" {self.INSTEAD_OF_IMPORT}"
            )
        props = {**dict.fromkeys(self.OUTPUTS), **args, "annotations": _owned(args.get("annotations"))}
        secrets = pulumi.ResourceOptions(additional_secret_outputs=list(self.SECRET_OUTPUTS))
        super().__init__(provider, resource_name, props, pulumi.ResourceOptions.merge(opts, secrets))


def _owned(given: pulumi.Input[Mapping[str, pulumi.Input[str]]] | None) -> Any:
    stack = f"{pulumi.get_organization()}/{pulumi.get_project()}/{pulumi.get_stack()}"
    ours = {BRANCH_ANNOTATION_STACK: stack}
    if given is None or isinstance(given, Mapping):
        return {**(given or {}), **ours}
    return pulumi.Output.all(given).apply(lambda known: {**known[0], **ours})
