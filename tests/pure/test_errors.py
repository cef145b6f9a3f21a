"""The tree of errors and their texts."""

from __future__ import annotations

import pytest

from kardinal_infra import errors
from kardinal_infra.errors import ConfigError, NeonError, Problem, neon_error_class


def test_a_config_error_lists_each_problem_once_sorted_one_per_line() -> None:
    error = ConfigError([Problem("b", "two"), Problem("a", "one"), Problem("b", "two"), Problem("", "bare")])
    assert str(error) == "bare\na: one\nb: two"
    assert error.problems == (Problem("", "bare"), Problem("a", "one"), Problem("b", "two"))


def test_what_is_said_of_a_value_that_could_not_be_read_is_dropped() -> None:
    unread = Problem("a.b", "missing", unread=True)
    beside = [Problem("a", "around"), Problem("a.bc", "beside"), Problem("a[0]", "an item")]
    error = ConfigError([Problem("a.b", "unknown"), Problem("a.b.c", "in it"), unread, *beside])
    assert error.problems == tuple(sorted([unread, *beside]))
    assert error.problems[1].unread


def test_a_config_error_without_problems_is_a_mistake_of_ours() -> None:
    with pytest.raises(ValueError, match="at least one"):
        ConfigError([])


def test_every_public_error_is_a_kardinal_error_and_drawn_in_the_tree() -> None:
    found = [item for item in vars(errors).values() if isinstance(item, type) and issubclass(item, Exception)]
    assert len(found) > 15
    for item in found:
        assert issubclass(item, errors.KardinalError)
        assert f" {item.__name__} " in f"{errors.__doc__}".replace("\n", " \n ")


def test_a_neon_error_names_the_call_the_answer_and_the_request() -> None:
    error = NeonError(
        "no", method="POST", path="/projects/p/branches", status=422, code="LIMIT", request_id="r-1"
    )
    assert str(error) == "Neon POST /projects/p/branches: HTTP 422 LIMIT: no (request r-1)"
    assert str(NeonError("no connection")) == "Neon: no connection"


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (401, "", errors.NeonAuthError),
        (403, "", errors.NeonAuthError),
        (404, "", errors.NeonNotFoundError),
        (408, "", errors.NeonCallTimeoutError),
        (409, "", errors.NeonConflictError),
        (412, "", errors.NeonPreconditionError),
        (422, "BRANCHES_LIMIT_EXCEEDED", errors.NeonLimitExceededError),
        (422, "", NeonError),
        (423, "", errors.NeonLockedError),
        (429, "", errors.NeonRateLimitedError),
        (500, "", errors.NeonServerError),
        (503, "", NeonError),
        (524, "", errors.NeonServerError),
        (400, "", NeonError),
    ],
)
def test_the_class_follows_from_the_answer(status: int, code: str, expected: type[NeonError]) -> None:
    assert neon_error_class(status, code) is expected


def test_only_answers_that_leave_the_outcome_open_say_so() -> None:
    unknown = errors.NeonUnknownOutcomeError
    assert issubclass(neon_error_class(500), unknown)
    assert not issubclass(neon_error_class(503), unknown)
    assert not issubclass(neon_error_class(423), unknown)
