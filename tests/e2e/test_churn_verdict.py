"""The churn's own judgement: what it takes for a wrong answer, and that a run without proof is not good."""

import pytest

from tests.e2e.churn import answers
from tests.e2e.churn.answers import Expected, Heard, with_key, without_key
from tests.e2e.churn.load import LiveFlow, between
from tests.e2e.churn.verdict import ALLOWED, Kind, Verdict

ROWS = {"Cats": 3, "Dogs": 2}
FORK = "votes-api-churn-a"
OWN = {**ROWS, "churn-a#4": 7}


@pytest.mark.parametrize(
    ("heard", "outcome"),
    [
        (Heard(200, ROWS), answers.PRODUCTION),
        (Heard(200, ROWS, fork=FORK), answers.A_FORK),
        (Heard(503, fork=FORK), answers.A_FORK),
        (Heard(200, ROWS, flow="churn-a"), answers.A_FORK),
        (Heard(200, OWN), answers.ANOTHER_ROWS),
        (Heard(200, {**ROWS, "Cats": 4}), answers.MISCOUNTED),
        (Heard(200, {"Cats": 3}), answers.MISCOUNTED),
        (Heard(503), "failed: HTTP 503"),
        (Heard(None, error="ReadTimeout"), "failed: ReadTimeout"),
    ],
)
def test_without_a_key_only_production_with_its_own_rows_is_right(heard: Heard, outcome: str) -> None:
    assert without_key(heard, ROWS) == outcome


@pytest.mark.parametrize(
    ("heard", "outcome"),
    [
        (Heard(200, OWN, fork=FORK), answers.OWN),
        (Heard(200, OWN), answers.UNMARKED),
        (Heard(200, {**OWN, "churn-a#4": 4}, fork=FORK), answers.MISCOUNTED),
        (Heard(200, {**OWN, "churn-a#4": 9}, fork=FORK), answers.MISCOUNTED),
        (Heard(200, {**OWN, "Dogs": 3}, fork=FORK), answers.MISCOUNTED),
        (Heard(200, ROWS), answers.PRODUCTION),
        (Heard(200, {**ROWS, "Dogs": 3}), answers.MISCOUNTED),
        (Heard(200, ROWS, fork=FORK), answers.FORK_ON_PRODUCTION),
        (Heard(200, {**ROWS, "churn-b#5": 0}, fork=FORK), answers.ANOTHER_ROWS),
        (Heard(200, {**ROWS, "churn-a#3": 0}, fork=FORK), answers.ANOTHER_ROWS),
        (Heard(200, OWN, fork="votes-api-churn-b"), answers.ANOTHER_FORK),
        (Heard(422, fork="votes-api-churn-b"), answers.ANOTHER_FORK),
        (Heard(200, OWN, flow="churn-b"), answers.ANOTHER_HOST),
        (Heard(503, fork=FORK), "failed: HTTP 503"),
    ],
)
def test_with_a_key_neither_another_fork_nor_other_rows_are_right(heard: Heard, outcome: str) -> None:
    expected = Expected("churn-a", FORK, "churn-a#4", least=5, most=8, inside=True)
    assert with_key(heard, expected, ROWS) == outcome


def test_only_from_inside_the_mesh_a_fork_names_itself() -> None:
    expected = Expected("churn-a", FORK, "churn-a#4", least=5, most=8, inside=False)
    assert with_key(Heard(200, OWN, flow="churn-a"), expected, ROWS) == answers.OWN


def test_a_request_that_saw_two_phases_counts_as_of_the_change_between_them() -> None:
    assert between("rising", "up") == "rising"
    assert between("up", "falling") == "falling"
    assert between("falling", "gone") == "falling"
    assert between("up", "up") == "up"


def test_a_flow_is_ripe_only_while_it_is_up() -> None:
    assert not LiveFlow("churn-a", 1, ripe_after=2, answered=2).ripe
    assert LiveFlow("churn-a", 1, ripe_after=2, answered=2, phase="up").ripe
    assert not LiveFlow("churn-a", 1, ripe_after=2, answered=1, phase="up").ripe


def good() -> Verdict:
    verdict = Verdict(seed=1, wanted_cycles=1, wanted_untagged=3, cycles=1, votes=1)
    for kind, outcome in (*ALLOWED.items(), *ALLOWED.items()):
        verdict.tally.add(kind, outcome, "")
    return verdict


def test_a_run_in_which_everything_was_seen_and_right_has_no_problem() -> None:
    verdict = good()
    verdict.tally.add("rising", "failed: HTTP 503", "")
    verdict.tally.add("falling, inside", answers.PRODUCTION, "")
    verdict.tally.add("falling, inside", "failed: HTTP 422", "")
    verdict.tally.add("falling", "failed: HTTP 404", "")
    assert verdict.problems() == []


@pytest.mark.parametrize(
    ("kind", "outcome"),
    [
        ("untagged", "failed: HTTP 503"),
        ("forged headers", answers.A_FORK),
        ("up", answers.PRODUCTION),
        ("up, inside", "failed: HTTP 503"),
        ("rising", answers.ANOTHER_FORK),
        ("falling", answers.ANOTHER_ROWS),
        ("falling", "failed: HTTP 503"),
        ("falling, inside", "failed: HTTP 500"),
        ("gone, inside", answers.OWN),
    ],
)
def test_each_wrong_answer_is_told_with_the_first_of_its_sort(kind: Kind, outcome: str) -> None:
    verdict = good()
    verdict.tally.add(kind, outcome, "the first")
    verdict.tally.add(kind, outcome, "the second")
    assert verdict.problems() == [f"2 x {kind}: {outcome}; first: the first"]


def test_too_little_done_is_a_problem() -> None:
    problems = Verdict(seed=1, wanted_cycles=100, wanted_untagged=5).problems()
    assert problems[0] == "0 of 100 cycles and 0 of 5 untagged requests were done"
    assert "0 requests of the kind 'up' in 0 cycles, fewer than 1" in problems
    assert problems[-2:] == ["no two flows were up at one time", "no fork took a vote"]


def test_requests_that_name_a_flow_are_not_among_the_untagged_ones() -> None:
    verdict = Verdict(seed=1, wanted_cycles=1, wanted_untagged=3)
    for kind in ("forged headers", "unknown key", "up"):
        verdict.tally.add(kind, "", "")
    assert verdict.untagged == 0


def test_cycles_whose_flows_were_hardly_asked_are_a_problem() -> None:
    verdict = good()
    verdict.cycles = verdict.wanted_cycles = 2
    verdict.most_up = 2
    assert verdict.problems() == [
        "2 requests of the kind 'up' in 2 cycles, fewer than 4",
        "2 requests of the kind 'up, inside' in 2 cycles, fewer than 4",
    ]


def test_what_is_left_and_failed_engines_are_problems() -> None:
    verdict = good()
    verdict.left.append("Service/votes-api-churn-a was not there before")
    verdict.engine.append("churn-a#4: up failed")
    assert verdict.problems() == [
        "pulumi: churn-a#4: up failed",
        "left: Service/votes-api-churn-a was not there before",
    ]
