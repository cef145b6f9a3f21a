"""What Neon takes for the name of a branch."""

from __future__ import annotations

import re
from datetime import datetime

MAX_BRANCH = 256
"""Longest branch name, in characters."""

# What Neon's own tools take for something other than a name (neonctl's parsing of branch arguments).
_ID = re.compile(r"br-[a-z0-9]+-[a-z0-9]+-[a-z0-9]+(-[a-z0-9]+)*")
_LSN = re.compile(r"[0-9A-Fa-f]{1,8}/[0-9A-Fa-f]{1,8}")
_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d(\.\d+)?)?([Zz]|[+-]\d\d:?\d\d)?")


def branch_name(value: object, _now: datetime) -> str | None:
    """Says why a branch name must not be used with Neon.

    Args:
        value: The candidate.
        _now: Time of day.

    Returns:
        A sentence, or None. Refused are names that Neon's command line takes for a branch id (`br-x-y-z`), a
        log position (`0/1DE2850`) or a time.
    """
    text = str(value)
    if len(text) > MAX_BRANCH:
        return f"a branch name has at most {MAX_BRANCH} characters, this one has {len(text)}"
    for pattern, what in ((_ID, "branch id"), (_LSN, "log position"), (_TIME, "time")):
        if pattern.fullmatch(text):
            return f'"{text}" is a branch name that Neon\'s tools take for a {what}'
    return None
