"""Create-or-adopt over conflicts, lost answers, crashes and random faults."""

from __future__ import annotations

import random
from collections.abc import Callable

import httpx
import pytest

from kardinal_infra.databases.neon.branch import ensure_branch
from kardinal_infra.databases.neon.change import update_branch
from kardinal_infra.databases.neon.errors import NeonConflictError, NeonError, NeonOperationError
from kardinal_infra.databases.neon.removal import remove_branch
from kardinal_infra.errors import BranchingError, KardinalError, OwnershipError
from tests.neon.fake import MAIN, PARENT_PASSWORD, PROJECT, Crash, FakeNeon, FakeTime, Fault, Request, error
from tests.neon.wanted import OURS, SPEC, assert_exactly_one_branch_of_ours, password, replace

# Conflicts and unknown outcomes.


def nth(method: str, part: str, count: int, moment: str, act: Callable[[], httpx.Response | None]) -> Fault:
    """A fault at the first so many requests of one kind."""
    seen = 0

    def fault(request: Request, number: int, at: str) -> httpx.Response | None:
        nonlocal seen
        if at != moment or request.method != method or part not in request.path:
            return None
        seen += 1
        return act() if seen <= count else None

    return fault


def reset() -> None:
    raise httpx.ReadError("connection reset")


@pytest.mark.parametrize(
    ("moment", "act"),
    [
        ("after", reset),
        ("after", lambda: error(500, "oops")),
        ("after", lambda: httpx.Response(524, html="<html>")),
        ("after", lambda: httpx.Response(201, text="")),
        ("before", reset),
        ("before", lambda: error(502, "bad gateway")),
        ("before", lambda: error(423, "running conflicting operations")),
    ],
)
@pytest.mark.parametrize("count", [1, 2])
def test_a_create_with_unknown_outcome_ends_with_one_branch(
    moment: str, act: Callable[[], httpx.Response | None], count: int
) -> None:
    neon = FakeNeon()
    neon.fault = nth("POST", "/branches", count, moment, act)
    view = ensure_branch(neon.client(), SPEC)
    assert_exactly_one_branch_of_ours(neon, view)
    assert view.adopted is False


def test_a_branch_that_appears_between_look_and_create_is_looked_at() -> None:
    neon = FakeNeon()

    def somebody_is_faster() -> None:
        neon.add_branch(SPEC.name, parent=MAIN, annotations={"kardinal-stack": "organization/kardinal/other"})

    neon.fault = nth("POST", "/branches", 1, "before", somebody_is_faster)
    with pytest.raises(OwnershipError):
        ensure_branch(neon.client(), SPEC)
    assert len(neon.named(SPEC.name)) == 1


def test_a_name_that_is_taken_but_not_listed_never_leads_to_another_branch() -> None:
    neon = FakeNeon()
    neon.fault = nth("POST", "/branches", 99, "before", lambda: error(409, "branch already exists"))
    with pytest.raises(NeonConflictError, match=r"lists no branch named.*recover or purge"):
        ensure_branch(neon.client(), SPEC)
    assert neon.sent("GET", "/connection_uri") == []


def test_a_branch_that_is_being_deleted_is_waited_for() -> None:
    neon, time = FakeNeon(), FakeTime()
    dying = neon.add_branch(SPEC.name, parent=MAIN, annotations=OURS, pending_state="storage_deleted")

    def gone(request: Request, number: int, moment: str) -> None:
        if time.seconds >= 2:
            neon.branches.pop(dying, None)

    neon.fault = gone
    view = ensure_branch(neon.client(time), SPEC)
    assert view.branch.id != dying
    assert view.adopted is False


def test_an_answer_that_points_at_the_parent_is_refused_and_the_branch_removed() -> None:
    neon = FakeNeon()
    main_host = next(e["host"] for e in neon.endpoints.values() if e["branch_id"] == MAIN)

    def parents_uri(request: Request, number: int, moment: str) -> httpx.Response | None:
        if moment == "after" and "connection_uri" in request.path:
            uri = f"postgresql://votes_owner:{PARENT_PASSWORD}@{main_host}/votes"
            return httpx.Response(200, json={"uri": uri})
        return None

    neon.fault = parents_uri
    with pytest.raises(BranchingError, match=r"not one of branch") as caught:
        ensure_branch(neon.client(), SPEC)
    assert PARENT_PASSWORD not in str(caught.value)
    assert list(neon.branches) == [MAIN]


def test_computes_that_share_a_host_need_a_port_to_be_told_apart() -> None:
    neon = FakeNeon()

    def shared(request: Request, number: int, moment: str) -> None:
        for endpoint in neon.endpoints.values():
            endpoint["host"] = "127.0.0.1"

    neon.fault = shared
    with pytest.raises(BranchingError, match=r"no port tells them apart"):
        ensure_branch(neon.client(), SPEC)


def test_a_failure_after_the_create_removes_the_branch() -> None:
    neon = FakeNeon()

    def no_compute(request: Request, number: int, moment: str) -> None:
        for operation in neon.operations:
            if operation["action"] == "start_compute":
                operation.update(status="failed", error="no capacity")

    neon.fault = no_compute
    with pytest.raises(NeonOperationError, match=r"no capacity"):
        ensure_branch(neon.client(), SPEC)
    assert list(neon.branches) == [MAIN]


def test_an_adopted_branch_survives_a_failure() -> None:
    neon = FakeNeon()
    left = neon.add_branch(SPEC.name, parent=MAIN, annotations=OURS)
    neon.fault = nth("GET", "connection_uri", 99, "before", lambda: error(400, "no"))
    with pytest.raises(NeonError):
        ensure_branch(neon.client(), SPEC)
    assert left in neon.branches


# Crashes and random faults.


def calls_of(run: Callable[[FakeNeon], object]) -> int:
    neon = FakeNeon()
    run(neon)
    return len(neon.requests)


def crash_at(number: int, moment: str) -> Fault:
    def fault(request: Request, seen: int, at: str) -> None:
        if (seen, at) == (number, moment):
            raise Crash

    return fault


CREATE_CALLS = calls_of(lambda neon: ensure_branch(neon.client(), SPEC))


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("number", range(1, CREATE_CALLS + 1))
def test_a_create_killed_at_any_call_is_completed_by_the_next(number: int, moment: str) -> None:
    neon = FakeNeon()
    neon.fault = crash_at(number, moment)
    with pytest.raises(Crash):
        ensure_branch(neon.client(), SPEC)
    neon.fault = None
    view = ensure_branch(neon.client(), SPEC)
    assert_exactly_one_branch_of_ours(neon, view)
    remove_branch(neon.client(), PROJECT, view.branch.id)
    assert list(neon.branches) == [MAIN]


def test_random_faults_and_crashes_leave_neither_orphans_nor_duplicates() -> None:
    names = [f"kardinal/voting/flow-{n}/votes" for n in range(3)]
    for seed in range(60):
        dice = random.Random(seed)
        neon = FakeNeon()
        foreign = neon.add_branch("kardinal/voting/foreign/votes", parent=MAIN, annotations={"who": "else"})
        before = dict(neon.branches[foreign])

        def fault(
            request: Request, number: int, moment: str, dice: random.Random = dice
        ) -> httpx.Response | None:
            if dice.random() > 0.12:
                return None
            return dice.choice(
                [
                    lambda: error(423, "running conflicting operations"),
                    lambda: error(429, "slow", headers={"Retry-After": "1"}),
                    lambda: error(503, "later") if moment == "before" else None,
                    lambda: error(500, "oops"),
                    lambda: httpx.Response(524, html="<html>"),
                    reset,
                    _time_out,
                    _crash,
                ]
                if moment == "before"
                else [lambda: error(500, "oops"), reset, _time_out, _crash]
            )()

        neon.fault = fault
        for _ in range(dice.randrange(2, 6)):
            spec = replace(SPEC, name=dice.choice(names))
            try:
                view = ensure_branch(neon.client(), spec)
                if dice.random() < 0.5:
                    update_branch(neon.client(), PROJECT, view.branch.id, spec, rotate=True)
                if dice.random() < 0.5:
                    remove_branch(neon.client(), PROJECT, view.branch.id)
            except (Crash, KardinalError):
                pass
        neon.fault = None
        for name in names:
            view = ensure_branch(neon.client(), replace(SPEC, name=name))
            assert len(neon.named(name)) == 1, seed
            assert view.branch.parent_id == MAIN
            assert password(view) != PARENT_PASSWORD
        for name in names:
            remove_branch(neon.client(), PROJECT, neon.named(name)[0]["id"])
        assert sorted(neon.branches) == sorted([MAIN, foreign]), seed
        assert neon.branches[foreign] == before
        assert neon.passwords[MAIN, "votes_owner"] == PARENT_PASSWORD


def _time_out() -> None:
    raise httpx.ReadTimeout("slow")


def _crash() -> None:
    raise Crash
