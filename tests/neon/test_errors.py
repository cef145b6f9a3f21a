"""The errors of Neon: their texts, and which answer is which."""

from __future__ import annotations

import pytest

from kardinal_infra.databases.neon import errors
from kardinal_infra.databases.neon.errors import NeonError, neon_error_class


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
