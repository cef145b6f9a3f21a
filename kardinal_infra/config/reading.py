"""From plain values to pydantic models, with every mistake as a `Problem` a user can act on.

Values never appear in messages: config may hold secrets.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from itertools import count
from typing import Any, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from kardinal_infra.errors import Problem
from kardinal_infra.model.store import USE_TAGS

Model = TypeVar("Model", bound=BaseModel)
Part = TypeVar("Part")

_REPAIRS = 10
_PLACEHOLDER = "unreadable-"
"""Begins what stands for a required text that is missing, so that the rest can be read.

It passes for a name, and a number makes each one another: two that are missing are not the same.
"""

SUGGESTED = 20
"""Unknown names of one kind that are compared with all known ones, which costs: nobody reads thousands."""

_MESSAGES = {
    "extra_forbidden": "unknown key",
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


def unknown_names(
    what: str, references: Iterable[tuple[str, str]], known: Collection[str]
) -> Iterator[Problem]:
    """Finds references that lead nowhere.

    Args:
        what: What they name, for the messages.
        references: Path and name of each.
        known: The names that there are.
    """
    unknown = [(path, name) for path, name in references if name not in known]
    for place, (path, name) in enumerate(unknown):
        more = did_you_mean(name, known) if place < SUGGESTED else ""
        yield Problem(path, f'unknown {what} "{name}"{more}')


def dotted(key: str, location: Sequence[str | int]) -> str:
    """Writes a path like `kardinal:flow.services.web.ports[0]`.

    Args:
        key: The config key.
        location: Keys and indices below it.
    """
    return key + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)


def whole(parts: Mapping[str, Part], path: str, problems: Iterable[Problem]) -> dict[str, Part]:
    """Returns those parts of a config of which everything could be read.

    A check that concludes from what is *not* there is for these: what could not be read may hold it.

    Args:
        parts: By name.
        path: Where they stand.
        problems: What reading found.
    """
    touched: set[str] = set()
    for problem in problems:
        touched.update(problem.places() if problem.unread else ())
    return {name: part for name, part in parts.items() if dotted(path, [name]) not in touched}


def read_model(model: type[Model], value: object, key: str) -> tuple[Model | None, list[Problem]]:
    """Reads a value into a model and goes on after mistakes.

    Args:
        model: The model's class.
        value: Plain data, as Pulumi's config gives it.
        key: Config key, the beginning of every path.

    Returns:
        The model and no problem; or the problems and, where possible, a model of what could be read, so that
        later checks can name their problems in the same error. They are `unread`: `ConfigError` drops what
        those checks say of the same value.
    """
    if value is None:
        return None, [Problem(key, "required, but missing in the stack's config", unread=True)]
    if not isinstance(value, Mapping):
        return None, [Problem(key, "must be a mapping", unread=True)]
    try:
        return model.model_validate(value), []
    except ValidationError as error:
        details = _details(error)
        problems = [
            _problem(model, detail, key, suggest=place < SUGGESTED) for place, detail in enumerate(details)
        ]
        return _repaired(model, value, details), problems


def _problem(model: type[BaseModel], detail: ErrorDetails, key: str, *, suggest: bool) -> Problem:
    location, message = detail["loc"], sentence(detail)
    if detail["type"] == "extra_forbidden":
        known = _keys_at(model, location[:-1]) if suggest else ()
        message += did_you_mean(str(location[-1]), known)
    return Problem(dotted(key, location), message, unread=True)


def sentence(detail: ErrorDetails) -> str:
    """Says what one of pydantic's findings means to the user, without the value.

    Args:
        detail: The finding.
    """
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "value_error":
        return str(context["error"])
    if kind == "literal_error":
        return f"must be {context['expected']}".replace("'", '"')
    return _MESSAGES[kind].format_map(context) if kind in _MESSAGES else detail["msg"]


def _keys_at(model: type[BaseModel], location: Sequence[str | int]) -> list[str]:
    """The keys that the model at a location of another model knows."""
    current: Any = model
    for part in location:
        current = _unwrap(current)
        if isinstance(current, type) and issubclass(current, BaseModel):
            by_alias = {_key(name, info): info.annotation for name, info in current.model_fields.items()}
            current = by_alias.get(str(part))
        else:
            arguments = get_args(current)
            current = arguments[-1] if get_origin(current) is dict else arguments[0]
    current = _unwrap(current)
    return [_key(name, info) for name, info in current.model_fields.items()]


def _key(name: str, info: FieldInfo) -> str:
    """How a field is written."""
    return info.serialization_alias or name


def _unwrap(annotation: Any) -> Any:
    """The model or container inside `X | None`."""
    if isinstance(annotation, type) or get_origin(annotation) in {dict, tuple}:
        return annotation
    return next(_unwrap(inner) for inner in get_args(annotation) if inner is not type(None))


def _repaired(model: type[Model], value: Mapping[str, Any], details: list[ErrorDetails]) -> Model | None:
    """The model without what was wrong: unusable values dropped, required ones replaced by a placeholder."""
    plain = deepcopy(dict(value))
    placeholders = (f"{_PLACEHOLDER}{number}" for number in count(1))
    for _ in range(_REPAIRS):
        for detail in details:
            _remove(plain, detail["loc"], placeholders if detail["type"] == "missing" else None)
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


def _remove(plain: Any, location: Sequence[str | int], placeholders: Iterator[str] | None) -> None:
    """Takes an unusable value out; puts a placeholder where a value is missing."""
    parents: list[Any] = [plain]
    for part in location[:-1]:
        try:
            parents.append(parents[-1][part])
        except (KeyError, IndexError, TypeError):
            return  # removed already, together with something around it
    holder, last = parents[-1], location[-1]
    if placeholders is not None and isinstance(holder, dict):
        holder[str(last)] = next(placeholders)
    elif isinstance(holder, dict) and _is_placeholder(holder.get(str(last))) and len(parents) > 1:
        # A placeholder does not do here: give up what it is a part of.
        _drop(parents[-2], location[-2])
    else:
        _drop(holder, last)


def _is_placeholder(value: object) -> bool:
    return isinstance(value, str) and value.startswith(_PLACEHOLDER)


def _drop(holder: Any, part: str | int) -> None:
    if isinstance(holder, dict):
        holder.pop(part, None)
    elif isinstance(holder, list) and isinstance(part, int):
        # With all that follow: moved up, they would be told of at the wrong index.
        del holder[part:]
