"""Waiting for operations."""

import httpx
import pytest

from kardinal_infra.databases.neon.errors import NeonOperationError, NeonTimeoutError
from kardinal_infra.databases.neon.models import (
    Operation,
)
from kardinal_infra.databases.neon.operations import OperationWaiter
from tests.neon.fake import MAIN, PROJECT, FakeNeon, FakeTime, Request, error

# Operations.


def operation(status: str, failures: int = 0, at: int = 0, **fields: object) -> Operation:
    moment = f"2026-11-23T12:00:{at:02d}Z"
    return Operation.model_validate(
        {
            "id": "op-1",
            "project_id": PROJECT,
            "action": "start_compute",
            "status": status,
            "failures_count": failures,
            "updated_at": moment,
            **fields,
        }
    )


def run_waiter(time: FakeTime, *states: Operation) -> None:
    """Waits for an operation that goes through these states, the last one for ever."""
    left = list(states)

    def fetch(_: Operation) -> Operation:
        return left.pop(0) if len(left) > 1 else left[0]

    OperationWaiter(clock=time.clock()).wait([left.pop(0)], fetch)


@pytest.mark.parametrize("status", ["finished", "skipped", "cancelled"])
def test_waiting_ends_with_a_final_status(status: str) -> None:
    time = FakeTime()
    run_waiter(time, operation("scheduling"), operation("running"), operation("new-state"), operation(status))
    assert time.slept == [0.125, 0.25, 0.5]


def test_a_finished_operation_costs_no_poll() -> None:
    time = FakeTime()
    OperationWaiter(clock=time.clock()).wait([operation("finished")], lambda _: pytest.fail("polled"))
    assert time.slept == []


def test_a_failed_operation_that_still_moves_is_waited_for() -> None:
    time = FakeTime()
    moving = [operation("failed", failures=n, at=n) for n in range(1, 30)]
    run_waiter(time, operation("running"), *moving, operation("finished"))
    assert time.seconds > 10


def test_a_failed_operation_that_stands_still_is_given_up() -> None:
    time = FakeTime()
    with pytest.raises(NeonOperationError, match=r"start_compute \(op-1\) on ep-7 failed.*no space"):
        run_waiter(
            time,
            operation("running"),
            operation("failed", failures=1, error="no space", endpoint_id="ep-7"),
        )
    assert 10 <= time.seconds < 15


def test_waiting_has_a_deadline() -> None:
    time = FakeTime()
    with pytest.raises(NeonTimeoutError, match=r"120 s"):
        run_waiter(time, operation("running"), operation("running"))
    assert 120 <= time.seconds < 125


def test_a_poll_survives_an_operation_that_is_not_visible_yet() -> None:
    neon, time = FakeNeon(), FakeTime()
    started = neon._start("create_branch", MAIN)

    def hidden(request: Request, number: int, moment: str) -> httpx.Response | None:
        return error(404, "operation not found") if number <= 2 and moment == "before" else None

    neon.fault = hidden
    client = neon.client(time)
    client.operations.wait([Operation.model_validate(started)])
    assert len(neon.sent("GET", "operations")) == 3
