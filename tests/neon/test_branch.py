"""Making a branch: its password, its parent, its owner."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest

from kardinal_infra.databases.neon.branch import ensure_branch
from kardinal_infra.databases.neon.errors import NeonPreconditionError
from kardinal_infra.databases.neon.spec import BranchSpec
from kardinal_infra.errors import BranchingError, OwnershipError
from tests.neon.fake import MAIN, PARENT_PASSWORD, FakeNeon, FakeTime, Request
from tests.neon.wanted import OURS, SPEC, assert_exactly_one_branch_of_ours, password, replace


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

    def lagging(request: Request, number: int, moment: str) -> httpx.Response | None:
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
def test_what_cannot_work_is_said_before_anything_is_created(
    prepare: Callable[[FakeNeon], object], spec: BranchSpec, message: str
) -> None:
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
def test_a_foreign_branch_is_neither_adopted_nor_touched(annotations: dict[str, str]) -> None:
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
