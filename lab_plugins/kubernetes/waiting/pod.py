"""A Pod is ready when it is scheduled, initialized and ready, or has run to its end."""

from __future__ import annotations

from lab_plugins.kubernetes.objects import name_of
from lab_plugins.kubernetes.waiting.base import ObjectWait
from lab_plugins.kubernetes.waiting.pod_problems import pod_problems, pod_ready


class PodWait(ObjectWait):
    """Waits for one pod."""

    def done(self) -> bool:
        """Tell whether the pod is ready."""
        return pod_ready(self.live)

    def status(self) -> str:
        """Name the pod."""
        return f'Waiting for Pod "{name_of(self.live)}" to be ready'

    def reasons(self) -> list[str]:
        """Return the pod's complaint."""
        return pod_problems(self.live)
