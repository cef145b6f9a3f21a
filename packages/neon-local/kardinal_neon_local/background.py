"""What the service does by itself: suspend idle computes, delete expired branches, forget deleted ones."""

from __future__ import annotations

import asyncio
import logging
import time

from kardinal_neon_local.deleting import delete_branch, purge
from kardinal_neon_local.history import tend
from kardinal_neon_local.identifiers import now
from kardinal_neon_local.operations import Step
from kardinal_neon_local.records import Branch, Operation
from kardinal_neon_local.service import Service

log = logging.getLogger("kardinal_neon_local")

_PERIOD = 1.0
_AFTER_FAILURE = 60.0


async def watch(service: Service) -> None:
    """Does the background work about once a second, for ever.

    Args:
        service: The service.
    """
    while True:
        await asyncio.sleep(_PERIOD)
        try:
            await suspend_idle(service)
            delete_expired(service)
            await purge_deleted(service)
        except Exception:  # the watch must go on whatever happens
            log.exception("background work failed")


async def watch_history(service: Service) -> None:
    """Keeps the past of the default branches, for ever.

    Args:
        service: The service.
    """
    while True:
        await asyncio.sleep(_PERIOD)
        try:
            await tend(service)
        except Exception as error:  # noqa: BLE001 - such as a full disk, which may pass
            log.error("history is not kept: %s", error)  # noqa: TRY400
            await asyncio.sleep(_AFTER_FAILURE)


async def suspend_idle(service: Service) -> None:
    """Stops the instances that nobody has been connected to for their time-out.

    Args:
        service: The service.
    """
    for branch in service.store.every(Branch):
        if branch.deleted_at is not None or branch.current_state != "ready":
            continue
        endpoints = service.store.endpoints(branch.id)
        chosen = [e.suspend_timeout_seconds for e in endpoints if e.suspend_timeout_seconds]
        seconds = float(chosen[0]) if chosen else service.settings.idle_timeout
        started = time.monotonic()
        if seconds > 0 and await service.instances.stop_if_idle(branch, seconds):
            for endpoint in endpoints:
                service.mark_idle(endpoint)
                step = Step("suspend_compute", "suspend_compute", branch.id, endpoint.id)
                service.operations.note(branch.project_id, step, time.monotonic() - started)


def delete_expired(service: Service) -> None:
    """Starts the deletion of branches whose time is over; a busy project is looked at again later.

    Args:
        service: The service.
    """
    for branch in service.store.every(Branch):
        if branch.expires_at is None or branch.deleted_at is not None or branch.expires_at > now():
            continue
        if not any(operation.pending for operation in service.store.operations(branch.project_id)):
            log.info("branch %s (%s) has expired", branch.id, branch.name)
            delete_branch(service, branch, hard=False, method="ttl")


async def purge_deleted(service: Service) -> None:
    """Removes for good what can no longer be recovered, once its deletion has run.

    Args:
        service: The service.
    """
    busy = {operation.branch_id for operation in service.store.every(Operation) if operation.pending}
    for branch in service.store.every(Branch):
        over = branch.recoverable_until is not None and branch.recoverable_until <= now()
        if over and branch.id not in busy:
            await purge(service, branch)
