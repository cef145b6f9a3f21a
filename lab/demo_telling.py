"""How the demo speaks: chapters, commands with their output, and checks with their figures."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from rich.console import Console
from rich.markup import escape

from lab.settings import LabError

T = TypeVar("T")

WIDTH = 150
"""Characters of a command's output line that are shown."""


class CheckFailedError(LabError):
    """A check of the demo does not hold."""


class Telling:
    """Prints the story.

    Args:
        console: Where; default: standard output.
    """

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(highlight=False, soft_wrap=True)
        self.checks = 0
        self._started = time.monotonic()

    def chapter(self, title: str) -> None:
        """Begins a chapter."""
        seconds = time.monotonic() - self._started
        self.console.print(f"\n[bold cyan]== {escape(title)}[/] [dim]({seconds:.0f} s)[/]")

    def say(self, text: str) -> None:
        """Prints a line of the story."""
        self.console.print(escape(text))

    def command(self, line: str) -> None:
        """Prints a command that is about to run."""
        self.console.print(f"[bold]$ {escape(line)}[/]")

    def output(self, line: str) -> None:
        """Prints a line of a command's output."""
        self.console.print(f"  [dim]{escape(line[:WIDTH])}[/]")

    def check(self, what: str, expected: Any, seen: Any) -> None:
        """Checks that two values are equal, and shows them.

        Args:
            what: What is checked, as a statement.
            expected: What must be seen.
            seen: What was seen.

        Raises:
            CheckFailedError: They differ.
        """
        if seen != expected:
            raise CheckFailedError(f"✗ {what}\n  expected: {_text(expected)}\n  seen:     {_text(seen)}")
        self._hold(what, _text(seen))

    def check_none(self, what: str, found: Sequence[str]) -> None:
        """Checks that nothing was found.

        Args:
            what: What is checked, as a statement.
            found: What must be empty.

        Raises:
            CheckFailedError: Something was found.
        """
        if found:
            raise CheckFailedError("\n  ".join([f"✗ {what}\n  expected: nothing, seen:", *found]))
        self._hold(what, "")

    def _hold(self, what: str, figures: str) -> None:
        self.checks += 1
        self.console.print(
            f"[green]✓[/] {escape(what)}" + (f": [bold]{escape(figures)}[/]" if figures else "")
        )


def wait_for(question: Callable[[], T | None], what: str, seconds: float = 120) -> T:
    """Waits until a question has an answer that is true.

    Args:
        question: What is asked every half second.
        what: What is waited for.
        seconds: How long.

    Raises:
        LabError: There was none in time.
    """
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if answer := question():
            return answer
        time.sleep(0.5)
    raise LabError(f"waited {seconds:g} s in vain for {what}")


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {item}" for key, item in value.items()) or "nothing"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "nothing"
    return "nobody" if value is None else str(value)
