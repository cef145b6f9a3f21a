"""Branches that no state knows: removed only when name and annotations prove that they are ours."""

from collections.abc import Iterator, Mapping

import pytest

from kardinal_infra.databases.branching import BranchRequest, backend
from kardinal_infra.databases.neon.errors import NeonKeyError
from tests.neon.fake import KEY, MAIN, PROJECT, FakeNeon
from tests.neon.served import served

NAME = "kardinal/voting/dev/votes"
OURS = {"kardinal-stack": "organization/kardinal/dev", "kardinal-flow": "dev"}


@pytest.fixture
def neon(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeNeon]:
    neon = FakeNeon()
    with served(neon) as host:
        monkeypatch.delenv("NEON_API_KEY", raising=False)
        monkeypatch.setenv("NEON_API_HOST", host)
        yield neon


def discard(annotations: Mapping[str, str], name: str = NAME, key: str | None = KEY) -> bool:
    request = BranchRequest(
        name=name, project="voting", database="votes", role="votes_owner", annotations=dict(annotations)
    )
    return backend("neon").discard(request, {"kardinal:neonApiKey": key}.get)


def test_our_branch_is_removed_once(neon: FakeNeon) -> None:
    neon.add_branch(NAME, parent=MAIN, annotations=OURS)
    assert discard(OURS) is True
    assert list(neon.branches) == [MAIN]
    assert discard(OURS) is False


@pytest.mark.parametrize(
    ("annotations", "name"),
    [
        ({**OURS, "kardinal-stack": "organization/kardinal/other"}, NAME),
        (OURS, "kardinal/voting/dev/vote"),
        ({}, NAME),
        # A flow's id alone proves nothing: two stacks may use the same.
        ({"kardinal-flow": "dev"}, NAME),
    ],
)
def test_everything_else_is_left_alone(neon: FakeNeon, annotations: dict[str, str], name: str) -> None:
    neon.add_branch(NAME, parent=MAIN, annotations=OURS)
    assert discard(annotations, name) is False
    assert len(neon.branches) == 2
    assert neon.sent("DELETE") == []


def test_a_branch_that_is_going_already_is_left_to_go(neon: FakeNeon) -> None:
    neon.add_branch(NAME, parent=MAIN, annotations=OURS, pending_state="storage_deleted")
    assert discard(OURS) is False


def test_without_a_key_it_says_what_to_set(neon: FakeNeon) -> None:
    with pytest.raises(NeonKeyError, match="NEON_API_KEY"):
        discard(OURS, key=None)
    assert PROJECT not in str(neon.requests)
