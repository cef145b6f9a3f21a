"""The two ways in which an operation on a resource fails."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


class OperationError(Exception):
    """The operation failed and the resource is as it was; the text is shown to the user as it stands."""


@dataclass
class PartialFailureError(Exception):
    """The resource exists but did not become what was asked; the engine keeps it and tries again later.

    Attributes:
        id: the resource's id.
        message: the failure in one sentence.
        properties: the state to keep, as Python values (`lab_plugins.common.wire`).
        reasons: what is wrong, one line each; the message itself is always the first.
        inputs: inputs to keep instead of those that were sent, or None.
    """

    id: str
    message: str
    properties: dict[str, Any]
    reasons: list[str] = field(default_factory=list)
    inputs: dict[str, Any] | None = None

    def __str__(self) -> str:
        return self.message
