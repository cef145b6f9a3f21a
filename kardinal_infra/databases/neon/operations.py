"""Waiting for Neon's asynchronous operations.

Every write answers with the operations that bring it about; the object is usable after the last one. Neon
says that `failed` is not terminal (the control plane may try again), while in practice some failures are
final: so a failed operation is watched as long as it still moves, and given up when it stands still.
Source of the rules: neon.com/docs/reference/api/operations and Neon's own test harness.

Fact: docs/facts/neon.md#failed-operations-may-go-on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime

from kardinal_infra.databases.neon.clock import Clock
from kardinal_infra.databases.neon.errors import NeonOperationError, NeonTimeoutError
from kardinal_infra.databases.neon.models import Operation

DONE = frozenset({"finished", "skipped", "cancelled"})
RUNNING = frozenset({"scheduling", "running", "cancelling"})
FAILED = frozenset({"failed", "error"})

FIRST_PAUSE = 0.125
"""Seconds before the first poll: most operations take less than a second."""


@dataclass(frozen=True)
class OperationWaiter:
    """Polls operations until the last one is done.

    Attributes:
        deadline: Seconds for the whole chain.
        interval: Longest pause between two polls of one operation, seconds; the first ones are shorter. Neon
            allows about 11 requests a second in all, which some waiting stacks must be able to share.
        patience: Seconds that a failed operation may stand still before it counts as final.
        clock: Source of time.
    """

    deadline: float = 120.0
    interval: float = 0.5
    patience: float = 10.0
    clock: Clock = field(default_factory=Clock)

    def wait(self, operations: Iterable[Operation], fetch: Callable[[Operation], Operation]) -> None:
        """Returns when every operation is done.

        Args:
            operations: As a write answered them, in order; done ones cost no call.
            fetch: Reads the present state of one operation.

        Raises:
            NeonOperationError: One failed for good.
            NeonTimeoutError: The deadline passed.
            NeonError: A poll failed.
        """
        deadline = self.clock.monotonic() + self.deadline
        for operation in operations:
            self._wait_one(operation, fetch, deadline)

    def _wait_one(
        self, operation: Operation, fetch: Callable[[Operation], Operation], deadline: float
    ) -> None:
        seen: tuple[int, datetime | None] | None = None
        moved_at = self.clock.monotonic()
        pause = FIRST_PAUSE
        while operation.status not in DONE:
            now = self.clock.monotonic()
            if operation.status in FAILED:
                mark = (operation.failures_count, operation.updated_at)
                if mark != seen:
                    seen, moved_at = mark, now
                elif now - moved_at >= self.patience:
                    raise NeonOperationError(_story(operation, "failed"))
            if now >= deadline:
                # An operation still in `failed` at the end has an error worth showing.
                if operation.status in FAILED:
                    raise NeonOperationError(_story(operation, "failed"))
                raise NeonTimeoutError(_story(operation, f"did not finish within {self.deadline:g} s"))
            self.clock.sleep(pause)
            pause = min(self.interval, pause * 2)
            operation = fetch(operation)


def _story(operation: Operation, what: str) -> str:
    where = operation.endpoint_id or operation.branch_id or operation.project_id
    reason = f": {operation.error}" if operation.error else ""
    return (
        f"Neon operation {operation.action} ({operation.id}) on {where} {what},"
        f" last status {operation.status!r} after {operation.failures_count} failures{reason}"
    )
