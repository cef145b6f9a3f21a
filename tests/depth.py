"""How often a test repeats what it proves: seldom in `make test`, often in `make test-long`."""

from __future__ import annotations

import os
from typing import TypeVar

LONG = os.environ.get("KARDINAL_LONG") == "1"

T = TypeVar("T")


def depth(short: T, long: T) -> T:
    """What a test works with: `short` by default, `long` when KARDINAL_LONG is 1."""
    return long if LONG else short
