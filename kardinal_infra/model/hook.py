"""A hook: a command of the user's that runs at a moment of a flow's life, on the machine that runs Pulumi."""

from __future__ import annotations

import shlex
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from kardinal_infra.model.base import DatabaseUse, StrictModel, Text
from kardinal_infra.model.names import label_problem

HookMoment = Literal["databases", "flow"]
"""When a hook's `create` runs.

`databases`: the branches are there and migrated, no fork has started. `flow`: the flow answers.
"""

SET_VARIABLES = (
    "KARDINAL_BAGGAGE",
    "KARDINAL_FLOW",
    "KARDINAL_HEADER",
    "KARDINAL_NAMESPACE",
    "KARDINAL_URL",
)
"""Environment variables that every hook gets; see `kardinal_infra.components.hooks`."""


def _one_line(value: object) -> object:
    """Quotes a program and its arguments for the shell; a text is for the shell as it is."""
    if not isinstance(value, (list, tuple)):
        return value
    if not value or not all(isinstance(part, (str, int)) and not isinstance(part, bool) for part in value):
        raise ValueError("must be a command line, or a list of a program and its arguments")
    return shlex.join(map(str, value))


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("must not be empty")
    return text


def _label(text: str) -> str:
    if problem := label_problem(text):
        raise ValueError(problem)
    return text


Command = Annotated[str, BeforeValidator(_one_line), AfterValidator(_not_blank)]
"""A line for `/bin/sh -c`; in the config also a list of a program and its arguments."""


class Hook(StrictModel):
    """A command of the user's.

    Attributes:
        name: A DNS label, unique among a flow's hooks.
        after: When `create` runs; hooks of one moment run in their order. `delete` runs in the reverse:
            before the routes go (`flow`), or between the forks and the branches (`databases`).
        create: Runs on the first `up`. A failure fails the `up`, and the next one runs it again.
        update: Runs when a command, `dir` or the environment has changed; default: `create`.
        delete: Runs on `destroy`, and before `create` when a trigger has changed.
        dir: Folder to run in, relative to the project's; default: the project's.
        environment: More environment variables. Values are kept secret in the flow's state.
        uses: Databases whose branches' connections go into its environment, secret.
        triggers: When one of these texts changes, `delete` and then `create` run.
    """

    name: Annotated[Text, AfterValidator(_label)]
    after: HookMoment = "flow"
    create: Command | None = None
    update: Command | None = None
    delete: Command | None = None
    dir: Text | None = None
    environment: dict[str, Text] = Field(default_factory=dict, repr=False)
    uses: tuple[DatabaseUse, ...] = ()
    triggers: tuple[Text, ...] = ()

    @model_validator(mode="after")
    def _does_something(self) -> Self:
        if self.create is None and self.delete is None:
            raise ValueError("a hook needs a `create` or a `delete` command")
        return self
