"""Reads the outputs of another stack at once, as plain values.

A `StackReference` gives its values as `Output`s, which are too late for structure: how many forks a flow has
must be known before the first resource is declared, or a preview would lie. The engine's own
`pulumi:pulumi:readStackOutputs` call (the one behind `StackReference`'s synchronous readers in other SDKs)
answers immediately, in previews too.

Fact: docs/facts/pulumi.md#outputs-are-too-late-for-structure.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi.runtime

from kardinal_infra.errors import OutputsError

FLOW_SCHEMA_VERSION = 1
"""Version of what a flow's stack exports: written by `Flow.outputs`, read by `FlowOutputs`."""

READ_TOKEN = "pulumi:pulumi:readStackOutputs"  # noqa: S105 - a function's name


@dataclass(frozen=True)
class StackOutputs:
    """What the last completed update of a stack exported.

    Attributes:
        stack: Fully qualified name, `organization/project/stack`.
        values: Outputs in clear; keep the secret ones out of logs and wrap them with `secret`.
    """

    stack: str
    values: Mapping[str, Any]

    def __repr__(self) -> str:
        """Names the outputs, never their values."""
        return f"StackOutputs(stack={self.stack!r}, names={sorted(self.values)})"

    def require(self, name: str) -> Any:
        """Returns an output that is not secret.

        Args:
            name: The output's name.

        Raises:
            OutputsError: The stack exports no such output.
        """
        if name not in self.values:
            raise OutputsError(
                f'stack "{self.stack}" exports no "{name}": run `pulumi up` on it with this version'
            )
        return self.values[name]

    def secret(self, name: str) -> pulumi.Output[Any]:
        """Returns an output as a secret.

        Args:
            name: The output's name.

        Raises:
            OutputsError: The stack exports no such output.
        """
        return pulumi.Output.secret(self.require(name))


def qualified_stack_name(name: str) -> str:
    """Completes a stack name with this program's organization and project.

    Args:
        name: `stack`, `project/stack` or `organization/project/stack`.

    Returns:
        The name in the form `organization/project/stack` that stack references need.
    """
    defaults = [pulumi.get_organization(), pulumi.get_project()]
    parts = name.split("/")
    return "/".join([*defaults[: 3 - len(parts)], *parts])


def read_stack_outputs(name: str) -> StackOutputs:
    """Reads another stack's outputs now.

    Args:
        name: As in `qualified_stack_name`.

    Raises:
        OutputsError: There is no such stack, or it cannot be read.
    """
    stack = qualified_stack_name(name)
    try:
        result = pulumi.runtime.invoke(READ_TOKEN, {"name": stack})
    except Exception as error:  # the SDK raises a bare Exception with the engine's text
        raise OutputsError(f'stack "{stack}" cannot be read: {_reason(error)}') from error
    answer: Mapping[str, Any] = result.value or {}
    outputs = _with_integers(answer.get("outputs") or {})
    return StackOutputs(stack, outputs)


def _with_integers(value: Any) -> Any:
    """Gives whole numbers back as `int`: the engine's wire format knows only floating point."""
    if isinstance(value, Mapping):
        return {key: _with_integers(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_integers(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _reason(error: Exception) -> str:
    """The engine's own words without those of the call around them, on one line."""
    text = str(error).strip().rpartition("returned an error: ")[2]
    return text.splitlines()[0] if text else type(error).__name__
