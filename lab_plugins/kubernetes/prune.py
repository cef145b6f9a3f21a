"""Cutting a live object down to the shape of a program's inputs."""

from __future__ import annotations

from typing import Any


def prune(live: Any, shape: Any) -> Any:
    """Keep of a live value what the shape also has.

    Maps keep the shape's keys; lists are compared by position and keep at most the shape's length, so an
    entry that somebody appended is not seen. Where the two differ in type the live value stays whole.
    """
    if isinstance(live, dict) and isinstance(shape, dict):
        return {key: prune(value, shape[key]) for key, value in live.items() if key in shape}
    if isinstance(live, list) and isinstance(shape, list):
        return [prune(value, wanted) for value, wanted in zip(live, shape, strict=False)]
    return live
