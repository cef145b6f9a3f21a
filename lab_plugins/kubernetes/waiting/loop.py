"""The loop that drives every wait."""

from __future__ import annotations

import time
from typing import Any

from lab_plugins.kubernetes.objects import name_of
from lab_plugins.kubernetes.session import Session
from lab_plugins.kubernetes.waiting.feed import Event, Feed
from lab_plugins.kubernetes.waiting.waits import Wait, WaitError

# How often trouble is shown beside the resource while nothing else happens.
_REPORT_SECONDS = 10.0


def wait_until_done(session: Session, wait: Wait, urn: str, seconds: float) -> dict[str, Any]:
    """Wait, and return the object as it was when the wait was reached.

    Args:
        session: the provider.
        wait: what to wait for.
        urn: the resource, for the status text.
        seconds: how long at most.

    Raises:
        WaitError: it failed, time is up, or the engine gave up.
    """
    deadline = time.monotonic() + seconds
    next_report = time.monotonic() + _REPORT_SECONDS
    shown = ""
    name = name_of(wait.live)
    with Feed(session.api, wait.selections, [wait.live]) as feed, session.cancellation.calling(feed.wake):
        while True:
            if wait.done():
                session.log.status(urn, "")
                return wait.live
            reasons = [*wait.reasons(), *feed.troubles.values()]
            if wait.failed():
                raise WaitError(f"Resource '{name}' was created but failed to initialize", wait.live, reasons)
            now = time.monotonic()
            if (session.cancellation.requested or now >= deadline) and wait.good_enough():
                return wait.live
            if session.cancellation.requested:
                raise WaitError(f'Resource operation was cancelled for "{name}"', wait.live, reasons)
            if now >= deadline:
                raise WaitError(f"'{name}' timed out waiting to be Ready", wait.live, reasons)
            text = wait.status()
            if now >= next_report:
                next_report = now + _REPORT_SECONDS
                text = reasons[-1] if reasons else text
            if text and text != shown:
                session.log.status(urn, shown := text)
            pause = wait.pause()
            event = feed.next(
                min(deadline - now, next_report - now, deadline - now if pause is None else pause)
            )
            if event is not None:
                wait.observe(event)


def check_once(session: Session, wait: Wait) -> None:
    """Judge the present state without waiting, as a refresh does.

    Raises:
        WaitError: it is not reached now.
    """
    for selection in wait.selections:
        listing = session.api.list(selection.type.collection(selection.namespace), selection.parameters())
        for item in listing.get("items") or []:
            wait.observe(Event(selection.type.kind, False, item))
    if not (wait.done() or wait.good_enough()):
        message = f"Resource '{name_of(wait.live)}' was created but failed to initialize"
        raise WaitError(message, wait.live, wait.reasons())
