"""Reads regular expressions as RE2 does, which is how Envoy reads them.

RE2's own binding for Python is a compiled package that some platforms and versions do not have, and nobody
should be unable to install this one for want of it. The tests compare this reader with it.
"""

from __future__ import annotations

import re
import string

_GROUP = re.compile(r"\(\?(?:P?<\w+>|[imsU]*(?:-[imsU]+)?:)|\((?!\?)")
_FLAGS = re.compile(r"\(\?[imsU]*(?:-[imsU]+)?\)")
_QUOTED = re.compile(r"\\Q(.*?)(?:\\E|\Z)", re.DOTALL)
_REPETITION = re.compile(r"(?:[*+?]|\{(0|[1-9]\d{0,8})(,(0|[1-9]\d{0,8})?)?\})\??", re.ASCII)
_POSIX = re.compile(r"\[:(.*?):\]", re.DOTALL)
_SET = re.compile(r"\\(?:[dDsSwW]|[pP](?:[CLMNPSZ]|\{[^}]+\}))")
_PLACE = re.compile(r"\\[AbBzC]")
_CHARACTER = re.compile(
    r"\\(?:x[0-9a-fA-F]{2}|x\{0*[0-9a-fA-F]{1,6}\}|[1-7][0-7]{1,2}|0[0-7]{0,2}|.)", re.DOTALL
)

_MAX_REPETITION = 1000
_MAX_CODE = 0x10FFFF
_CONTROLS = {"a": "\a", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_POSIX_NAMES = frozenset(
    [
        "alnum",
        "alpha",
        "ascii",
        "blank",
        "cntrl",
        "digit",
        "graph",
        "lower",
        "print",
        "punct",
        "space",
        "upper",
        "word",
        "xdigit",
    ]
)


def expression_problem(expression: str) -> str | None:
    """Says what makes an expression unreadable to RE2.

    Only what is wrong for certain. Not judged are names of Unicode classes, repetitions of repetitions that
    come to more than 1000, and equal names of groups.

    Args:
        expression: The expression.
    """
    try:
        _Reader(expression).read()
    except _UnreadableError as problem:
        return str(problem)
    return None


class _UnreadableError(Exception):
    """What is wrong."""


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def read(self) -> None:
        """Reads the expression; raises what is wrong with it."""
        depth, repeatable, repeated = 0, [False], ""
        while self._at < len(self._text):
            before, repeated = repeated, ""
            if quoted := self._take(_QUOTED):
                repeatable[-1] = repeatable[-1] or bool(quoted[1])
            elif self._take(_FLAGS):
                pass  # to RE2 nothing that could be repeated, nor an end of what is
            elif self._take(_GROUP):
                depth += 1
                repeatable.append(False)
            elif self._text.startswith("(?", self._at):
                raise _UnreadableError(f"RE2 does not know {self._text[self._at : self._at + 3]}")
            elif self._skip(")"):
                depth -= 1
                if depth < 0:
                    raise _UnreadableError("a ) has no (")
                repeatable.pop()
                repeatable[-1] = True
            elif self._skip("|"):
                repeatable[-1] = False
            elif repetition := self._take(_REPETITION):
                repeated = repetition[0]
                _check_repetition(repetition, before, possible=repeatable[-1])
            else:
                self._read_atom()
                repeatable[-1] = True
        if depth:
            raise _UnreadableError("a ( has no )")

    def _read_atom(self) -> None:
        if self._skip("["):
            self._read_class()
        elif self._take(_SET) or self._take(_PLACE):
            pass
        elif self._text[self._at] == "\\":
            self._read_character()
        else:
            self._at += 1

    def _read_class(self) -> None:
        self._skip("^")
        first = True
        while first or not self._skip("]"):
            first = False
            if posix := self._take(_POSIX):
                if posix[1].removeprefix("^") not in _POSIX_NAMES:
                    raise _UnreadableError(f"RE2 does not know {posix[0]}")
            elif not self._take(_SET):
                self._read_range()

    def _read_range(self) -> None:
        start = self._at
        low = high = self._read_class_character()
        if self._text.startswith("-", self._at) and self._text[self._at + 1 : self._at + 2] not in {"", "]"}:
            self._at += 1
            high = self._read_class_character()
        if high < low:
            raise _UnreadableError(f"the range {self._text[start : self._at]} goes backwards")

    def _read_class_character(self) -> int:
        if self._at >= len(self._text):
            raise _UnreadableError("a [ has no ]")
        if self._text[self._at] == "\\":
            return self._read_character()
        self._at += 1
        return ord(self._text[self._at - 1])

    def _read_character(self) -> int:
        """An escape that stands for one character; returns it."""
        escape = self._take(_CHARACTER)
        if escape is None:
            raise _UnreadableError("it ends in a backslash")
        text = escape[0][1:]
        if text[0] == "x" and len(text) > 1:
            code = int(text[1:].strip("{}"), 16)
            if code <= _MAX_CODE:
                return code
        elif text[0] == "0" or (text[0] in "1234567" and len(text) > 1):
            return int(text, 8)
        elif text in _CONTROLS:
            return ord(_CONTROLS[text])
        elif text.isascii() and text not in string.ascii_letters + string.digits:
            return ord(text)
        if text in set("123456789"):
            raise _UnreadableError(f"RE2 has no references to groups (\\{text})")
        raise _UnreadableError(f"RE2 does not know \\{text}")

    def _take(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        found = pattern.match(self._text, self._at)
        self._at = found.end() if found else self._at
        return found

    def _skip(self, symbol: str) -> bool:
        found = self._text.startswith(symbol, self._at)
        self._at += len(symbol) if found else 0
        return found


def _check_repetition(found: re.Match[str], before: str, *, possible: bool) -> None:
    if before:
        raise _UnreadableError(f"{before}{found[0]} repeats a repetition")
    if not possible:
        raise _UnreadableError(f"there is nothing to repeat before {found[0]}")
    low, high = int(found[1] or 0), int(found[3] or found[1] or 0)
    if high < low or high > _MAX_REPETITION:
        raise _UnreadableError(f"RE2 counts upwards to {_MAX_REPETITION} at most ({found[0]})")
