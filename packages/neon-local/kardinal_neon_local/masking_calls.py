"""Masking functions as rules write them: `anon.partial(phone, 2, '***', 2)`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from psycopg.sql import Composable

from kardinal_neon_local.masking_functions import FUNCTIONS, Argument, Function, MaskingError, Source

_CALL = re.compile(r"\s*(?:anon\.)?(?P<name>\w+)\s*\((?P<arguments>.*)\)\s*", re.DOTALL)
_TOKEN = re.compile(
    r"""\s*(?: '(?P<text>(?:[^']|'')*)' (?:::\w+)? | \$\$(?P<dollar>.*?)\$\$ | (?P<number>-?\d+(?:\.\d+)?)
    | "(?P<quoted>[^"]+)" | (?P<name>[A-Za-z_]\w*) )\s*(?P<end>,|$)""",
    re.VERBOSE | re.DOTALL,
)


_TYPES: dict[str, tuple[type, ...]] = {"int": (int,), "number": (int, float), "text": (str,)}


def supported() -> str:
    """Lists all functions as they are written."""
    return ", ".join(f"anon.{name}{function.usage}" for name, function in sorted(FUNCTIONS.items()))


@dataclass(frozen=True)
class Call:
    """A masking function with its arguments, as a rule has it."""

    name: str
    arguments: list[Argument]

    @property
    def function(self) -> Function:
        """What it calls."""
        return FUNCTIONS[self.name]

    @property
    def distinct(self) -> bool:
        """Whether different values get different replacements."""
        return self.function.distinct(self.arguments)

    def sql(self, source: Source) -> Composable:
        """Returns the expression that gives the replacement.

        Args:
            source: What replacements are made of.

        Raises:
            MaskingError: The arguments make no sense.
        """
        return self.function.build(source, *self.arguments)


def parse_call(text: str, column: str) -> Call:
    """Reads a `masking_function`, for example `anon.partial(phone, 2, '***', 2)`.

    Args:
        text: As the rule has it.
        column: The masked column.

    Raises:
        MaskingError: The function is unknown or its arguments do not fit; says which ones would.
    """
    match = _CALL.fullmatch(text)
    function = FUNCTIONS.get(match["name"]) if match else None
    if match is None or function is None:
        raise MaskingError(f"the masking function {text!r} is not supported: use one of {supported()}")
    usage = f"{text!r} must be written anon.{match['name']}{function.usage}"
    given = _arguments(match["arguments"], usage)
    if len(given) != len(function.arguments):
        raise MaskingError(usage)
    values: list[Argument] = []
    for kind, (value, is_name) in zip(function.arguments, given, strict=True):
        if kind == "column":
            if not is_name or value != column:
                raise MaskingError(f"{usage}: the column must be {column!r} itself")
        elif is_name or not isinstance(value, _TYPES[kind]):
            raise MaskingError(usage)
        else:
            values.append(value)
    return Call(match["name"], values)


def _arguments(text: str, usage: str) -> list[tuple[Argument, bool]]:
    """The arguments, each with whether it is a name."""
    found: list[tuple[Argument, bool]] = []
    place, more = 0, bool(text.strip())
    while more:
        token = _TOKEN.match(text, place)
        if token is None:
            raise MaskingError(usage)
        if token["number"] is not None:
            found.append((float(token["number"]) if "." in token["number"] else int(token["number"]), False))
        elif token["text"] is not None or token["dollar"] is not None:
            plain = token["dollar"] if token["text"] is None else token["text"].replace("''", "'")
            found.append((plain, False))
        else:
            # An unquoted name is lower case to PostgreSQL.
            found.append((token["quoted"] or token["name"].lower(), True))
        place, more = token.end(), token["end"] == ","
    return found
