"""What all dynamic providers of this package share."""

import functools
import os
import sys
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from pulumi.dynamic import ConfigureRequest, ResourceProvider
from pulumi.output import Unknown
from pulumi.runtime.rpc import UNKNOWN

from kardinal_infra.engine.watch import exit_with_engine

P = ParamSpec("P")
R = TypeVar("R")

TRACEBACK_VARIABLE = "KARDINAL_TRACEBACK"
"""Set to anything, errors are shown with their traceback."""


class Provider(ResourceProvider):
    """Base of this package's dynamic providers: their process ends when its engine has died."""

    serialize_as_secret_always = False
    """The serialised provider is a class name and hides nothing; unencrypted it keeps the state readable."""

    def configure(self, req: ConfigureRequest) -> None:
        """Keeps the configuration and begins to watch the engine; asks nobody.

        Args:
            req: The stack's configuration, as `config`.
        """
        self.config = req.config
        exit_with_engine()


def is_unknown(value: object) -> bool:
    """Says whether an input, or a part of it, is known after the update only.

    Args:
        value: As the engine hands it to a provider.
    """
    if isinstance(value, dict):
        return any(map(is_unknown, value.values()))
    if isinstance(value, list):
        return any(map(is_unknown, value))
    # The SDK has used both forms of "known after the update".
    return isinstance(value, Unknown) or value == UNKNOWN


def one_line_errors(method: Callable[P, R]) -> Callable[P, R]:
    """Lets a failure of a provider's method reach the user as one line.

    The dynamic-provider process shows every exception by `traceback.format_exc()`; with `sys.tracebacklimit`
    zero and no chain that is the exception's own line. The limit is process-wide, so it is set only when an
    error is on its way out and the user did not ask for tracebacks
    (docs/facts/pulumi.md#errors-come-with-their-traceback).

    Args:
        method: Create, read, update, diff or delete of a `pulumi.dynamic.ResourceProvider`.

    Returns:
        The same method, with short errors.
    """

    @functools.wraps(method)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return method(*args, **kwargs)
        except Exception as error:
            if not os.environ.get(TRACEBACK_VARIABLE):
                sys.tracebacklimit = 0
                error.__cause__ = None
                error.__suppress_context__ = True
            raise

    return wrapper
