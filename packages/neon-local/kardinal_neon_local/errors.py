"""The service's errors: one for what an API caller did, one for what stops the service itself."""

from __future__ import annotations


class ApiError(Exception):
    """An answer other than 2xx.

    Attributes:
        status: HTTP status.
        message: What the caller reads.
        code: Neon's machine-readable code; Neon itself leaves it empty most of the time.
    """

    def __init__(self, status: int, message: str, code: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code


class LocalNeonError(Exception):
    """The service cannot start or an instance cannot do its work; the message says what to change."""


def not_found(what: str, name: str) -> ApiError:
    """Makes a 404 that names what is missing.

    Args:
        what: Its kind.
        name: Its name or id.
    """
    return ApiError(404, f"{what} not found: {name}")


def conflict(what: str, field: str, name: str) -> ApiError:
    """Makes a 409 in Neon's wording, for example `branch already exists; branch_name:"x"`.

    Args:
        what: The kind of what exists.
        field: Neon's name of what is taken.
        name: Its value.
    """
    return ApiError(409, f'{what} already exists; {field}:"{name}"')
