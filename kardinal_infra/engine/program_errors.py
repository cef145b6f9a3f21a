"""How this package's errors end a Pulumi program: with their message alone.

The language host prints every exception with its traceback, except `pulumi.RunError`. The pure core cannot
use that class, for it knows no Pulumi; so an error becomes one where it leaves the package.

Fact: docs/facts/pulumi.md#runerror-alone-is-short.
"""

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import pulumi

from kardinal_infra.errors import KardinalError

P = ParamSpec("P")
R = TypeVar("R")


def message_alone(function: Callable[P, R]) -> Callable[P, R]:
    """Lets a program that does not catch this package's errors end without a traceback.

    Args:
        function: What programs call: a component's constructor, a reader of outputs.

    Returns:
        The same function. What it raises is still of the class that it was, and a `pulumi.RunError` too.
    """

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except KardinalError as error:
            if not isinstance(error, pulumi.RunError):
                error.__class__ = _ending(type(error))
            raise

    return wrapper


def _ending(kind: type[KardinalError]) -> type[KardinalError]:
    """Makes the class of the same name that is also a `pulumi.RunError`."""
    described = {"__module__": kind.__module__, "__doc__": kind.__doc__}
    return type(kind.__name__, (kind, pulumi.RunError), described)
