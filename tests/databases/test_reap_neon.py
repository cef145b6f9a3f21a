"""`reap` on the local Neon service: what is listed, and the second look before each deletion."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from kardinal_infra.databases.branching import backend
from kardinal_infra.databases.neon.errors import NeonAuthError, NeonNotFoundError
from kardinal_infra.databases.owned import OwnedBranch
from kardinal_infra.databases.reaping import Finding, Reaper, Target
from kardinal_infra.databases.staleness import Stacks, StackView
from kardinal_infra.errors import KardinalError
from kardinal_neon_local.testing.server import KEY, PROJECT, Server, running

pytestmark = pytest.mark.postgres

STACK = "organization/kardinal/dev"
MARKS = {"kardinal-stack": STACK, "kardinal-flow": "dev"}
LATER = datetime.now(UTC) + timedelta(days=1)
NO_DEV: Stacks = {"organization/kardinal/baseline": StackView(datetime(2020, 1, 1, tzinfo=UTC))}


class Read:
    """Stacks, one answer after the other; the last one stays."""

    def __init__(self, *answers: Stacks | KardinalError) -> None:
        self.answers = list(answers)
        self.looks = 0

    def read(self) -> Stacks:
        self.looks += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, KardinalError):
            raise answer
        return answer


@pytest.fixture(scope="module")
def service() -> Iterator[Server]:
    with running() as started:
        yield started


@pytest.fixture
def reaper(service: Server, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Reaper]:
    monkeypatch.setenv("NEON_API_HOST", f"http://127.0.0.1:{service.port}")
    monkeypatch.setenv("NEON_API_KEY", KEY)

    def make(*answers: Stacks | KardinalError, project: str = PROJECT) -> Reaper:
        return Reaper([Target(backend("neon"), project)], Read(*answers), lambda _: None, lambda: LATER)

    return make


def ids(service: Server) -> set[str]:
    return {branch["id"] for branch in service.get("/branches")["branches"]}


def one(reaper: Reaper, name: str) -> Finding:
    return next(finding for finding in reaper.find() if finding.branch.name == name)


def remove(service: Server, *branches: str) -> None:
    for branch in branches:
        service.call("PATCH", f"/branches/{branch}", branch={"protected": False})
        service.finish(service.call("DELETE", f"/branches/{branch}"))


def test_only_marked_branches_are_listed_with_what_is_known_of_them(
    service: Server, reaper: Callable[..., Reaper]
) -> None:
    expires = (datetime.now(UTC) + timedelta(hours=5)).replace(microsecond=0)
    made = service.branch("marked", annotations=MARKS)
    ending = service.branch("ending", annotations=MARKS, expires_at=expires.isoformat())
    others = [service.branch("plain"), service.branch("odd", annotations={"kardinal-flow": "dev"})]
    child = service.branch("child", parent_id=made)
    found = {finding.branch.name: finding.branch for finding in reaper(NO_DEV).find()}
    assert set(found) == {"marked", "ending"}
    marked = found["marked"]
    assert (marked.branch_id, marked.stack, marked.project) == (made, STACK, PROJECT)
    assert marked.children == ("child",)
    assert marked.created_at is not None
    assert abs(marked.created_at - datetime.now(UTC)) < timedelta(minutes=10)
    assert found["ending"].expires_at == expires
    remove(service, child, made, ending, *others)


def test_a_parent_and_a_protected_branch_are_named_and_left(
    service: Server, reaper: Callable[..., Reaper]
) -> None:
    parent, guarded = (
        service.branch("parent", annotations=MARKS),
        service.branch("guarded", annotations=MARKS, protected=True),
    )
    child = service.branch("child", parent_id=parent)
    looking = reaper(NO_DEV)
    assert {finding.branch.name: finding.verdict.reason for finding in looking.find()} == {
        "parent": "its stack is gone, but others were made from it: child",
        "guarded": "its stack is gone, but it is protected",
    }
    assert [looking.delete(finding).done for finding in looking.find()] == [None, None]
    assert {parent, guarded, child} <= ids(service)
    remove(service, child, parent, guarded)


def test_what_has_changed_since_it_was_listed_is_left(service: Server, reaper: Callable[..., Reaper]) -> None:
    branch = service.branch("changing", annotations=MARKS)

    # Its stack appears, or the state backend falls silent.
    deleted = (looking := reaper(NO_DEV, {**NO_DEV, STACK: StackView(LATER)})).delete(
        one(looking, "changing")
    )
    assert (deleted.done, deleted.verdict.reason.startswith("its stack does not know it")) == (
        "changed",
        True,
    )
    looking = reaper(NO_DEV, KardinalError("no answer"))
    deleted = looking.delete(one(looking, "changing"))
    assert (deleted.done, deleted.error) == ("failed", "no answer")

    # It is protected, becomes a parent, or belongs to somebody else.
    looking = reaper(NO_DEV)
    found = one(looking, "changing")
    service.finish(service.call("PATCH", f"/branches/{branch}", branch={"protected": True}))
    assert looking.delete(found).verdict.reason == "its stack is gone, but it is protected"
    service.finish(service.call("PATCH", f"/branches/{branch}", branch={"protected": False}))
    child = service.branch("child", parent_id=branch)
    assert looking.delete(found).verdict.reason.endswith("others were made from it: child")
    remove(service, child)
    stolen = replace(found, branch=replace(found.branch, annotations={**MARKS, "kardinal-flow": "other"}))
    refused = looking.delete(stolen)
    assert refused.done == "failed"
    assert "has become somebody else's" in str(refused.error)
    assert branch in ids(service)

    assert looking.delete(found).done == "deleted"
    assert branch not in ids(service)
    assert looking.delete(found).done == "gone"


def test_one_failure_does_not_keep_the_others(service: Server, reaper: Callable[..., Reaper]) -> None:
    wrong = OwnedBranch("br-no-such-1", "missing", "no-such-project", MARKS)
    branch = service.branch("stale", annotations=MARKS)
    looking = reaper(NO_DEV)
    findings = looking.find()
    done = [looking.delete(finding) for finding in (replace(findings[0], branch=wrong), *findings)]
    assert [finding.done for finding in done] == ["failed", "deleted"]
    assert "not visible" in str(done[0].error)
    assert branch not in ids(service)


def test_nothing_is_decided_on_what_cannot_be_read(
    service: Server, reaper: Callable[..., Reaper], monkeypatch: pytest.MonkeyPatch
) -> None:
    branch = service.branch("stale", annotations=MARKS)
    with pytest.raises(KardinalError, match="no list"):
        reaper(KardinalError("no list")).find()
    with pytest.raises(NeonNotFoundError):
        reaper(NO_DEV, project="nowhere").find()
    monkeypatch.setenv("NEON_API_KEY", "another-key")
    with pytest.raises(NeonAuthError):
        reaper(NO_DEV).find()
    assert branch in ids(service)
    remove(service, branch)


def test_without_marked_branches_no_state_is_read(reaper: Callable[..., Reaper]) -> None:
    assert reaper(KardinalError("not to be asked")).find() == []
