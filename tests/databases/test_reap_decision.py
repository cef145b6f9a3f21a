"""What `reap` decides: stale, not to be touched, or in doubt."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kardinal_infra.databases.owned import OwnedBranch
from kardinal_infra.databases.staleness import GRACE, Action, Stacks, StackView, Verdict, decide

NOW = datetime(2030, 5, 17, 12, tzinfo=UTC)
OLD = NOW - 2 * GRACE
STACK = "organization/kardinal/dev"
OTHER = "organization/kardinal/baseline"
ID = "br-quiet-lake-1"
BRANCH = OwnedBranch(ID, "kardinal/shop/dev/orders", "voting", {"kardinal-stack": STACK}, created_at=OLD)
BASELINE = {OTHER: StackView(OLD)}
HOLDING = {STACK: StackView(OLD, holds=frozenset({ID}))}


def verdict(branch: OwnedBranch, stacks: Stacks, only_project: str | None = "kardinal") -> Verdict:
    return decide(branch, stacks, NOW, only_project=only_project)


@pytest.mark.parametrize(
    ("branch", "stacks", "action", "reason"),
    [
        (BRANCH, BASELINE, "delete", "its stack is gone"),
        (BRANCH, BASELINE | HOLDING, "keep", "in use"),
        (BRANCH, BASELINE | {STACK: StackView(OLD)}, "delete", "its stack does not know it"),
        # The state backend is another one than the stack's, or a whole project's stacks were removed.
        (BRANCH, {}, "keep", "this state backend holds no stack of organization/kardinal"),
        (
            BRANCH,
            {"organization/shop/dev": StackView(OLD)},
            "keep",
            "holds no stack of organization/kardinal",
        ),
        (BRANCH, {"organization/kardinal2/a": StackView(OLD)}, "keep", "holds no stack of"),
        # Renamed stacks keep their branches.
        (BRANCH, {OTHER: StackView(OLD, holds=frozenset({ID}))}, "keep", f"in use by {OTHER}"),
        # The first `up` of a stack.
        (replace(BRANCH, created_at=NOW), BASELINE | {STACK: StackView(None)}, "keep", "young"),
        (BRANCH, BASELINE | {STACK: StackView(NOW)}, "keep", "young"),
        (BRANCH, BASELINE | {STACK: StackView(None)}, "keep", "young"),
        (BRANCH, BASELINE | {STACK: StackView(OLD, busy=True)}, "keep", "runs or was interrupted"),
        (replace(BRANCH, created_at=NOW), BASELINE, "keep", "young"),
        (replace(BRANCH, created_at=None), BASELINE, "keep", "its age is not known"),
        # Time over: whether the stack is there or not, unless it is just renewing it.
        (replace(BRANCH, expires_at=NOW), BASELINE | HOLDING, "delete", "its time is over"),
        (replace(BRANCH, expires_at=NOW, created_at=NOW), BASELINE, "delete", "its time is over"),
        (replace(BRANCH, expires_at=NOW), {}, "delete", "its time is over"),
        (replace(BRANCH, expires_at=NOW), {STACK: StackView(OLD, busy=True)}, "keep", "interrupted"),
        (
            replace(BRANCH, expires_at=NOW),
            {OTHER: StackView(OLD, busy=True, holds=frozenset({ID}))},
            "keep",
            "interrupted",
        ),
        (replace(BRANCH, expires_at=NOW + timedelta(seconds=1)), BASELINE | HOLDING, "keep", "in use"),
        # For a person to look at.
        (replace(BRANCH, protected=True), BASELINE, "leave", "its stack is gone, but it is protected"),
        (replace(BRANCH, default=True), BASELINE, "leave", "its stack is gone, but it is the default branch"),
        (replace(BRANCH, children=("b", "a")), BASELINE, "leave", "others were made from it: a, b"),
        # Not ours to judge.
        (
            replace(BRANCH, annotations={"kardinal-stack": "acme/shop/dev"}),
            BASELINE,
            "keep",
            "of project shop",
        ),
        (replace(BRANCH, annotations={"kardinal-stack": "dev"}), BASELINE, "keep", "'dev' names no stack"),
        (replace(BRANCH, annotations={"kardinal-stack": "a//b"}), BASELINE, "keep", "'a//b' names no stack"),
    ],
)
def test_verdicts(branch: OwnedBranch, stacks: Stacks, action: str, reason: str) -> None:
    found = verdict(branch, stacks)
    assert (found.action, reason in found.reason) == (action, True), found.reason


def test_other_projects_are_judged_when_asked_for() -> None:
    shop = replace(BRANCH, annotations={"kardinal-stack": "organization/shop/dev"})
    stacks = BASELINE | {"organization/shop/main": StackView(OLD)}
    assert verdict(shop, stacks, None).action is Action.DELETE


STACKS = st.sampled_from([STACK, OTHER, "organization/shop/dev", "acme/kardinal/dev", "acme/kardinal/x"])
MOMENTS = st.integers(-3 * 3600, 3 * 3600).map(lambda seconds: NOW + timedelta(seconds=seconds))
VIEWS = st.builds(
    StackView,
    changed_at=st.none() | MOMENTS,
    busy=st.booleans(),
    holds=st.frozensets(st.sampled_from([ID, "br-other-1"])),
)
BRANCHES = st.builds(
    OwnedBranch,
    branch_id=st.just(ID),
    name=st.just("b"),
    project=st.just("voting"),
    annotations=STACKS.map(lambda stack: {"kardinal-stack": stack}),
    created_at=st.none() | MOMENTS,
    expires_at=st.none() | MOMENTS,
    protected=st.booleans(),
    default=st.booleans(),
    children=st.just(()) | st.just(("c",)),
)


@given(BRANCHES, st.dictionaries(STACKS, VIEWS), st.none() | st.sampled_from(["kardinal", "shop"]))
def test_nothing_is_deleted_without_every_proof(
    branch: OwnedBranch, stacks: dict[str, StackView], only_project: str | None
) -> None:
    if decide(branch, stacks, NOW, only_project=only_project).action is not Action.DELETE:
        return
    assert not any([branch.default, branch.protected, branch.children])
    assert only_project in (None, branch.stack.split("/")[1])
    own = stacks.get(branch.stack)
    assert own is None or not own.busy
    assert not any(view.busy for view in stacks.values() if ID in view.holds)
    if branch.expires_at is not None and branch.expires_at <= NOW:
        return
    assert not any(ID in view.holds for view in stacks.values())
    assert branch.created_at is not None
    assert NOW - branch.created_at >= GRACE
    assert own is None or (own.changed_at is not None and NOW - own.changed_at >= GRACE)
    prefix = branch.stack.rpartition("/")[0] + "/"
    assert any(name.startswith(prefix) for name in stacks)


@given(BRANCHES, st.dictionaries(STACKS, VIEWS))
def test_a_second_look_at_the_same_things_says_the_same(
    branch: OwnedBranch, stacks: dict[str, StackView]
) -> None:
    assert verdict(branch, stacks) == verdict(branch, dict(reversed(stacks.items())))


@given(BRANCHES, st.dictionaries(STACKS, VIEWS))
def test_a_longer_grace_never_condemns_more(branch: OwnedBranch, stacks: dict[str, StackView]) -> None:
    patient = decide(branch, stacks, NOW, grace=2 * GRACE)
    if patient.action is Action.DELETE:
        assert decide(branch, stacks, NOW, grace=GRACE).action is Action.DELETE
