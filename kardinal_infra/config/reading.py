"""From plain values to pydantic models, with every mistake as a `Problem` a user can act on.

Values never appear in messages: config may hold secrets.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from typing import Any, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from kardinal_infra.errors import Problem
from kardinal_infra.store import USE_TAGS

Model = TypeVar("Model", bound=BaseModel)

_REPAIRS = 10
PLACEHOLDER = "unreadable"
"""Stands for a required text that is missing, so that the rest can be read."""

SUGGESTED = 20
"""Unknown names of one kind that are compared with all known ones, which costs: nobody reads thousands."""

_MESSAGES = {
    "missing": "required, but missing",
    "string_type": "must be a string; put it in quotes",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "dict_type": "must be a mapping",
    "model_type": "must be a mapping",
    "model_attributes_type": "must be a mapping",
    "tuple_type": "must be a list",
    "too_short": "must not be empty",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
}


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Returns a suffix for messages about an unknown name: `; did you mean "x"?`, or nothing.

    Args:
        name: What was written.
        known: What is allowed.
    """
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f'; did you mean "{close[0]}"?' if close else ""


def dotted(key: str, location: Sequence[str | int]) -> str:
    """Writes a path like `kardinal:flow.services.web.ports[0]`.

    Args:
        key: The config key.
        location: Keys and indices below it.
    """
    return key + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)


def read_model(model: type[Model], value: object, key: str) -> tuple[Model | None, list[Problem]]:
    """Reads a value into a model and goes on after mistakes.

    Args:
        model: The model's class.
        value: Plain data, as Pulumi's config gives it.
        key: Config key, the beginning of every path.

    Returns:
        The model and no problem; or the problems and, where possible, a model of what could be read, so that
        later checks can name their problems in the same error.
    """
    if value is None:
        return None, [Problem(key, "required, but missing in the stack's config")]
    if not isinstance(value, Mapping):
        return None, [Problem(key, "must be a mapping")]
    try:
        return model.model_validate(value), []
    except ValidationError as error:
        details = _details(error)
        problems = [
            _problem(model, detail, key, suggest=place < SUGGESTED) for place, detail in enumerate(details)
        ]
        return _repaired(model, value, details), problems


def _problem(model: type[BaseModel], detail: ErrorDetails, key: str, *, suggest: bool) -> Problem:
    location, kind = detail["loc"], detail["type"]
    context = detail.get("ctx", {})
    if kind == "extra_forbidden":
        known = _keys_at(model, location[:-1]) if suggest else ()
        message = "unknown key" + did_you_mean(str(location[-1]), known)
    elif kind == "value_error":
        message = str(context["error"])
    elif kind == "literal_error":
        message = f"must be {context['expected']}".replace("'", '"')
    else:
        message = _MESSAGES[kind].format_map(context) if kind in _MESSAGES else detail["msg"]
    return Problem(dotted(key, location), message)


def _keys_at(model: type[BaseModel], location: Sequence[str | int]) -> list[str]:
    """The keys that the model at a location of another model knows."""
    current: Any = model
    for part in location:
        current = _unwrap(current)
        if isinstance(current, type) and issubclass(current, BaseModel):
            by_alias = {info.alias or name: info.annotation for name, info in current.model_fields.items()}
            current = by_alias.get(str(part))
        else:
            arguments = get_args(current)
            current = arguments[-1] if get_origin(current) is dict else arguments[0]
    current = _unwrap(current)
    return [info.alias or name for name, info in current.model_fields.items()]


def _unwrap(annotation: Any) -> Any:
    """The model or container inside `X | None`."""
    if isinstance(annotation, type) or get_origin(annotation) in {dict, tuple}:
        return annotation
    return next(_unwrap(inner) for inner in get_args(annotation) if inner is not type(None))


def _repaired(model: type[Model], value: Mapping[str, Any], details: list[ErrorDetails]) -> Model | None:
    """The model without what was wrong: unusable values dropped, required ones replaced by a placeholder."""
    plain = deepcopy(dict(value))
    for _ in range(_REPAIRS):
        # Backwards, so that removing an item of a list does not move those still to be removed.
        for detail in reversed(details):
            _remove(plain, detail["loc"], missing=detail["type"] == "missing")
        try:
            return model.model_validate(plain)
        except ValidationError as error:
            details = _details(error)
    return None


def _details(error: ValidationError) -> list[ErrorDetails]:
    details = error.errors(include_url=False, include_input=False)
    for detail in details:
        detail["loc"] = tuple(part for part in detail["loc"] if part not in USE_TAGS)
    return details


def _remove(plain: Any, location: Sequence[str | int], *, missing: bool) -> None:
    parents: list[Any] = [plain]
    for part in location[:-1]:
        try:
            parents.append(parents[-1][part])
        except (KeyError, IndexError, TypeError):
            return  # removed already, together with something around it
    holder, last = parents[-1], location[-1]
    if missing and isinstance(holder, dict):
        holder[str(last)] = PLACEHOLDER
    elif isinstance(holder, dict) and holder.get(str(last)) == PLACEHOLDER and len(parents) > 1:
        # A placeholder does not do here: give up what it is a part of.
        parents[-2].pop(location[-2])
    elif isinstance(holder, dict):
        holder.pop(last, None)
    elif isinstance(holder, list) and isinstance(last, int) and last < len(holder):
        holder.pop(last)
