"""What the models of config and of the `topology` contract are made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel

ConnectionField = Literal["uri", "pooledUri", "host", "port", "user", "password", "database"]
"""A part of a database connection that an environment variable can receive."""


ConfigReader = Callable[[str], str | None]
"""Looks a key of a stack's config up, `namespace:key`; None where it is not set."""


def _text_of_integer(value: object) -> object:
    # YAML turns an unquoted `8080` into a number; for integers nothing is lost on the way back.
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Text = Annotated[str, BeforeValidator(_text_of_integer)]
"""A string; an integer is taken as its digits."""


class StrictModel(BaseModel):
    """Base of all config and contract models: immutable, camelCase in YAML, unknown keys are errors."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        hide_input_in_errors=True,
    )

    def to_plain(self) -> dict[str, Any]:
        """Returns the model as plain JSON data with camelCase keys, without absent values."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


class DatabaseUse(StrictModel):
    """A service or a hook uses a database.

    Attributes:
        database: Key in `databases`.
        environment: Environment variable to the part of the connection that it holds.
    """

    database: Text
    environment: dict[str, ConnectionField] = Field(default_factory=dict)
