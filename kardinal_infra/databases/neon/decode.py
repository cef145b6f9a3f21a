"""From parsed JSON to models, without letting a secret into an error."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import ValidationError

from kardinal_infra.databases.neon.errors import NeonUnexpectedAnswerError
from kardinal_infra.databases.neon.models import NeonModel

M = TypeVar("M", bound=NeonModel)


def decode(model: type[M], data: object) -> M:
    """Builds a model from an answer.

    Args:
        model: The expected type.
        data: Parsed JSON.

    Raises:
        NeonUnexpectedAnswerError: The answer does not fit; the message names the fields, not their values.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        fields = ", ".join(
            f"{'.'.join(map(str, problem['loc'])) or 'answer'} ({problem['type']})"
            for problem in error.errors()
        )
        raise NeonUnexpectedAnswerError(f"unexpected {model.__name__} in Neon's answer: {fields}") from None


def field(answer: Mapping[str, Any], name: str) -> Any:
    """Takes one required field out of an answer.

    Raises:
        NeonUnexpectedAnswerError: It is missing.
    """
    if name not in answer:
        raise NeonUnexpectedAnswerError(f"Neon's answer holds no {name!r}")
    return answer[name]
