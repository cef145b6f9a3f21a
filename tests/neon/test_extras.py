"""Compute, further databases and further roles of a branch."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from kardinal_infra.databases.neon.branch import ensure_branch
from kardinal_infra.databases.neon.change import read_branch, update_branch
from kardinal_infra.databases.neon.compute import size_of
from kardinal_infra.databases.neon.errors import NeonError
from kardinal_infra.databases.neon.spec import Former, api_size
from kardinal_infra.databases.request import Compute
from kardinal_infra.errors import BranchingError
from tests.neon.fake import MAIN, PROJECT, FakeNeon, Request, error
from tests.neon.wanted import SPEC, replace

BIG = Compute(min_units=1, max_units=2, suspend_after="1h")
MORE = replace(SPEC, roles=("reader", "writer"), databases={"audit": "writer", "cache": "votes_owner"})


def size(neon: FakeNeon, branch_id: str) -> tuple[float, float, int]:
    endpoint = next(e for e in neon.endpoints.values() if e["branch_id"] == branch_id)
    return (
        endpoint["autoscaling_limit_min_cu"],
        endpoint["autoscaling_limit_max_cu"],
        endpoint["suspend_timeout_seconds"],
    )


# Compute.


def test_the_compute_is_made_in_the_wanted_size_by_the_create_call() -> None:
    neon = FakeNeon()
    view = ensure_branch(neon.client(), replace(SPEC, compute=BIG))
    assert size(neon, view.branch.id) == (1, 2, 3600)
    assert neon.sent("PATCH", "/endpoints") == []


def test_the_compute_of_an_adopted_branch_is_resized() -> None:
    neon = FakeNeon()
    first = ensure_branch(neon.client(), SPEC)
    view = ensure_branch(neon.client(), replace(SPEC, compute=BIG))
    assert view.branch.id == first.branch.id
    assert size(neon, view.branch.id) == (1, 2, 3600)
    assert view.endpoint is not None
    assert view.endpoint.autoscaling_limit_max_cu == 2


def test_an_update_sends_only_what_differs_and_waits_for_it() -> None:
    neon = FakeNeon()
    made = ensure_branch(neon.client(), replace(SPEC, compute=BIG)).branch.id
    smaller = replace(SPEC, compute=replace(BIG, max_units=1))
    update_branch(neon.client(), PROJECT, made, smaller, rotate=False)
    update_branch(neon.client(), PROJECT, made, smaller, rotate=False)
    sent = [request.body["endpoint"] for request in neon.sent("PATCH", "/endpoints")]
    assert sent == [{"autoscaling_limit_max_cu": 1}]
    assert all(operation["status"] == "finished" for operation in neon.operations)


def test_what_nobody_asks_for_any_more_goes_back_to_the_projects_default() -> None:
    neon = FakeNeon()
    made = ensure_branch(neon.client(), replace(SPEC, compute=BIG)).branch.id
    former = Former(compute=frozenset(size_of(api_size(BIG))))
    kept = Compute(max_units=2)
    update_branch(neon.client(), PROJECT, made, replace(SPEC, compute=kept), rotate=False, former=former)
    assert size(neon, made) == (0.25, 2, 0)


# Databases and roles.


def test_roles_come_before_the_databases_they_own_and_have_passwords_of_their_own() -> None:
    neon = FakeNeon()
    view = ensure_branch(neon.client(), MORE)
    assert neon.added_roles[view.branch.id] == ["reader", "writer"]
    assert neon.added_databases[view.branch.id] == MORE.databases == view.extras.databases
    known = {name: password.get_secret_value() for name, password in view.extras.passwords.items()}
    assert known == {name: neon.passwords[view.branch.id, name] for name in MORE.roles or ()}
    assert neon.added_roles[MAIN] == [] == list(neon.added_databases[MAIN])
    assert all(password not in repr(view) for password in known.values())


def test_what_an_interrupted_run_made_is_made_once_and_put_right() -> None:
    neon = FakeNeon()
    made = ensure_branch(neon.client(), replace(MORE, roles=("writer",), databases={"audit": "votes_owner"}))
    view = ensure_branch(neon.client(), MORE)
    assert view.branch.id == made.branch.id
    assert neon.added_roles[view.branch.id] == ["writer", "reader"]
    assert neon.added_databases[view.branch.id] == MORE.databases


@pytest.mark.parametrize("answer", ["before", "after"])
@pytest.mark.parametrize("kind", ["roles", "databases"])
def test_a_creation_with_unknown_outcome_is_looked_at(kind: str, answer: str) -> None:
    neon = FakeNeon()
    failed: list[str] = []

    def fault(request: Request, number: int, moment: str) -> httpx.Response | None:
        if request.method == "POST" and request.path.endswith(f"/{kind}") and moment == answer and not failed:
            failed.append(request.path)
            return httpx.Response(500, text="")
        return None

    neon.fault = fault
    view = ensure_branch(neon.client(), MORE)
    assert failed
    assert sorted(neon.added_roles[view.branch.id]) == sorted(MORE.roles or ())
    assert view.extras.databases == MORE.databases


def test_a_refused_role_is_told_and_the_branch_not_left_behind() -> None:
    neon = FakeNeon()

    def fault(request: Request, number: int, moment: str) -> httpx.Response | None:
        return error(422, "too many roles") if request.path.endswith("/roles") and request.body else None

    neon.fault = fault
    with pytest.raises(NeonError, match="too many roles"):
        ensure_branch(neon.client(), MORE)
    assert list(neon.branches) == [MAIN]


def test_an_update_removes_what_is_not_wanted_any_more_and_only_that() -> None:
    neon = FakeNeon()
    made = ensure_branch(neon.client(), MORE).branch.id
    neon.added_databases[made]["by-hand"] = "votes_owner"
    neon.added_roles[made].append("by-hand")
    # The database changes its owner first, or its former one could not go.
    less = replace(SPEC, roles=("reader",), databases={"audit": "reader"})
    former = Former(databases=frozenset(MORE.databases or ()), roles=frozenset(MORE.roles or ()))
    view = update_branch(neon.client(), PROJECT, made, less, rotate=False, former=former)
    assert neon.added_databases[made] == {"audit": "reader", "by-hand": "votes_owner"}
    assert neon.added_roles[made] == ["reader", "by-hand"]
    assert view.extras.databases == {"audit": "reader"}
    update_branch(neon.client(), PROJECT, made, less, rotate=False, former=former)


def test_reading_shows_what_is_there() -> None:
    neon = FakeNeon()
    made = ensure_branch(neon.client(), MORE)
    wanted = {"databases": list(MORE.databases or ()), "roles": list(MORE.roles or ())}
    read = read_branch(neon.client(), PROJECT, made.branch.id, database="votes", role="votes_owner", **wanted)
    assert read == replace(made, adopted=None)
    neon.added_roles[made.branch.id].remove("reader")
    neon.added_databases[made.branch.id] = {"audit": "votes_owner"}
    read = read_branch(neon.client(), PROJECT, made.branch.id, database="votes", role="votes_owner", **wanted)
    assert read is not None
    assert read.extras.databases == {"audit": "votes_owner"}
    assert list(read.extras.passwords) == ["writer"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"roles": ("votes_owner",)}, r"further role 'votes_owner' exists there already.*leave it out"),
        ({"databases": {"votes": "votes_owner"}}, r"further database 'votes' exists there already"),
        ({"databases": {"audit": "nobody"}}, r"owner 'nobody' does not exist there \(it has votes_owner\)"),
    ],
)
def test_what_the_parent_has_or_lacks_is_said_before_anything_is_made(
    change: dict[str, Any], message: str
) -> None:
    neon = FakeNeon()
    with pytest.raises(BranchingError, match=message):
        ensure_branch(neon.client(), replace(SPEC, **change))
    assert [request for request in neon.requests if request.method != "GET"] == []
