"""Create-or-adopt, change and removal, over every fault and crash that HTTP knows."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

import httpx
import pytest

from kardinal_infra.databases.neon.branch import ensure_branch
from kardinal_infra.databases.neon.change import read_branch, update_branch
from kardinal_infra.databases.neon.removal import remove_branch
from kardinal_infra.databases.neon.spec import BranchSpec, BranchView
from kardinal_infra.errors import (
    BranchingError,
    KardinalError,
    NeonConflictError,
    NeonError,
    NeonNotFoundError,
    NeonOperationError,
    NeonPreconditionError,
    OwnershipError,
)
from tests.neon.fake import MAIN, PARENT_PASSWORD, PROJECT, Crash, FakeNeon, FakeTime, Request, error

OURS = {"kardinal-stack": "organization/kardinal/dev", "kardinal-flow": "dev", "kardinal-database": "votes"}
SPEC = BranchSpec(
    project=PROJECT,
    name="kardinal/voting/dev/votes",
    database="votes",
    role="votes_owner",
    annotations=OURS,
    parent="main",
    ttl="24h",
)


def password(view: BranchView) -> str:
    assert view.connection is not None
    return view.connection.password.get_secret_value()


def assert_exactly_one_branch_of_ours(neon: FakeNeon, view: BranchView) -> None:
    assert [branch["id"] for branch in neon.named(SPEC.name)] == [view.branch.id]
    assert len(neon.branches) == 2
    assert view.branch.parent_id == MAIN
    assert view.endpoint is not None
    assert view.connection is not None
    endpoints = [e for e in neon.endpoints.values() if e["branch_id"] == view.branch.id]
    assert [e["host"] for e in endpoints] == [view.connection.host]
    # The password is the branch's own, and production's was left alone.
    assert password(view) == neon.passwords[view.branch.id, "votes_owner"] != PARENT_PASSWORD
    assert neon.passwords[MAIN, "votes_owner"] == PARENT_PASSWORD
    assert neon.branches[view.branch.id]["expires_at"] is not None


def test_a_branch_is_made_ready_with_a_password_of_its_own() -> None:
    neon = FakeNeon()
    view = ensure_branch(neon.client(), SPEC)
    assert_exactly_one_branch_of_ours(neon, view)
    assert view.adopted is False
    request = neon.sent("POST", "/branches")[0].body
    assert request["endpoints"] == [{"type": "read_write"}]
    assert request["annotation_value"] == OURS
    assert request["branch"]["parent_id"] == MAIN
    assert request["branch"]["expires_at"] == "2026-11-24T12:00:00Z"
    assert all(operation["status"] == "finished" for operation in neon.operations)


def test_every_connection_uri_is_asked_for_by_branch_and_compute() -> None:
    neon = FakeNeon()
    view = ensure_branch(neon.client(), SPEC)
    assert view.endpoint is not None
    for request in neon.sent("GET", "/connection_uri"):
        assert request.params["branch_id"] == view.branch.id
        assert request.params["endpoint_id"] == view.endpoint.id


def test_direct_and_pooled_uri_differ_by_the_pooler_only() -> None:
    view = ensure_branch(FakeNeon().client(), SPEC)
    assert view.connection is not None
    assert view.endpoint is not None
    direct, pooled = (uri.get_secret_value() for uri in (view.connection.uri, view.connection.pooled_uri))
    assert pooled == direct.replace(view.endpoint.id, f"{view.endpoint.id}-pooler")


def test_views_show_no_secret() -> None:
    view = ensure_branch(FakeNeon().client(), SPEC)
    assert password(view) not in repr(view)


# Passwords.


def test_under_a_protected_parent_the_generated_password_is_kept() -> None:
    neon = FakeNeon()
    neon.branches[MAIN]["protected"] = True
    view = ensure_branch(neon.client(), SPEC)
    assert password(view).startswith("generated-")
    assert neon.sent("POST", "reset_password") == []


def test_without_rotation_the_inherited_password_is_read() -> None:
    neon = FakeNeon()
    assert password(ensure_branch(neon.client(), replace(SPEC, rotate_password=False))) == PARENT_PASSWORD


def test_an_answer_with_the_old_password_is_asked_for_again() -> None:
    neon, time = FakeNeon(), FakeTime()
    stale = 2

    def lagging(request: Request, number: int, moment: str):
        nonlocal stale
        if moment == "after" and "connection_uri" in request.path and stale:
            stale -= 1
            host = next(
                e["host"] for e in neon.endpoints.values() if e["branch_id"] == request.params["branch_id"]
            )
            uri = f"postgresql://votes_owner:{PARENT_PASSWORD}@{host}/votes"
            return httpx.Response(200, json={"uri": uri})
        return None

    neon.fault = lagging
    assert password(ensure_branch(neon.client(time), SPEC)) != PARENT_PASSWORD


def test_a_project_that_stores_no_passwords_is_explained_and_left_clean() -> None:
    neon = FakeNeon()
    neon.store_passwords = False
    with pytest.raises(NeonPreconditionError, match=r"store_passwords"):
        ensure_branch(neon.client(), SPEC)
    assert list(neon.branches) == [MAIN]


# The parent.


def test_the_default_branch_is_resolved_once_and_named_by_id() -> None:
    neon = FakeNeon()
    ensure_branch(neon.client(), replace(SPEC, parent=None))
    assert neon.sent("POST", "/branches")[0].body["branch"]["parent_id"] == MAIN


@pytest.mark.parametrize(
    ("prepare", "spec", "message"),
    [
        (
            lambda n: None,
            replace(SPEC, parent="mian"),
            r"parent: .* no branch with the id or name 'mian'.*main",
        ),
        (lambda n: n.add_branch("main", id="br-second-main-1"), SPEC, "several.*br-main.*br-second-main-1"),
        (
            lambda n: n.branches[MAIN].update(expires_at="2026-12-01T00:00:00Z"),
            SPEC,
            "expires at 2026-12-01T00:00:00Z.*remove its TTL",
        ),
        (lambda n: n.branches[MAIN].update(default=False), replace(SPEC, parent=None), "no default branch"),
        (lambda n: None, replace(SPEC, project="quiet-see"), r"no Neon project .*'quiet-see'.*voting"),
        (
            lambda n: None,
            replace(SPEC, database="vote", role="root"),
            r"database 'vote' does not exist there \(it has votes\); role 'root'",
        ),
    ],
)
def test_what_cannot_work_is_said_before_anything_is_created(prepare, spec, message) -> None:
    neon = FakeNeon()
    prepare(neon)
    with pytest.raises(BranchingError, match=message):
        ensure_branch(neon.client(), spec)
    assert [request for request in neon.requests if request.method != "GET"] == []


# Ownership.


def test_our_own_branch_is_adopted_completed_and_renewed() -> None:
    neon = FakeNeon()
    left = neon.add_branch(SPEC.name, parent=MAIN, annotations=OURS, endpoint=False)
    view = ensure_branch(neon.client(), SPEC)
    assert view.adopted is True
    assert view.branch.id == left
    assert_exactly_one_branch_of_ours(neon, view)
    assert neon.branches[left]["expires_at"] >= "2026-11-24T12:00:00Z"


@pytest.mark.parametrize(
    "annotations",
    [
        {},
        {**OURS, "kardinal-stack": "organization/kardinal/other"},
        {"kardinal-stack": OURS["kardinal-stack"]},
    ],
)
def test_a_foreign_branch_is_neither_adopted_nor_touched(annotations) -> None:
    neon = FakeNeon()
    foreign = neon.add_branch(SPEC.name, parent=MAIN, annotations=annotations)
    with pytest.raises(OwnershipError, match=rf"{SPEC.name}.*{foreign}"):
        ensure_branch(neon.client(), SPEC)
    assert foreign in neon.branches
    assert [request for request in neon.requests if request.method != "GET"] == []


def test_the_owner_of_a_foreign_branch_is_named() -> None:
    neon = FakeNeon()
    neon.add_branch(SPEC.name, parent=MAIN, annotations={"kardinal-stack": "organization/kardinal/other"})
    with pytest.raises(OwnershipError, match=r"belongs to stack organization/kardinal/other"):
        ensure_branch(neon.client(), SPEC)


def test_the_default_branch_is_never_adopted() -> None:
    neon = FakeNeon()
    neon.annotations[MAIN] = OURS
    base = neon.add_branch("base", parent=MAIN)
    with pytest.raises(OwnershipError, match=r"default branch"):
        ensure_branch(neon.client(), replace(SPEC, name="main", parent=base))


def test_our_branch_of_another_parent_is_refused() -> None:
    neon = FakeNeon()
    other = neon.add_branch("other", parent=MAIN)
    neon.add_branch(SPEC.name, parent=other, annotations=OURS)
    with pytest.raises(OwnershipError, match=rf"made from {other} instead of {MAIN}"):
        ensure_branch(neon.client(), SPEC)


def test_without_annotations_nothing_is_ours() -> None:
    neon = FakeNeon()
    neon.add_branch(SPEC.name, parent=MAIN, annotations=OURS)
    with pytest.raises(OwnershipError):
        ensure_branch(neon.client(), replace(SPEC, annotations={}))


# Conflicts and unknown outcomes.


def nth(method: str, part: str, count: int, moment: str, act: Callable[[], httpx.Response | None]):
    """A fault at the first so many requests of one kind."""
    seen = 0

    def fault(request: Request, number: int, at: str):
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
def test_a_create_with_unknown_outcome_ends_with_one_branch(moment, act, count) -> None:
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

    def gone(request: Request, number: int, moment: str):
        if time.seconds >= 2:
            neon.branches.pop(dying, None)

    neon.fault = gone
    view = ensure_branch(neon.client(time), SPEC)
    assert view.branch.id != dying
    assert view.adopted is False


def test_an_answer_that_points_at_the_parent_is_refused_and_the_branch_removed() -> None:
    neon = FakeNeon()
    main_host = next(e["host"] for e in neon.endpoints.values() if e["branch_id"] == MAIN)

    def parents_uri(request: Request, number: int, moment: str):
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

    def shared(request: Request, number: int, moment: str):
        for endpoint in neon.endpoints.values():
            endpoint["host"] = "127.0.0.1"

    neon.fault = shared
    with pytest.raises(BranchingError, match=r"no port tells them apart"):
        ensure_branch(neon.client(), SPEC)


def test_a_failure_after_the_create_removes_the_branch() -> None:
    neon = FakeNeon()

    def no_compute(request: Request, number: int, moment: str):
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
def test_default_and_protected_branches_are_refused(fields) -> None:
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


# Crashes and random faults.


def calls_of(run: Callable[[FakeNeon], object]) -> int:
    neon = FakeNeon()
    run(neon)
    return len(neon.requests)


def crash_at(number: int, moment: str):
    def fault(request: Request, seen: int, at: str):
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

        def fault(request: Request, number: int, moment: str, dice: random.Random = dice):
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
