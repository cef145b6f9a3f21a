"""The name of a branch's database and role, made from the branch's name."""

from __future__ import annotations

import hashlib
import re

LONGEST = 63
"""Bytes of a PostgreSQL identifier."""

_PLAIN = re.compile(r"[a-z_][a-z0-9_]*")
_HASH = 8


def identifier(branch: str) -> str:
    """Returns the name that a branch's database and role have on the server.

    Only lower case letters, digits and `_`, because a name that needs quoting in SQL or encoding in a URI
    breaks some client sooner or later.

    Args:
        branch: Name of the branch.

    Returns:
        The name itself where it is plain and short enough, else what is left of it with 8 hexadecimal digits
        of the SHA-256 of the whole.
    """
    if _PLAIN.fullmatch(branch) and len(branch) <= LONGEST:
        return branch
    plain = re.sub(r"[^a-z0-9]+", "_", branch.lower()).strip("_")
    if not plain or plain[0].isdigit():
        plain = f"branch_{plain}"
    digest = hashlib.sha256(branch.encode()).hexdigest()[:_HASH]
    return f"{plain[: LONGEST - _HASH - 1].rstrip('_')}_{digest}"
