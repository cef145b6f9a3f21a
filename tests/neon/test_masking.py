"""Masked branches: nobody gets a URI before the data are masked, whatever happens on the way."""

from __future__ import annotations

import httpx
import pytest

from kardinal_infra.databases.neon.branch import ensure_branch
from kardinal_infra.databases.neon.change import read_branch, update_branch
from kardinal_infra.databases.neon.errors import NeonError, NeonMaskingError, NeonTimeoutError
from kardinal_infra.databases.neon.models import body
from kardinal_infra.databases.neon.spec import BranchSpec
from kardinal_infra.databases.request import MaskingRule
from kardinal_infra.errors import BranchingError, OwnershipError
from tests.neon.fake import MAIN, PROJECT, Crash, FakeNeon, FakeTime, Request, error
from tests.neon.wanted import OURS, SPEC, replace


def rule(column: str, **how: str) -> MaskingRule:
    return MaskingRule(table="voter", column=column, **(how or {"function": "anon.fake_email()"}))


RULES = (rule("email"), rule("name", value="somebody"))
MASKED = replace(SPEC, init="masked", masking_rules=RULES)
TABLES = [
    {
        "schema": "public",
        "name": "voter",
        "columns": [{"name": name} for name in ("id", "email", "name", "town_id")],
        "constraints": [
            {"type": "primary_key", "columns": ["id"]},
            {"type": "foreign_key", "columns": ["town_id"]},
        ],
    }
]


def new() -> FakeNeon:
    neon = FakeNeon()
    neon.tables = TABLES
    return neon


def assert_masked_before_its_uri(neon: FakeNeon, branch_id: str) -> None:
    """The first URI was asked for after the service had told that the data are masked by our rules."""
    wanted = [body(one) for one in MASKED.rules]
    assert neon.masking[branch_id].runs[-1] == wanted
    calls = [(request.method, request.path.rpartition("/")[2]) for request in neon.requests]
    assert calls.index(("GET", "connection_uri")) > calls.index(("GET", "anonymized_status"))


def test_a_masked_branch_is_made_by_one_call_and_waited_for() -> None:
    neon, time = new(), FakeTime()
    view = ensure_branch(neon.client(time), MASKED)
    sent = neon.sent("POST", "/branch_anonymized")
    assert [request.body["start_anonymization"] for request in sent] == [True]
    assert sent[0].body["masking_rules"] == [body(one) for one in MASKED.rules]
    assert sent[0].body["annotation_value"].items() > OURS.items()
    assert sent[0].body["branch_create"]["endpoints"] == [{"type": "read_write"}]
    assert neon.sent("POST", "/anonymize") == []
    assert view.branch.parent_id == MAIN
    assert_masked_before_its_uri(neon, view.branch.id)


def test_masking_that_does_not_begin_by_itself_is_begun() -> None:
    neon = new()
    neon.masks_by_itself = False
    view = ensure_branch(neon.client(), MASKED)
    assert len(neon.sent("POST", "/anonymize")) == 1
    assert_masked_before_its_uri(neon, view.branch.id)


@pytest.mark.parametrize("answer", ["before", "after"])
def test_a_start_with_unknown_outcome_is_looked_at(answer: str) -> None:
    neon = new()
    neon.masks_by_itself = False
    failed = 0

    def fault(request: Request, number: int, moment: str) -> httpx.Response | None:
        nonlocal failed
        if request.path.endswith("/anonymize") and moment == answer and not failed:
            failed += 1
            return httpx.Response(502, html="<html>")
        return None

    neon.fault = fault
    view = ensure_branch(neon.client(), MASKED)
    assert len(neon.masking[view.branch.id].runs) == 1
    assert_masked_before_its_uri(neon, view.branch.id)


def test_a_failure_is_told_with_its_reason_and_nothing_stays() -> None:
    neon = new()
    neon.masking_failure = 'duplicate key value violates "voter_email_key"\nDETAIL: (email)=(ann@example.org)'
    with pytest.raises(
        NeonMaskingError, match=r"could not be masked: duplicate key.*unique.*masking rules"
    ) as caught:
        ensure_branch(neon.client(), MASKED)
    assert "ann@example.org" not in str(caught.value)
    assert list(neon.branches) == [MAIN]
    assert neon.sent("GET", "/connection_uri") == []


def test_masking_that_never_ends_is_given_up() -> None:
    neon = new()
    neon.masks_by_itself = False

    def stuck(request: Request, number: int, moment: str) -> None:
        for masking in neon.masking.values():
            masking.steps = ["anonymizing"]

    neon.fault = stuck
    with pytest.raises(NeonTimeoutError, match=r"not masked after 3600 s, its state is 'anonymizing'"):
        ensure_branch(neon.client(), MASKED)
    assert list(neon.branches) == [MAIN]


# Killed runs.


def killed(neon: FakeNeon, at: int) -> bool:
    """Runs until the given write or look at the state; says whether it came that far."""
    seen = 0

    def fault(request: Request, number: int, moment: str) -> None:
        nonlocal seen
        if moment == "after" and (request.method != "GET" or "anonymized_status" in request.path):
            seen += 1
            if seen == at:
                raise Crash

    neon.fault = fault
    try:
        ensure_branch(neon.client(), MASKED)
    except Crash:
        return True
    finally:
        neon.fault = None
    return False


@pytest.mark.parametrize("by_itself", [True, False])
def test_a_run_killed_anywhere_is_completed_by_the_next(by_itself: bool) -> None:
    deaths = 0
    for at in range(1, 20):
        neon = new()
        neon.masks_by_itself = by_itself
        deaths += killed(neon, at)
        neon.requests.clear()
        view = ensure_branch(neon.client(), MASKED)
        assert view.adopted is True
        assert_masked_before_its_uri(neon, view.branch.id)
        assert len(neon.named(SPEC.name)) == 1
    assert 4 <= deaths < 19


def test_an_adopted_branch_with_other_rules_is_masked_again() -> None:
    neon = new()
    first = ensure_branch(neon.client(), MASKED)
    neon.masking[first.branch.id].rules = []
    neon.requests.clear()
    view = ensure_branch(neon.client(), MASKED)
    assert view.branch.id == first.branch.id
    assert_masked_before_its_uri(neon, view.branch.id)


def test_what_failed_in_a_killed_run_is_tried_once_more_and_removed_when_it_fails_again() -> None:
    neon = new()
    neon.masking_failure = "bad function"
    assert killed(neon, 4)
    with pytest.raises(NeonMaskingError, match="bad function"):
        ensure_branch(neon.client(), MASKED)
    assert len(neon.sent("POST", "/anonymize")) == 1
    assert list(neon.branches) == [MAIN]
    neon.masking_failure = None
    assert ensure_branch(neon.client(), MASKED).adopted is False


@pytest.mark.parametrize(
    "other",
    [SPEC, replace(MASKED, masking_rules=RULES[:1]), replace(SPEC, init="schema-only")],
)
def test_a_branch_masked_otherwise_is_not_adopted(other: BranchSpec) -> None:
    neon = new()
    ensure_branch(neon.client(), MASKED)
    with pytest.raises(OwnershipError, match=r"made with init=masked .* instead of .*delete it|made from"):
        ensure_branch(neon.client(), other)


def test_a_branch_with_the_plain_data_is_never_taken_for_a_masked_one() -> None:
    neon = new()
    ensure_branch(neon.client(), SPEC)
    neon.requests.clear()
    with pytest.raises(OwnershipError, match=r"made with the data of its parent instead of init=masked"):
        ensure_branch(neon.client(), MASKED)
    assert neon.sent("GET", "/connection_uri") == []


def test_an_error_of_the_service_leaves_an_adopted_branch_alone() -> None:
    neon = new()
    assert killed(neon, 2)

    def broken(request: Request, number: int, moment: str) -> httpx.Response | None:
        return error(400, "no") if "anonymized_status" in request.path else None

    neon.fault = broken
    with pytest.raises(NeonError, match="no"):
        ensure_branch(neon.client(), MASKED)
    assert len(neon.named(SPEC.name)) == 1


# Later looks.


def test_a_branch_that_is_not_masked_is_read_without_a_uri() -> None:
    neon = new()
    made = ensure_branch(neon.client(), MASKED)
    reading = {"database": "votes", "role": "votes_owner"}
    assert read_branch(neon.client(), PROJECT, made.branch.id, **reading) == replace(made, adopted=None)
    for state in ("created", "initialized", "anonymizing", "error"):
        neon.masking[made.branch.id].steps = [state]
        neon.requests.clear()
        read = read_branch(neon.client(), PROJECT, made.branch.id, **reading)
        assert read is not None
        assert read.connection is None
        assert neon.sent("GET", "/connection_uri") == []


def test_an_update_waits_for_masking_and_tells_of_its_failure() -> None:
    neon = new()
    made = ensure_branch(neon.client(), MASKED)
    masking = neon.masking[made.branch.id]
    masking.runs, masking.steps = [], ["anonymizing", "anonymizing", "anonymized"]
    neon.requests.clear()
    update_branch(neon.client(), PROJECT, made.branch.id, MASKED, rotate=False)
    assert_masked_before_its_uri(neon, made.branch.id)
    masking.steps, masking.failure = ["error"], "bad function"
    with pytest.raises(NeonMaskingError, match="bad function"):
        update_branch(neon.client(), PROJECT, made.branch.id, MASKED, rotate=False)
    assert made.branch.id in neon.branches


# Bad rules.


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"column": "town_id"}, r"voter.town_id belongs to a foreign key.*mask other columns"),
        ({"column": "mail"}, r"voter has no column 'mail' \(it has id, email, name, town_id\)"),
        ({"table": "vote"}, r"no table votes.public.vote \(there are public.voter\)"),
        ({"schema_": "app"}, r"no table votes.app.voter"),
        ({"database": "polls"}, r"database 'polls' does not exist there \(it has votes\)"),
    ],
)
def test_a_column_that_cannot_be_masked_is_refused_before_anything_is_made(
    change: dict[str, str], message: str
) -> None:
    neon = new()
    bad = RULES[0].model_copy(update=change)
    with pytest.raises(BranchingError, match=message):
        ensure_branch(neon.client(), replace(MASKED, masking_rules=(RULES[1], bad)))
    assert [request for request in neon.requests if request.method != "GET"] == []


def test_without_a_look_at_the_schema_the_service_has_the_word() -> None:
    neon = new()

    def no_schema(request: Request, number: int, moment: str) -> httpx.Response | None:
        return error(400, "not there") if request.path.endswith("/schema") else None

    neon.fault = no_schema
    view = ensure_branch(neon.client(), MASKED)
    assert_masked_before_its_uri(neon, view.branch.id)
