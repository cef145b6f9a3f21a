"""A deleted object is gone when the API server no longer has it, or has another one under its name."""

from __future__ import annotations

from typing import Any

from lab_plugins.kubernetes.objects import dig, name_of, namespace_of
from lab_plugins.kubernetes.session import Session
from lab_plugins.kubernetes.waiting.base import ObjectWait
from lab_plugins.kubernetes.waiting.feed import Event


class DeletionWait(ObjectWait):
    """Waits until an object is gone.

    Args:
        session: the provider.
        obj: the object as the API server showed it after the deletion was asked for.
    """

    def __init__(self, session: Session, obj: dict[str, Any]) -> None:
        super().__init__(session, obj)
        self._gone = False

    def observe(self, event: Event) -> None:
        """Notice the end."""
        if name_of(event.object) != name_of(self.live) or namespace_of(event.object) != namespace_of(
            self.live
        ):
            return
        another = dig(event.object, "metadata", "uid") != dig(self.live, "metadata", "uid")
        if another or event.deleted:
            self._gone = True
        else:
            self.live = event.object

    def done(self) -> bool:
        """Tell whether it is gone."""
        return self._gone

    def status(self) -> str:
        """Say what is going on."""
        return "Waiting for the object to be deleted"

    def reasons(self) -> list[str]:
        """Name the finalizers, the usual reason why an object stays."""
        finalizers = dig(self.live, "metadata", "finalizers") or []
        return [f"finalizers might be preventing deletion ({', '.join(finalizers)})"] if finalizers else []
