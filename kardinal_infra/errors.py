"""Every error of this package, in one tree, so that `except KardinalError` catches all of them.

* KardinalError
  x ConfigError                 what the user wrote, or what is on the cluster, cannot work; all problems
  x ClusterError                the cluster cannot be read
  x OutputsError                another stack cannot be read, exports too little, or is too old
  x ProbeError                  a finished flow does not answer as it should
  x BranchingError              a database branch cannot be made, read or removed
    - OwnershipError            a branch with our name belongs to somebody else
    - PostgresSettingsError     no administrator's URI, or not one
    - PostgresError             a PostgreSQL server refused or failed
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

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field


class KardinalError(Exception):
    """Base of all errors; its text is one clear message for the user."""


@dataclass(frozen=True, order=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        path: Where, e.g. `kardinal:flow.services.web.image`.
        message: What, and what to do about it.
        unread: The value there could not be read; whatever later checks say of it is said of a stand-in.
    """

    path: str
    message: str
    unread: bool = field(default=False, compare=False, repr=False)

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message

    def is_within(self, path: str) -> bool:
        """Says whether it is about the value at a path, or about something in it.

        Args:
            path: Another path.
        """
        return self.path == path or self.path.startswith((f"{path}.", f"{path}["))


class ConfigError(KardinalError):
    """Bad input: all problems at once, sorted, one per line.

    Args:
        problems: At least one; duplicates are dropped, and what is said of a value that could not be read
            beside that it could not.
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(_told_once(set(problems))))
        if not self.problems:
            raise ValueError("a ConfigError needs at least one problem")
        super().__init__("\n".join(map(str, self.problems)))


def _told_once(problems: Collection[Problem]) -> Iterator[Problem]:
    unread = [problem for problem in problems if problem.unread]
    yield from unread
    for problem in problems:
        if not any(problem.is_within(other.path) for other in unread):
            yield problem


class ClusterError(KardinalError):
    """The cluster cannot be reached or may not be read."""


class OutputsError(KardinalError):
    """Another stack does not exist, exports no such output, or exports one of another version."""


class ProbeError(KardinalError):
    """A URL did not answer as it must, within its time."""


class BranchingError(KardinalError):
    """A database branch could not be made, read or removed."""


class OwnershipError(BranchingError):
    """A branch with the wanted name exists and was not made by this stack."""


class PostgresSettingsError(BranchingError):
    """There is no usable URI of a PostgreSQL administrator, or no driver to use it."""


class PostgresError(BranchingError):
    """A PostgreSQL server, or one of its programs, refused or failed.

    Args:
        message: Explanation without secrets.
        sqlstate: PostgreSQL's error code; empty when there was no connection.
    """

    def __init__(self, message: str, sqlstate: str = "") -> None:
        self.sqlstate = sqlstate
        super().__init__(message)


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
    401: NeonAuthError,
    403: NeonAuthError,
    404: NeonNotFoundError,
    408: NeonCallTimeoutError,
    409: NeonConflictError,
    412: NeonPreconditionError,
    423: NeonLockedError,
    429: NeonRateLimitedError,
}


def neon_error_class(status: int, code: str = "") -> type[NeonError]:
    """Picks the class for an answer other than 2xx.

    Args:
        status: HTTP status.
        code: Neon's error code.

    Returns:
        The class. 503 is plain `NeonError`: Neon's specification says that nothing was executed.
    """
    if status == 422 and code.endswith("_LIMIT_EXCEEDED"):
        return NeonLimitExceededError
    if status >= 500 and status != 503:
        return NeonServerError
    return _BY_STATUS.get(status, NeonError)
