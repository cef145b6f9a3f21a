"""What the lab tells the user while it works."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.status import Status


class Report:
    """Lines with the time since the start; on a terminal also a line of what is being done now.

    Safe to use from several threads.
    """

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True, highlight=False)
        self._started = time.monotonic()
        self._lock = threading.Lock()
        self._working: dict[str, str] = {}
        self._status: Status | None = None

    def line(self, piece: str, text: str, style: str = "") -> None:
        """Print one line about one piece."""
        seconds = time.monotonic() - self._started
        body = f"[{style}]{escape(text)}[/]" if style else escape(text)
        self.console.print(f"[dim]{seconds:6.1f}s[/] [bold]{escape(piece):<12}[/] {body}", soft_wrap=True)

    def warning(self, piece: str, text: str) -> None:
        """Print one line that the user should notice."""
        self.line(piece, text, style="yellow")

    def progress(self, piece: str, text: str) -> None:
        """Say what a piece is doing now: on a terminal only, in the moving line."""
        with self._lock:
            self._working[piece] = text
            self._refresh()

    @contextmanager
    def working(self, piece: str, text: str) -> Iterator[None]:
        """Show a piece of work from its start to its end, with the time it took."""
        begun = time.monotonic()
        if not self.console.is_terminal:
            self.line(piece, f"{text} ...")
        self.progress(piece, text)
        try:
            yield
        finally:
            with self._lock:
                self._working.pop(piece, None)
                self._refresh()
            word = "failed" if sys.exc_info()[1] else "done"
            self.line(piece, f"{text}: {word} in {time.monotonic() - begun:.1f} s")

    def _refresh(self) -> None:
        if not self.console.is_terminal:
            return
        if not self._working:
            if self._status:
                self._status.stop()
                self._status = None
            return
        text = escape(" | ".join(f"{piece}: {doing}" for piece, doing in self._working.items()))
        if self._status:
            self._status.update(text)
        else:
            self._status = self.console.status(text)
            self._status.start()
