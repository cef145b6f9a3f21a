"""What a wait is, and how it ends without success."""

from __future__ import annotations

from typing import Any, Protocol

from lab_plugins.kubernetes.waiting.feed import Event, Selection


class Wait(Protocol):
    """Something to wait for: pure judgement over the changes it is shown.

    Attributes:
        live: the newest state of the object that is waited for.
        selections: which objects it wants to see.
    """

    live: dict[str, Any]
    selections: list[Selection]

    def observe(self, event: Event) -> None:
        """Take a change into account."""

    def done(self) -> bool:
        """Tell whether it is reached."""
        ...

    def failed(self) -> bool:
        """Tell whether it can no longer be reached."""
        ...

    def good_enough(self) -> bool:
        """Tell whether the state counts as reached when the time is up."""
        ...

    def pause(self) -> float | None:
        """Return after how many seconds to look again without a change; None for never."""
        ...

    def status(self) -> str:
        """Return one line on what is missing."""
        ...

    def reasons(self) -> list[str]:
        """Return what is wrong, one line each."""
        ...


class WaitError(Exception):
    """The object exists but is not what was waited for.

    Attributes:
        live: its newest state.
        reasons: what is wrong, one line each.
    """

    def __init__(self, message: str, live: dict[str, Any], reasons: list[str]) -> None:
        super().__init__(message)
        self.live = live
        self.reasons = reasons
