"""The tree of errors and their texts."""

from __future__ import annotations

from types import ModuleType

import pytest

from kardinal_infra import errors
from kardinal_infra.databases.neon import errors as neon_errors
from kardinal_infra.databases.postgres import errors as postgres_errors
from kardinal_infra.errors import ConfigError, Problem


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
    assert len(found) > 5
    for item in found:
        assert issubclass(item, errors.KardinalError)
        assert f" {item.__name__} " in f"{errors.__doc__}".replace("\n", " \n ")


@pytest.mark.parametrize("module", [neon_errors, postgres_errors])
def test_every_error_of_a_backend_is_a_branching_error_and_drawn_in_its_tree(module: ModuleType) -> None:
    found = [item for item in vars(module).values() if isinstance(item, type) and issubclass(item, Exception)]
    assert len(found) > 2
    for item in found:
        assert issubclass(item, errors.BranchingError)
        assert f" {item.__name__} " in f"{module.__doc__}".replace("\n", " \n ")
