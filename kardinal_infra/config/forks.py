"""What a flow's config says about the pods of its forks: variables, containers, volumes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, PlainValidator, ValidationError, model_validator

from kardinal_infra.model.base import StrictModel, Text

VolumeChoice = Literal["empty", "readOnly"]
"""What a fork gets instead of a volume of its baseline: an empty one of its own, or the same to read only."""


class ObjectKey(StrictModel):
    """A key of a Secret or ConfigMap in the application's namespace.

    Attributes:
        name: The object.
        key: One of its keys.
    """

    name: Text
    key: Text


class EnvReference(StrictModel):
    """The value of an environment variable that stands in a Secret or a ConfigMap; exactly one is set.

    Attributes:
        secret_key_ref: In a Secret.
        config_map_key_ref: In a ConfigMap.
    """

    secret_key_ref: ObjectKey | None = None
    config_map_key_ref: ObjectKey | None = None

    @model_validator(mode="after")
    def _one(self) -> EnvReference:
        if (self.secret_key_ref is None) is (self.config_map_key_ref is None):
            raise ValueError("exactly one of secretKeyRef and configMapKeyRef")
        return self


def _env_value(value: object) -> str | EnvReference:
    if isinstance(value, (str, EnvReference)):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, Mapping):
        raise ValueError("must be a string; put it in quotes")  # noqa: TRY004 - pydantic collects ValueErrors
    try:
        return EnvReference.model_validate(value)
    except ValidationError:
        raise ValueError(
            "must be a string, or one of secretKeyRef and configMapKeyRef with name and key"
        ) from None


EnvValue = Annotated[str | EnvReference, PlainValidator(_env_value)]
"""A text, or where in the cluster it stands."""


def _valid_image(text: str) -> str:
    if not text or any(character.isspace() for character in text):
        raise ValueError("must be the name of an image, without spaces")
    return text


Image = Annotated[Text, AfterValidator(_valid_image)]
"""Name of an image."""


class ContainerPatch(StrictModel):
    """What changes in one more container or init container of a fork.

    Attributes:
        image: Its image.
        env: Environment variables to add or replace; literal values are kept secret.
        command: Replaces its command and drops its arguments.
    """

    image: Image | None = None
    env: dict[str, EnvValue] = Field(default_factory=dict, repr=False)
    command: tuple[Text, ...] | None = Field(default=None, min_length=1)
