"""Operations: the asynchronous work of each project, one step after the other, done again after a crash.

While any step of a project is pending, further writes to it are refused with 423, as Neon does.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from kardinal_neon_local.errors import ApiError
from kardinal_neon_local.identifiers import now
from kardinal_neon_local.records import Operation, Record
from kardinal_neon_local.store import Store

log = logging.getLogger("kardinal_neon_local")

Work = Callable[[Operation], Awaitable[None]]
_TRIES = 3
_RETRY_AFTER = 0.3
BUSY = "project already has running conflicting operations, scheduling of new ones is prohibited"


@dataclass(frozen=True)
class Step:
    """One step of a write.

    Attributes:
        action: Neon's name of it, as the API lists it.
        task: Name of the handler that does it.
        branch_id: The branch it is for.
        endpoint_id: The endpoint it is for.
        arguments: What the handler needs beyond the ids.
    """

    action: str
    task: str
    branch_id: str | None = None
    endpoint_id: str | None = None
    arguments: dict[str, str] = field(default_factory=dict)


class Operations:
    """The queues of all projects.

    Args:
        store: Where operations are kept.
        delay: Seconds that every step takes at least.
    """

    def __init__(self, store: Store, delay: float) -> None:
        self._store = store
        self._delay = delay
        self._handlers: dict[str, tuple[Work, Work | None]] = {}
        self._workers: dict[str, asyncio.Task[None]] = {}
        self._stopping = False

    def handle(self, task: str, work: Work, undo: Work | None = None) -> None:
        """Registers the handler of a task.

        Args:
            task: Its name.
            work: Does the step; must bear being repeated.
            undo: Called when the step has failed for good.
        """
        self._handlers[task] = (work, undo)

    def require_free(self, project_id: str) -> None:
        """Refuses a write with 423 while another one runs.

        Args:
            project_id: Id of the project.
        """
        if self._stopping:
            raise ApiError(503, "the service is stopping")
        if any(operation.pending for operation in self._store.operations(project_id)):
            raise ApiError(423, BUSY)

    def submit(
        self,
        project_id: str,
        steps: Sequence[Step],
        *,
        save: Sequence[Record] = (),
        remove: Sequence[Record] = (),
    ) -> list[Operation]:
        """Stores a write's steps together with its records, and starts the work.

        There is no await between `require_free` and this when callers keep it so; it checks once more.

        Args:
            project_id: The project.
            steps: What is to be done, in order.
            save: Records that the write makes or changes.
            remove: Records that the write removes at once.

        Raises:
            ApiError: 423 if the project is busy.
        """
        self.require_free(project_id)
        group = str(uuid.uuid4())
        moment = now()
        operations = [
            Operation(
                id=str(uuid.uuid4()),
                project_id=project_id,
                branch_id=step.branch_id,
                endpoint_id=step.endpoint_id,
                action=step.action,
                task=step.task,
                arguments=step.arguments,
                group=group,
                status="scheduling" if index else "running",
                # The list's cursor is this moment, so it must differ.
                created_at=moment + timedelta(microseconds=index),
                updated_at=moment,
            )
            for index, step in enumerate(steps)
        ]
        self._store.change(*save, *operations, remove=tuple(remove))
        if operations:
            self._wake(project_id)
        return [operation.model_copy() for operation in operations]

    def note(self, project_id: str, step: Step, seconds: float) -> None:
        """Lists something that the service has done by itself, such as suspending an idle compute.

        Args:
            project_id: Id of the project.
            step: What was done.
            seconds: How long it took.
        """
        operation = Operation(
            id=str(uuid.uuid4()),
            project_id=project_id,
            branch_id=step.branch_id,
            endpoint_id=step.endpoint_id,
            action=step.action,
            task=step.task,
            group=str(uuid.uuid4()),
            status="finished",
            total_duration_ms=int(seconds * 1000),
            created_at=now(),
            updated_at=now(),
        )
        self._store.change(operation)

    def resume(self) -> None:
        """Takes up what was pending when the service ended."""
        for project_id in {o.project_id for o in self._store.every(Operation) if o.pending}:
            self._wake(project_id)

    async def idle(self, project_id: str) -> None:
        """Waits until the project has nothing pending.

        Args:
            project_id: Id of the project.
        """
        worker = self._workers.get(project_id)
        if worker is not None:
            await asyncio.shield(worker)

    async def stop(self) -> None:
        """Lets the steps that run now end, and starts no others; the rest is done after the next start."""
        self._stopping = True
        await asyncio.gather(*self._workers.values(), return_exceptions=True)

    def _wake(self, project_id: str) -> None:
        worker = self._workers.get(project_id)
        if worker is None or worker.done():
            self._workers[project_id] = asyncio.create_task(self._work(project_id))

    async def _work(self, project_id: str) -> None:
        while not self._stopping:
            pending = [o for o in self._store.operations(project_id) if o.pending]
            if not pending:
                self._store.forget_old_operations(project_id)
                return
            await self._do(pending[0])

    async def _do(self, operation: Operation) -> None:
        work, undo = self._handlers[operation.task]
        started = time.monotonic()
        operation.status = "running"
        operation.updated_at = now()
        self._store.change(operation)
        await asyncio.sleep(self._delay)
        for attempt in range(1, _TRIES + 1):
            try:
                await work(operation)
            except Exception as error:  # noqa: BLE001 - whatever went wrong is the operation's outcome
                log.warning("operation %s (%s) failed: %s", operation.id, operation.task, error)
                operation.failures_count = attempt
                operation.error = str(error)
                await asyncio.sleep(_RETRY_AFTER)
            else:
                operation.error = None
                operation.status = "finished"
                break
        else:
            operation.status = "failed"
            if undo is not None:
                await undo(operation)
        operation.updated_at = now()
        operation.total_duration_ms = int((time.monotonic() - started) * 1000)
        others = [
            o
            for o in self._store.operations(operation.project_id)
            if o.pending and o.group == operation.group
        ]
        cancelled = [o for o in others if o.id != operation.id] if operation.status == "failed" else []
        for other in cancelled:
            other.status = "cancelled"
        self._store.change(operation, *cancelled)
