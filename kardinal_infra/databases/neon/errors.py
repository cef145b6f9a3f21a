"""What can go wrong with Neon.

* BranchingError
  - NeonKeyError              no API key, or not one
  - NeonSettingsError         the API's address is not one
  - NeonOperationError        Neon gave up on an operation
  - NeonTimeoutError          an operation did not end in time
  - NeonMaskingError          the data of a branch could not be masked
  - NeonError                 a call to Neon failed
    + NeonAuthError           401, 403
    + NeonNotFoundError       404
    + NeonConflictError       409: the name is taken
    + NeonPreconditionError   412: for example passwords are not stored
    + NeonLimitExceededError  422 with a limit's code
    + NeonLockedError         423: another operation runs on the project
    + NeonRateLimitedError    429
    + NeonUnknownOutcomeError the call may or may not have been executed
      . NeonServerError             5xx
      . NeonCallTimeoutError        408, or no answer in time
      . NeonUnexpectedAnswerError   an answer that is no JSON object, or lacks what it must have

No message holds a secret: the raisers remove keys and passwords before they build one.
"""

from __future__ import annotations

from http import HTTPStatus

from kardinal_infra.errors import BranchingError


class NeonKeyError(BranchingError):
    """There is no usable Neon API key."""


class NeonSettingsError(BranchingError):
    """The address of the Neon API is unusable."""


class NeonOperationError(BranchingError):
    """An operation of Neon's failed for good."""


class NeonTimeoutError(BranchingError):
    """An operation of Neon's did not end within its deadline."""


class NeonMaskingError(BranchingError):
    """Neon could not mask a branch: it holds unmasked data and nobody can connect to it."""


class NeonError(BranchingError):
    """A call to Neon failed.

    Args:
        message: Explanation without secrets.
        method: HTTP method.
        path: Path below the API's address.
        status: HTTP status, None when there was no answer.
        code: Neon's error code, often empty.
        request_id: What Neon's support asks for.
        retry_after: Seconds that the server asked to wait.
        not_sent: The request certainly did not reach the server.
    """

    def __init__(
        self,
        message: str,
        *,
        method: str = "",
        path: str = "",
        status: int | None = None,
        code: str = "",
        request_id: str = "",
        retry_after: float | None = None,
        not_sent: bool = False,
    ) -> None:
        self.message = message
        self.method = method
        self.path = path
        self.status = status
        self.code = code
        self.request_id = request_id
        self.retry_after = retry_after
        self.not_sent = not_sent
        super().__init__(message)

    def __str__(self) -> str:
        call = f"Neon {self.method} {self.path}".rstrip() if self.method else "Neon"
        answer = " ".join(filter(None, [f"HTTP {self.status}" if self.status else "", self.code]))
        request = f" (request {self.request_id})" if self.request_id else ""
        return f"{call}: {f'{answer}: ' if answer else ''}{self.message}{request}"


class NeonAuthError(NeonError):
    """401 or 403: the key is wrong or may not use this project."""


class NeonNotFoundError(NeonError):
    """404: no such object."""


class NeonConflictError(NeonError):
    """409: an object with this name exists."""


class NeonPreconditionError(NeonError):
    """412: the project's settings do not allow the call."""


class NeonLimitExceededError(NeonError):
    """422 with a code of a limit, e.g. `BRANCHES_LIMIT_EXCEEDED`."""


class NeonLockedError(NeonError):
    """423: another operation runs on the project; nothing was executed."""


class NeonRateLimitedError(NeonError):
    """429: too many calls; nothing was executed."""


class NeonUnknownOutcomeError(NeonError):
    """The call may or may not have been executed: look before repeating a write."""


class NeonServerError(NeonUnknownOutcomeError):
    """5xx other than 503."""


class NeonCallTimeoutError(NeonUnknownOutcomeError):
    """No answer in time."""


class NeonUnexpectedAnswerError(NeonUnknownOutcomeError):
    """An answer without the content it must have."""


_BY_STATUS: dict[int, type[NeonError]] = {
    HTTPStatus.UNAUTHORIZED: NeonAuthError,
    HTTPStatus.FORBIDDEN: NeonAuthError,
    HTTPStatus.NOT_FOUND: NeonNotFoundError,
    HTTPStatus.REQUEST_TIMEOUT: NeonCallTimeoutError,
    HTTPStatus.CONFLICT: NeonConflictError,
    HTTPStatus.PRECONDITION_FAILED: NeonPreconditionError,
    HTTPStatus.LOCKED: NeonLockedError,
    HTTPStatus.TOO_MANY_REQUESTS: NeonRateLimitedError,
}


def neon_error_class(status: int, code: str = "") -> type[NeonError]:
    """Picks the class for an answer other than 2xx.

    Args:
        status: HTTP status.
        code: Neon's error code.

    Returns:
        The class. 503 is plain `NeonError`: Neon's specification says that nothing was executed.
    """
    if status == HTTPStatus.UNPROCESSABLE_ENTITY and code.endswith("_LIMIT_EXCEEDED"):
        return NeonLimitExceededError
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR and status != HTTPStatus.SERVICE_UNAVAILABLE:
        return NeonServerError
    return _BY_STATUS.get(status, NeonError)
