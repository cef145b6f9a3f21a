"""A PersistentVolumeClaim is ready when it is bound, or when it waits for the first pod that uses it."""

from __future__ import annotations

from typing import Any

from lab_plugins.kubernetes.api import ApiError
from lab_plugins.kubernetes.objects import dig, name_of
from lab_plugins.kubernetes.session import Session
from lab_plugins.kubernetes.waiting.base import ObjectWait


class ClaimWait(ObjectWait):
    """Waits for the phase Bound, or Pending where the storage class binds late."""

    def __init__(self, session: Session, obj: dict[str, Any]) -> None:
        super().__init__(session, obj)
        self._late = self._binds_late()

    def _binds_late(self) -> bool:
        name = dig(self.live, "spec", "storageClassName")
        if not name:
            return False
        storage_class = self._session.discovery.find("storage.k8s.io/v1", "StorageClass")
        try:
            found = self._session.api.get(storage_class.path("", name))
        except ApiError:
            return False
        return found.get("volumeBindingMode") == "WaitForFirstConsumer"

    def done(self) -> bool:
        """Tell whether the claim has its volume or will get it later."""
        phase = dig(self.live, "status", "phase")
        return phase == "Bound" or (self._late and phase == "Pending")

    def reasons(self) -> list[str]:
        """Return the phase."""
        return [f"PersistentVolumeClaim {name_of(self.live)} is {dig(self.live, 'status', 'phase')}"]
