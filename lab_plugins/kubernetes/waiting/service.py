"""A Service is ready ten seconds after the last change of its endpoints, when none of them is unready.

The ten seconds are the official provider's, kept on purpose: a program that should not pay for them says
`pulumi.com/skipAwait`, here as there.
"""

from __future__ import annotations

import time
from typing import Any

from lab_plugins.kubernetes.objects import dig, name_of
from lab_plugins.kubernetes.session import Session
from lab_plugins.kubernetes.waiting.base import ObjectWait
from lab_plugins.kubernetes.waiting.feed import Event

_SETTLE_SECONDS = 10.0


class ServiceWait(ObjectWait):
    """Waits for settled endpoints, and for an address if the Service is a load balancer."""

    def __init__(self, session: Session, obj: dict[str, Any]) -> None:
        super().__init__(session, obj)
        self._endpoints: dict[str, Any] = {}
        self._settles_at: float | None = None
        if self._has_endpoints:
            self.also_follow("v1", "Endpoints", name=name_of(obj))

    @property
    def _has_endpoints(self) -> bool:
        return (
            dig(self.live, "spec", "type") != "ExternalName"
            and dig(self.live, "spec", "clusterIP") != "None"
            and bool(dig(self.live, "spec", "selector"))
        )

    def observe_other(self, event: Event) -> None:
        """Start the settling time again."""
        self._endpoints = {} if event.deleted else event.object
        self._settles_at = time.monotonic() + _SETTLE_SECONDS

    @property
    def _addressed(self) -> bool:
        return dig(self.live, "spec", "type") != "LoadBalancer" or bool(
            dig(self.live, "status", "loadBalancer", "ingress")
        )

    def _any(self, field: str) -> bool:
        return any(subset.get(field) for subset in self._endpoints.get("subsets") or [])

    def done(self) -> bool:
        """Tell whether the endpoints have settled."""
        if not self._has_endpoints:
            return self._addressed
        settled = self._settles_at is not None and time.monotonic() >= self._settles_at
        return settled and self.good_enough()

    def good_enough(self) -> bool:
        """Tell whether no endpoint is unready; a Service that selects nothing passes."""
        return self._addressed and not self._any("notReadyAddresses")

    def pause(self) -> float | None:
        """Look again when the settling time is over."""
        if self._settles_at is None or time.monotonic() >= self._settles_at:
            return None
        return self._settles_at - time.monotonic()

    def status(self) -> str:
        """Return the stage."""
        if self._any("addresses") and not self._addressed:
            return "[2/3] Attempting to allocate IP address to Service"
        return "[1/3] Finding Pods to direct traffic to"

    def reasons(self) -> list[str]:
        """Return what is missing."""
        reasons = []
        if self._has_endpoints and not self._any("addresses"):
            reasons.append(
                "Service does not target any Pods. Selected Pods may not be ready, or "
                "field '.spec.selector' may not match labels on any Pods"
            )
        if not self._addressed:
            reasons.append("Service was not allocated an IP address; does your cloud provider support this?")
        return reasons
