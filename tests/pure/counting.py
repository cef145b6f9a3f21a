"""What a call does, counted: the same on every machine and under any load, as no time is."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterable
from types import CodeType, FrameType
from typing import Any


def calls_of(functions: Iterable[Callable[..., Any]], act: Callable[[], object]) -> Counter[str]:
    """How often some functions of Python are called, by name, whoever calls them and by whatever name."""
    names: dict[CodeType, str] = {function.__code__: function.__name__ for function in functions}
    counted: Counter[str] = Counter()

    def profile(frame: FrameType, event: str, _: Any) -> None:
        if event == "call" and frame.f_code in names:
            counted[names[frame.f_code]] += 1

    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        act()
    finally:
        sys.setprofile(before)
    return counted


def steps_of(act: Callable[[], object]) -> int:
    """How many instructions of the interpreter are carried out: each round of each loop counts."""
    steps = 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal steps
        frame.f_trace_lines, frame.f_trace_opcodes = False, True
        steps += event == "opcode"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        act()
    finally:
        sys.settrace(before)
    return steps
