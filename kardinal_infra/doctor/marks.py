"""How the objects of a probe are marked, and which of them nobody will remove any more."""

from __future__ import annotations

import secrets
import string
from collections.abc import Iterable
from datetime import datetime, timedelta

from kardinal_infra.model.names import Owner
from kardinal_infra.observed.live import Object, flow_of, owner_of

LIFE_SECONDS = 600
"""How long a probe can live. The cluster ends its Job then, and everything that the Job owns goes with it."""

_ALPHABET = string.ascii_lowercase + string.digits


def new_key() -> str:
    """Returns a key that no flow has: `doctor-` and eight random letters and digits."""
    return "doctor-" + "".join(secrets.choice(_ALPHABET) for _ in range(8))


def probe_owner(namespace: str, key: str) -> Owner:
    """Returns whose the objects of a probe are.

    They carry the flow label, so that flows which are planned meanwhile do not take the probe's routes for
    the baseline's; and the name of a stack that cannot be, so that `kardinal reap --cluster` finds them too.

    Args:
        namespace: Namespace of the application.
        key: The probe's key.
    """
    return Owner(f"kardinal-doctor/run/{key}", namespace, key)


def dead_probes(items: Iterable[Object], now: datetime) -> list[str]:
    """Finds the probes of runs that were killed.

    Args:
        items: Objects of a namespace with the flow label, each with its `kind`.
        now: The present, with a time zone.

    Returns:
        Keys of the probes without a Job that still runs, or older than a probe can be. A run makes its Job
        before anything else.
    """
    alive: dict[str, bool] = {}
    for item in items:
        key = flow_of(item)
        if key is None or owner_of(item) != probe_owner("", key).stack:
            continue
        running = item["kind"] == "Job" and not _finished(item) and not _old(item, now)
        alive[key] = alive.get(key, False) or running
    return sorted(key for key, running in alive.items() if not running)


def _finished(job: Object) -> bool:
    conditions = (job.get("status") or {}).get("conditions") or ()
    return any(
        item.get("type") in {"Complete", "Failed"} and item.get("status") == "True" for item in conditions
    )


def _old(item: Object, now: datetime) -> bool:
    made = datetime.fromisoformat(item["metadata"]["creationTimestamp"])
    return now - made > timedelta(seconds=LIFE_SECONDS)
