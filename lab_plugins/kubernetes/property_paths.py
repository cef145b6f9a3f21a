"""Pulumi's spelling of a place in a property tree: `spec.ports[0].name`, `data["a.b"]`, `spec.rules[*]`."""

from __future__ import annotations

import re

Path = tuple[str | int, ...]

_STEP = re.compile(r"""\[(\d+|\*)\]|\["((?:[^"\\]|\\.)*)"\]|\.?([^.\[\]"]+)""")


def spell(path: Path) -> str:
    """Write a path."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif any(mark in step for mark in '."[]'):
            escaped = step.replace('"', '\\"')
            text += f'["{escaped}"]'
        else:
            text += f".{step}" if text else step
    return text


def parse(text: str) -> Path:
    """Read a path; `*` stands for any key or position."""
    steps: list[str | int] = []
    for index, quoted, plain in _STEP.findall(text):
        if index:
            steps.append("*" if index == "*" else int(index))
        else:
            steps.append(quoted.replace('\\"', '"') if quoted else plain)
    return tuple(steps)


def covers(outer: Path, inner: Path) -> bool:
    """Tell whether a place lies at or below another one."""
    return len(outer) <= len(inner) and all(
        wanted in ("*", step) for wanted, step in zip(outer, inner, strict=False)
    )
