"""Branches from an earlier moment and branches without data: what is asked for, adopted and refused."""

from __future__ import annotations

import httpx
import pytest

from kardinal_infra.databases.neon.branch import ensure_branch
from kardinal_infra.databases.neon.change import read_branch, update_branch
from kardinal_infra.databases.neon.content import CONTENT_ANNOTATION
from kardinal_infra.databases.neon.spec import BranchSpec
from kardinal_infra.errors import BranchingError, OwnershipError
from tests.neon.fake import MAIN, PARENT_PASSWORD, PROJECT, Crash, FakeNeon, Request
from tests.neon.wanted import OURS, SPEC, password, replace

THEN = "2026-11-23T11:30:00.5+00:00"
SCHEMA_ONLY = replace(SPEC, init="schema-only")


def dies_before(neon: FakeNeon, method: str, part: str) -> None:
    """Kills the process at the first request of one kind."""

    def fault(request: Request, number: int, moment: str) -> None:
        if moment == "before" and request.method == method and part in request.path:
            neon.fault = None
            raise Crash

    neon.fault = fault


# Points in time.


def test_a_moment_is_sent_in_utc_and_kept_on_the_branch() -> None:
    neon = FakeNeon()
    view = ensure_branch(neon.client(), replace(SPEC, parent_timestamp="2026-11-23T13:30:00.5+02:00"))
    sent = neon.sent("POST", "/branches")[0].body
    assert sent["branch"]["parent_timestamp"] == "2026-11-23T11:30:00.500000Z"
    assert "parent_lsn" not in sent["branch"]
    mark = neon.annotations[view.branch.id][CONTENT_ANNOTATION]
    assert mark == f"at=2026-11-23T11:30:00.500000Z parent={MAIN}"


def test_a_log_position_is_sent_as_it_is() -> None:
    neon = FakeNeon()
    view = ensure_branch(neon.client(), replace(SPEC, parent_lsn="0/1de2850"))
    assert neon.sent("POST", "/branches")[0].body["branch"]["parent_lsn"] == "0/1de2850"
    assert view.branch.parent_lsn == "0/1de2850"


def test_a_moment_before_the_projects_history_is_refused_with_the_first_one_there_is() -> None:
    neon = FakeNeon()
    neon.history_seconds = 3600
    message = r"2026-11-23T10:00:00Z is before 2026-11-23T11:00:00Z.*\(1:00:00\).*later time, or lengthen"
    with pytest.raises(BranchingError, match=message):
        ensure_branch(neon.client(), replace(SPEC, parent_timestamp="2026-11-23T10:00:00Z"))
    assert [request for request in neon.requests if request.method != "GET"] == []


def test_a_project_without_history_says_so() -> None:
    neon = FakeNeon()
    neon.history_seconds = 0
    with pytest.raises(
        BranchingError, match=r"keeps no history to find 2026-11-23T10:00:00Z in: leave it out"
    ):
        ensure_branch(neon.client(), replace(SPEC, parent_timestamp="2026-11-23T10:00:00Z"))
    assert [request for request in neon.requests if request.method != "GET"] == []


def test_a_branch_that_a_killed_run_left_is_adopted_for_the_same_moment_only() -> None:
    neon = FakeNeon()
    dies_before(neon, "POST", "reset_password")
    with pytest.raises(Crash):
        ensure_branch(neon.client(), replace(SPEC, parent_timestamp=THEN))
    for other in (
        SPEC,
        replace(SPEC, parent_lsn="0/1"),
        replace(SPEC, parent_timestamp="2026-11-23T11:00:00Z"),
    ):
        with pytest.raises(
            OwnershipError, match=r"made with .*at=2026-11-23T11:30:00.5.* instead of .*delete it"
        ):
            ensure_branch(neon.client(), other)
    # Out of the history by now, which is no matter: the branch is there.
    neon.history_seconds = 0
    assert ensure_branch(neon.client(), replace(SPEC, parent_timestamp=THEN)).adopted is True


# Schema only.


def test_a_schema_only_branch_is_a_root_of_ours_with_a_password_of_its_own() -> None:
    neon = FakeNeon()
    neon.branches[MAIN]["protected"] = True
    view = ensure_branch(neon.client(), SCHEMA_ONLY)
    assert neon.sent("POST", "/branches")[0].body["branch"]["init_source"] == "schema-only"
    assert (view.branch.parent_id, view.parent_id) == (None, MAIN)
    assert neon.annotations[view.branch.id] == {**OURS, CONTENT_ANNOTATION: f"init=schema-only parent={MAIN}"}
    assert neon.sent("POST", "reset_password")
    assert password(view) != PARENT_PASSWORD


def test_a_schema_only_branch_may_come_from_an_expiring_one() -> None:
    neon = FakeNeon()
    neon.branches[MAIN]["expires_at"] = "2026-11-25T00:00:00Z"
    with pytest.raises(BranchingError, match=r"expires at"):
        ensure_branch(neon.client(), SPEC)
    assert ensure_branch(neon.client(), SCHEMA_ONLY).branch.init_source == "schema-only"


def test_a_killed_schema_only_branch_is_completed() -> None:
    neon = FakeNeon()
    dies_before(neon, "POST", "reset_password")
    with pytest.raises(Crash):
        ensure_branch(neon.client(), SCHEMA_ONLY)
    view = ensure_branch(neon.client(), SCHEMA_ONLY)
    assert view.adopted is True
    assert password(view) == neon.passwords[view.branch.id, "votes_owner"] != PARENT_PASSWORD


@pytest.mark.parametrize(
    "marks",
    [
        {},
        {CONTENT_ANNOTATION: "init=schema-only parent=br-other-sea-1"},
        {CONTENT_ANNOTATION: f"init=masked rules=0 parent={MAIN}"},
    ],
)
def test_a_root_branch_of_ours_with_another_mark_is_not_adopted(marks: dict[str, str]) -> None:
    neon = FakeNeon()
    neon.add_branch(SPEC.name, annotations={**OURS, **marks})
    with pytest.raises(OwnershipError, match=r"made with .* instead of init=schema-only"):
        ensure_branch(neon.client(), SCHEMA_ONLY)
    assert [request for request in neon.requests if request.method != "GET"] == []


def test_a_root_branch_is_never_taken_for_one_with_data() -> None:
    neon = FakeNeon()
    ensure_branch(neon.client(), SCHEMA_ONLY)
    with pytest.raises(OwnershipError, match=r"made from no parent instead of"):
        ensure_branch(neon.client(), SPEC)


@pytest.mark.parametrize("spec", [SPEC, SCHEMA_ONLY])
@pytest.mark.parametrize("answered", [MAIN, "other"])
def test_an_answer_that_names_another_branch_is_neither_used_nor_cleaned_up(
    spec: BranchSpec, answered: str
) -> None:
    neon = FakeNeon()
    neon.branches[MAIN]["default"] = False
    parent = MAIN if spec.content != "data" else None
    other = MAIN if answered == MAIN else neon.add_branch("other", parent=parent)
    create = neon._create

    def confused(request: Request, *, masked: bool = False) -> httpx.Response:
        made = create(request, masked=masked).json()
        return httpx.Response(201, json={**made, "branch": neon.branches[other]})

    neon._create = confused  # type: ignore[method-assign]
    with pytest.raises(BranchingError):
        ensure_branch(neon.client(), spec)
    assert {MAIN, other} <= neon.branches.keys()
    assert neon.sent("DELETE") == neon.sent("GET", "/connection_uri") == []
    assert neon.sent("POST", f"/branches/{other}") == neon.sent("PATCH", f"/branches/{other}") == []


# Life of a root branch.


def test_a_root_branch_is_read_and_updated_without_a_parent() -> None:
    neon = FakeNeon()
    made = ensure_branch(neon.client(), SCHEMA_ONLY)
    read = read_branch(neon.client(), PROJECT, made.branch.id, database="votes", role="votes_owner")
    assert read == replace(made, adopted=None, parent_id=None)
    updated = update_branch(
        neon.client(), PROJECT, made.branch.id, replace(SCHEMA_ONLY, name="n"), rotate=True
    )
    assert updated.branch.name == "n"
    assert password(updated) != password(made)
