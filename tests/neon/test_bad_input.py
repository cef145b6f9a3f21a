"""What is wrong and only Neon can tell: one message each, which names the value and the way out."""

from __future__ import annotations

import httpx
import pytest

from kardinal_infra.databases.neon.branch import ensure_branch
from kardinal_infra.databases.neon.change import update_branch
from kardinal_infra.databases.neon.client import NeonClient
from kardinal_infra.databases.neon.errors import (
    NeonAuthError,
    NeonError,
    NeonLimitExceededError,
    NeonPreconditionError,
)
from kardinal_infra.databases.neon.settings import resolve_settings
from kardinal_infra.errors import BranchingError
from tests.neon.fake import MAIN, PROJECT, FakeNeon, FakeTime, Request, error
from tests.neon.wanted import SPEC, replace

OTHER = "organization/kardinal/other"


def writes(neon: FakeNeon) -> list[Request]:
    return [request for request in neon.requests if request.method != "GET"]


# Keys and projects.


def test_a_wrong_key_is_named_by_where_it_came_from_and_never_shown() -> None:
    neon = FakeNeon()
    for source, settings in {
        "NEON_API_KEY": resolve_settings(environment={"NEON_API_KEY": "napi_wrong"}),
        "kardinal:neonApiKey": resolve_settings(config_key="napi_wrong", environment={}),
    }.items():
        client = NeonClient(settings, clock=FakeTime().clock(), transport=httpx.MockTransport(neon.handle))
        with pytest.raises(
            NeonAuthError, match=rf"the key of {source} .*pulumi config set --secret"
        ) as caught:
            ensure_branch(client, SPEC)
        assert "napi_wrong" not in str(caught.value)
    assert writes(neon) == []


def test_a_project_that_the_key_may_not_use_is_named() -> None:
    neon = FakeNeon()
    neon.fault = lambda request, number, moment: (
        error(403, "not allowed") if "/branches" in request.path else None
    )
    with pytest.raises(NeonAuthError, match=rf"{PROJECT}.*not allowed.*a key that may use this project"):
        ensure_branch(neon.client(), SPEC)


def test_a_project_name_is_never_taken_for_an_id() -> None:
    neon = FakeNeon()
    with pytest.raises(NeonError, match=r"no Neon project .*'Voting App'; visible with this key: voting"):
        ensure_branch(neon.client(), replace(SPEC, project="Voting App"))
    assert {request.path for request in neon.requests} == {"/projects"}


def test_a_key_that_lists_no_projects_needs_the_projects_id() -> None:
    neon = FakeNeon()

    def fault(request: Request, number: int, moment: str) -> httpx.Response | None:
        return error(400, "org_id is required") if request.path == "/projects" else None

    neon.fault = fault
    with pytest.raises(NeonError, match=r"id 'voting'.*by name.*org_id is required.*use the project's id"):
        ensure_branch(neon.client(), replace(SPEC, project="voting"))


def test_a_project_without_stored_passwords_is_refused_before_anything_is_made() -> None:
    neon = FakeNeon()
    neon.store_passwords = False
    with pytest.raises(
        NeonPreconditionError, match=rf"'voting' \({PROJECT}\) does not store passwords.*settings"
    ):
        ensure_branch(neon.client(), SPEC)
    assert writes(neon) == []


# Parents.


def test_a_parent_that_is_being_deleted_is_none() -> None:
    neon = FakeNeon()
    neon.add_branch("staging", parent=MAIN, pending_state="storage_deleted")
    with pytest.raises(BranchingError, match=r"no branch with the id or name 'staging'; its branches: main$"):
        ensure_branch(neon.client(), replace(SPEC, parent="staging"))


# Limits.


@pytest.mark.parametrize("code", ["BRANCHES_LIMIT_EXCEEDED", ""])
def test_a_full_project_names_our_branches_and_how_they_go(code: str) -> None:
    neon = FakeNeon()
    neon.add_branch("old", parent=MAIN, annotations={"kardinal-stack": OTHER})
    neon.add_branch(
        "going", parent=MAIN, annotations={"kardinal-stack": OTHER}, pending_state="storage_deleted"
    )
    neon.add_branch("by-hand", parent=MAIN)

    def full(request: Request, number: int, moment: str) -> httpx.Response | None:
        if request.method == "POST" and moment == "before":
            return error(422, "branches limit exceeded", code)
        return None

    neon.fault = full
    message = rf"exceeded \(project {PROJECT}\).*kardinal reap.*pulumi destroy.* 'old' of stack {OTHER}$"
    with pytest.raises(NeonLimitExceededError, match=message.replace("$", r" \(request r-1\)$")):
        ensure_branch(neon.client(), SPEC)


def test_many_branches_of_ours_are_counted() -> None:
    neon = FakeNeon()
    for number in range(12):
        neon.add_branch(f"flow-{number:02d}", parent=MAIN, annotations={"kardinal-stack": OTHER})
    neon.most_branches = 13
    with pytest.raises(NeonLimitExceededError, match=r"'flow-09' of stack [^ ]+ and 2 more"):
        ensure_branch(neon.client(), SPEC)


def test_a_project_full_of_others_says_so_and_root_branches_are_explained() -> None:
    neon = FakeNeon()

    def full(request: Request, number: int, moment: str) -> httpx.Response | None:
        if request.method == "POST" and moment == "before":
            return error(422, "root branches limit exceeded", "ROOT_BRANCHES_LIMIT_EXCEEDED")
        return None

    neon.fault = full
    with pytest.raises(
        NeonLimitExceededError, match=r"schema-only branches count as root.*none of its branches"
    ):
        ensure_branch(neon.client(), replace(SPEC, init="schema-only"))


def test_another_422_is_no_limit() -> None:
    neon = FakeNeon()
    neon.fault = lambda request, number, moment: error(422, "no") if request.method == "POST" else None
    with pytest.raises(NeonError, match=r"422: no") as caught:
        ensure_branch(neon.client(), SPEC)
    assert not isinstance(caught.value, NeonLimitExceededError)


# Life times.


def test_a_life_time_on_a_branch_that_others_fork_from_names_those() -> None:
    neon = FakeNeon()
    lasting = replace(SPEC, ttl=None)
    made = ensure_branch(neon.client(), lasting).branch.id
    child = neon.add_branch("nested", parent=made)
    message = (
        rf"{made}\) cannot expire, because others were made from it: 'nested' \({child}\).*ttl.*delete those"
    )
    for spec in (SPEC, replace(lasting, expires_at="2026-11-30T00:00:00Z")):
        with pytest.raises(BranchingError, match=message):
            update_branch(neon.client(), PROJECT, made, spec, rotate=False)


def test_a_fixed_end_is_set_once_and_moved_when_it_changes() -> None:
    neon, time = FakeNeon(), FakeTime()
    fixed = replace(SPEC, ttl=None, expires_at="2026-11-30T01:00:00.7+01:00")
    made = ensure_branch(neon.client(time), fixed).branch.id
    assert neon.sent("POST", "/branches")[0].body["branch"]["expires_at"] == "2026-11-30T00:00:00Z"
    time.seconds += 3600
    update_branch(neon.client(time), PROJECT, made, fixed, rotate=False)
    later = replace(fixed, expires_at="2026-12-01T00:00:00Z")
    update_branch(neon.client(time), PROJECT, made, later, rotate=False)
    patches = [request.body["branch"] for request in neon.sent("PATCH", "/branches")]
    assert patches == [{"expires_at": "2026-12-01T00:00:00Z"}]
