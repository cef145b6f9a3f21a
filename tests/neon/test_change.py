"""Changing, reading and removing a branch."""

from __future__ import annotations

from typing import Any

import pytest

from kardinal_infra.databases.neon.branch import ensure_branch
from kardinal_infra.databases.neon.change import read_branch, update_branch
from kardinal_infra.databases.neon.errors import NeonConflictError, NeonNotFoundError
from kardinal_infra.databases.neon.removal import remove_branch
from kardinal_infra.errors import BranchingError
from tests.neon.fake import MAIN, PROJECT, FakeNeon, FakeTime
from tests.neon.wanted import OURS, SPEC, password, replace

# Changes.


def test_an_update_renames_protects_and_renews() -> None:
    neon, time = FakeNeon(), FakeTime()
    made = ensure_branch(neon.client(time), SPEC).branch
    time.seconds += 3600
    renewed = update_branch(neon.client(time), PROJECT, made.id, replace(SPEC, name="new"), rotate=False)
    assert renewed.branch.name == "new"
    assert neon.branches[made.id]["expires_at"] > "2026-11-24T13:00"
    wanted = replace(SPEC, name="new", ttl=None, protected=True)
    protected = update_branch(neon.client(time), PROJECT, made.id, wanted, rotate=False)
    assert (protected.branch.expires_at, protected.branch.protected) == (None, True)
    patches = [request.body["branch"] for request in neon.sent("PATCH")]
    # Neon refuses both at the same time, so the expiry goes before the protection comes.
    assert patches[-2:] == [{"expires_at": None}, {"protected": True}]
    back = update_branch(neon.client(time), PROJECT, made.id, SPEC, rotate=False)
    assert back.branch.protected is False
    assert back.branch.expires_at is not None


def test_a_name_taken_by_another_branch_is_a_conflict() -> None:
    neon = FakeNeon()
    made = ensure_branch(neon.client(), SPEC).branch
    neon.add_branch("taken", parent=MAIN)
    with pytest.raises(NeonConflictError, match=r"taken"):
        update_branch(neon.client(), PROJECT, made.id, replace(SPEC, name="taken"), rotate=False)


def test_an_update_makes_a_removed_compute_again_and_rotates_when_asked() -> None:
    neon = FakeNeon()
    made = ensure_branch(neon.client(), SPEC)
    assert made.endpoint is not None
    del neon.endpoints[made.endpoint.id]
    view = update_branch(neon.client(), PROJECT, made.branch.id, SPEC, rotate=True)
    assert view.endpoint is not None
    assert view.endpoint.id != made.endpoint.id
    assert password(view) == neon.passwords[made.branch.id, "votes_owner"] != password(made)


def test_an_update_of_a_branch_that_is_gone_fails() -> None:
    neon = FakeNeon()
    with pytest.raises(NeonNotFoundError):
        update_branch(neon.client(), PROJECT, "br-gone-sea-1", SPEC, rotate=False)


def test_reading_gives_what_creation_gave() -> None:
    neon = FakeNeon()
    made = ensure_branch(neon.client(), SPEC)
    read = read_branch(neon.client(), PROJECT, made.branch.id, database="votes", role="votes_owner")
    assert read == replace(made, adopted=None)


def test_reading_what_is_gone_or_going_gives_none() -> None:
    neon = FakeNeon()
    going = neon.add_branch("x", parent=MAIN, pending_state="storage_deleted")
    assert read_branch(neon.client(), PROJECT, "br-gone-sea-1", database=None, role=None) is None
    assert read_branch(neon.client(), PROJECT, going, database=None, role=None) is None


def test_reading_shows_a_missing_compute_or_role() -> None:
    neon = FakeNeon()
    bare = neon.add_branch("x", parent=MAIN, endpoint=False)
    view = read_branch(neon.client(), PROJECT, bare, database="votes", role="votes_owner")
    assert view is not None
    assert (view.endpoint, view.connection) == (None, None)
    full = neon.add_branch("y", parent=MAIN)
    view = read_branch(neon.client(), PROJECT, full, database="votes", role="dropped")
    assert view is not None
    assert view.endpoint is not None
    assert view.connection is None


# Removal.


def test_removal_waits_and_a_second_one_finds_nothing() -> None:
    neon = FakeNeon()
    made = ensure_branch(neon.client(), SPEC).branch
    assert remove_branch(neon.client(), PROJECT, made.id) is True
    assert all(operation["status"] == "finished" for operation in neon.operations)
    assert remove_branch(neon.client(), PROJECT, made.id) is False
    assert list(neon.branches) == [MAIN]


@pytest.mark.parametrize("fields", [{"default": True}, {"protected": True}])
def test_default_and_protected_branches_are_refused(fields: dict[str, Any]) -> None:
    neon = FakeNeon()
    kept = neon.add_branch("kept", parent=MAIN, **fields)
    with pytest.raises(BranchingError, match=rf"{next(iter(fields))}.*kept|kept.*{next(iter(fields))}"):
        remove_branch(neon.client(), PROJECT, kept)
    assert neon.sent("DELETE") == []


def test_children_are_named() -> None:
    neon = FakeNeon()
    made = ensure_branch(neon.client(), SPEC).branch
    child = neon.add_branch("by-hand", parent=made.id)
    with pytest.raises(BranchingError, match=rf"by-hand.*{child}.*somebody"):
        remove_branch(neon.client(), PROJECT, made.id)
    assert neon.sent("DELETE") == []


def test_a_cascade_takes_own_children_only() -> None:
    neon = FakeNeon()
    made = ensure_branch(neon.client(), SPEC).branch
    child = neon.add_branch("child", parent=made.id, annotations=OURS)
    neon.add_branch("grandchild", parent=child, annotations=OURS)
    foreign = neon.add_branch("foreign", parent=made.id, annotations={"kardinal-stack": "a/b/c"})
    with pytest.raises(BranchingError, match=r"foreign.*stack a/b/c"):
        remove_branch(neon.client(), PROJECT, made.id, cascade_stack=OURS)
    assert len(neon.branches) == 5
    del neon.branches[foreign]
    remove_branch(neon.client(), PROJECT, made.id, cascade_stack=OURS)
    assert list(neon.branches) == [MAIN]


def test_a_project_that_is_not_visible_is_no_proof_that_the_branch_is_gone() -> None:
    neon = FakeNeon()
    with pytest.raises(BranchingError, match=r"elsewhere-sea-1 is not visible.*NEON_API_KEY.*state delete"):
        remove_branch(neon.client(), "elsewhere-sea-1", "br-a-b-1")
    with pytest.raises(BranchingError, match=r"not visible"):
        read_branch(neon.client(), "elsewhere-sea-1", "br-a-b-1", database=None, role=None)
