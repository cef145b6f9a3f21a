"""What most waits have in common."""

from __future__ import annotations

from typing import Any

from lab_plugins.kubernetes.discovery import ResourceType
from lab_plugins.kubernetes.objects import dig, name_of, namespace_of
from lab_plugins.kubernetes.session import Session
from lab_plugins.kubernetes.waiting.feed import Event, Selection


class ObjectWait:
    """A wait for one object, by its name, and for the objects that belong to it.

    Args:
        session: the provider.
        obj: the object as the API server answered the create or update.
    """

    def __init__(self, session: Session, obj: dict[str, Any]) -> None:
        self.live = obj
        self._asked_generation = dig(obj, "metadata", "generation") or 0
        self._session = session
        self.selections = [
            Selection(session.resource_type(obj), namespace_of(obj), name=name_of(obj)),
        ]

    def also_follow(self, api_version: str, kind: str, *, labels: str = "", name: str = "") -> None:
        """Follow other objects of the same namespace too."""
        resource: ResourceType = self._session.discovery.find(api_version, kind)
        self.selections.append(Selection(resource, namespace_of(self.live), name=name, labels=labels))

    def observe(self, event: Event) -> None:
        """Take a change into account; an older generation than the asked one is not news."""
        if event.kind != self.live.get("kind") or name_of(event.object) != name_of(self.live):
            self.observe_other(event)
        elif (
            not event.deleted and (dig(event.object, "metadata", "generation") or 0) >= self._asked_generation
        ):
            self.live = event.object
            self.observe_self()

    def observe_self(self) -> None:
        """Look at a new state of the object."""

    def observe_other(self, event: Event) -> None:
        """Look at a change of an object that belongs to it."""

    @property
    def observed(self) -> bool:
        """Whether the controller has seen the asked generation."""
        generation = dig(self.live, "metadata", "generation")
        return generation is None or dig(self.live, "status", "observedGeneration") == generation

    def done(self) -> bool:
        """Tell whether it is reached."""
        raise NotImplementedError

    def failed(self) -> bool:
        """Tell whether it can no longer be reached; most objects may still recover."""
        return False

    def good_enough(self) -> bool:
        """Tell whether the state counts as reached when the time is up."""
        return False

    def pause(self) -> float | None:
        """Return when to look again without a change; never."""
        return None

    def status(self) -> str:
        """Return one line on what is missing."""
        return ""

    def reasons(self) -> list[str]:
        """Return what is wrong."""
        return []
