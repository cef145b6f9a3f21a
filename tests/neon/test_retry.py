"""What is repeated, what is not, and for how long."""

from collections.abc import Callable
from typing import Never

import httpx
import pytest

from kardinal_infra.databases.neon.clock import Clock
from kardinal_infra.databases.neon.errors import (
    NeonAuthError,
    NeonCallTimeoutError,
    NeonConflictError,
    NeonError,
    NeonLimitExceededError,
    NeonLockedError,
    NeonNotFoundError,
    NeonServerError,
    NeonUnexpectedAnswerError,
    NeonUnknownOutcomeError,
)
from kardinal_infra.databases.neon.models import BranchCreated, BranchOptions, EndpointOptions
from tests.neon.fake import MAIN, PROJECT, FakeNeon, FakeTime, Fault, Request, error

Make = Callable[[], httpx.Response]

NOT_READY = "branch not ready yet"


def first_times(count: int, make: Make) -> Fault:
    """A fault that spoils the first so many requests."""

    def fault(request: Request, number: int, moment: str) -> httpx.Response | None:
        return make() if moment == "before" and number <= count else None

    return fault


def always(make: Make) -> Fault:
    return first_times(10**9, make)


def raiser(kind: type[httpx.HTTPError]) -> Make:
    def make() -> Never:
        raise kind("boom")

    return make


def create(neon: FakeNeon, time: FakeTime, name: str = "flow") -> BranchCreated:
    return neon.client(time).branches.create(
        PROJECT,
        BranchOptions(name=name, parent_id=MAIN),
        endpoints=[EndpointOptions()],
        annotations={"kardinal-stack": "s"},
    )


@pytest.mark.parametrize(
    "answer",
    [
        lambda: error(423, "project already has running conflicting operations"),
        lambda: error(429, "too many requests"),
        lambda: error(503, "try again"),
        lambda: error(422, NOT_READY),
        raiser(httpx.ConnectError),
        raiser(httpx.ConnectTimeout),
    ],
)
def test_a_write_that_did_nothing_is_repeated(answer: Make) -> None:
    neon, time = FakeNeon(), FakeTime()
    neon.fault = first_times(3, answer)
    assert create(neon, time).branch.name == "flow"
    assert len(neon.requests) == 4
    assert len(time.slept) == 3


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (lambda: error(500, "oops"), NeonServerError),
        (lambda: error(504, "gateway"), NeonServerError),
        (lambda: httpx.Response(524, html="<html><h1>A timeout occurred</h1></html>"), NeonServerError),
        (raiser(httpx.ReadTimeout), NeonCallTimeoutError),
        (raiser(httpx.ReadError), NeonUnknownOutcomeError),
        (raiser(httpx.RemoteProtocolError), NeonUnknownOutcomeError),
        (lambda: httpx.Response(201, text=""), NeonUnexpectedAnswerError),
        (lambda: httpx.Response(201, html="<html></html>"), NeonUnexpectedAnswerError),
        (lambda: httpx.Response(201, json=[]), NeonUnexpectedAnswerError),
        (lambda: httpx.Response(201, json={"branch": {"id": 1}}), NeonUnexpectedAnswerError),
    ],
)
def test_a_write_with_unknown_outcome_is_not_repeated(answer: Make, kind: type[NeonError]) -> None:
    neon, time = FakeNeon(), FakeTime()
    neon.fault = always(answer)
    with pytest.raises(kind) as caught:
        create(neon, time)
    assert isinstance(caught.value, NeonUnknownOutcomeError)
    assert len(neon.requests) == 1
    assert time.slept == []


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (lambda: error(400, "bad body"), NeonError),
        (lambda: error(401, "no"), NeonAuthError),
        (lambda: error(403, "no"), NeonAuthError),
        (lambda: error(404, "no branch"), NeonNotFoundError),
        (lambda: error(409, "taken"), NeonConflictError),
        (lambda: error(422, "too many", code="BRANCHES_LIMIT_EXCEEDED"), NeonLimitExceededError),
        (lambda: error(422, "other"), NeonError),
    ],
)
def test_refusals_are_final_for_reads_and_writes(answer: Make, kind: type[NeonError]) -> None:
    neon, time = FakeNeon(), FakeTime()
    neon.fault = always(answer)
    with pytest.raises(kind):
        create(neon, time)
    with pytest.raises(kind):
        neon.client(time).projects.get(PROJECT)
    assert len(neon.requests) == 2


@pytest.mark.parametrize(
    "answer",
    [
        lambda: error(500, "oops"),
        lambda: httpx.Response(502, html="<html>bad gateway</html>"),
        lambda: httpx.Response(200, html="<html>login</html>"),
        raiser(httpx.ReadTimeout),
        raiser(httpx.ReadError),
    ],
)
@pytest.mark.parametrize("method", ["get", "delete"])
def test_reads_and_deletes_are_repeated_after_an_unknown_outcome(answer: Make, method: str) -> None:
    neon, time = FakeNeon(), FakeTime()
    branch = neon.add_branch("flow", parent=MAIN)
    neon.fault = first_times(2, answer)
    result = getattr(neon.client(time).branches, method)(PROJECT, branch)
    assert result is not None
    assert len(neon.requests) == 3


def test_a_delete_whose_answer_was_lost_ends_well() -> None:
    neon, time = FakeNeon(), FakeTime()
    branch = neon.add_branch("flow", parent=MAIN)

    def lose_first_answer(request: Request, number: int, moment: str) -> None:
        if moment == "after" and number == 1:
            raise httpx.ReadError("reset")

    neon.fault = lose_first_answer
    assert neon.client(time).branches.delete(PROJECT, branch) is None
    assert not neon.named("flow")


def test_repeating_ends_at_the_deadline_with_the_last_failure() -> None:
    neon, time = FakeNeon(), FakeTime()
    neon.fault = always(lambda: error(423, "conflicting operations"))
    with pytest.raises(NeonLockedError, match=r"conflicting operations"):
        create(neon, time)
    assert 150 < time.seconds <= 180
    assert all(pause <= 2.0 for pause in time.slept)
    assert time.slept[0] <= 0.5


@pytest.mark.parametrize(
    ("status", "ceilings"),
    # Work on a project is short: whoever sleeps long while others work leaves it idle afterwards.
    [(429, [0.5, 1, 2, 4, 8, 8]), (503, [0.5, 1, 2, 4, 8, 8]), (423, [0.5, 1, 2, 2, 2, 2])],
)
def test_pauses_grow_and_differ_between_clients(status: int, ceilings: list[float]) -> None:
    clients = [FakeTime(jitter=Clock().jitter) for _ in range(2)]
    for time in clients:
        neon = FakeNeon()
        neon.fault = first_times(6, lambda: error(status, "busy"))
        create(neon, time)
        for pause, ceiling in zip(time.slept, ceilings, strict=True):
            assert ceiling / 2 <= pause <= ceiling
    pauses = [pause for time in clients for pause in time.slept]
    assert len(set(pauses)) == len(pauses)


@pytest.mark.parametrize(
    ("value", "least", "most"),
    [
        ("20", 20, 20.5),
        ("0.25", 0.25, 0.75),
        ("Mon, 23 Nov 2026 12:00:30 GMT", 30, 30.5),
        ("Mon, 23 Nov 2026 11:00:00 GMT", 0, 0.5),
        ("soon", 0.25, 0.5),
        ("-3", 0, 0.5),
    ],
)
def test_retry_after_is_honoured(value: str, least: float, most: float) -> None:
    neon, time = FakeNeon(), FakeTime()
    neon.fault = first_times(1, lambda: error(429, "slow down", headers={"Retry-After": value}))
    create(neon, time)
    assert least <= time.slept[0] <= most


def test_a_retry_after_beyond_the_deadline_fails_at_once() -> None:
    neon, time = FakeNeon(), FakeTime()
    neon.fault = always(lambda: error(429, "slow down", headers={"Retry-After": "3600"}))
    with pytest.raises(NeonError, match=r"slow down"):
        create(neon, time)
    assert time.slept == []


def test_404_is_repeated_only_when_just_made_and_not_for_long() -> None:
    neon, time = FakeNeon(), FakeTime()
    branch = neon.add_branch("flow", parent=MAIN)
    neon.fault = first_times(3, lambda: error(404, "branch not found"))
    assert neon.client(time).branches.get(PROJECT, branch, just_made=True).branch.id == branch
    neon.fault = always(lambda: error(404, "branch not found"))
    before = time.seconds
    with pytest.raises(NeonNotFoundError):
        neon.client(time).branches.get(PROJECT, branch, just_made=True)
    assert 5 < time.seconds - before < 20
    asked = len(neon.requests)
    with pytest.raises(NeonNotFoundError):
        neon.client(time).branches.get(PROJECT, branch)
    assert len(neon.requests) == asked + 1


def test_anything_but_a_neon_error_passes_through() -> None:
    neon, time = FakeNeon(), FakeTime()

    def broken(request: Request, number: int, moment: str) -> Never:
        raise ZeroDivisionError

    neon.fault = broken
    with pytest.raises(ZeroDivisionError):
        create(neon, time)
    assert len(neon.requests) == 1
