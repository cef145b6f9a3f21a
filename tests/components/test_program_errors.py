"""Errors that leave the package: of the class they were, and without a traceback in a Pulumi program."""

from __future__ import annotations

from typing import Any

import pulumi
import pytest

from kardinal_infra import Baseline, BaselineOutputs, BranchedDatabase, Flow, FlowOutputs
from kardinal_infra.databases.branching import BranchRequest
from kardinal_infra.databases.neon.errors import NeonError
from kardinal_infra.engine.program_errors import message_alone
from kardinal_infra.errors import ConfigError, KardinalError, OutputsError, Problem
from tests.components import recorder


@pytest.fixture(autouse=True)
def runtime() -> None:
    recorder.prepare(preview=True)


def branched() -> Any:
    request = BranchRequest(name="b", project="p", database="d", role="r")
    args: Any = {"request": request, "metadata": {}, "consumers": {}, "backend": "mysql"}
    return BranchedDatabase("b", args)


@pytest.mark.parametrize(
    ("call", "kind"),
    [
        (lambda: Flow("dev", {"baseline": "b", "id": "A B"}), OutputsError),
        (lambda: Flow("dev", {}), ConfigError),  # type: ignore[typeddict-item]
        (lambda: Baseline("app", {}), ConfigError),  # type: ignore[typeddict-item]
        (branched, ConfigError),
        (lambda: FlowOutputs.from_stack("nosuch"), OutputsError),
        (lambda: BaselineOutputs.from_stack("nosuch"), OutputsError),
    ],
)
def test_what_the_package_raises_ends_a_program_with_its_message(call: Any, kind: type[Exception]) -> None:
    with pytest.raises(kind) as caught:
        call()
    assert isinstance(caught.value, pulumi.RunError)
    assert type(caught.value).__name__ == kind.__name__


def test_an_error_keeps_what_it_knows() -> None:
    error = NeonError("refused", method="POST", path="/x", status=423, request_id="r1")
    problems = ConfigError([Problem("a.b", "wrong")])

    @message_alone
    def fail(with_error: Exception) -> None:
        raise with_error

    for expected in (error, problems):
        text, cause = str(expected), KeyError("why")
        expected.__cause__ = cause
        with pytest.raises(type(expected)) as caught:
            fail(expected)
        assert caught.value is expected
        assert (str(expected), expected.__cause__) == (text, cause)
        assert isinstance(expected, pulumi.RunError)
        assert isinstance(expected, KardinalError)
    assert (error.status, error.request_id) == (423, "r1")
    assert problems.problems == (Problem("a.b", "wrong"),)


def test_other_errors_are_left_alone() -> None:
    @message_alone
    def fail() -> None:
        raise KeyError("a bug")

    with pytest.raises(KeyError) as caught:
        fail()
    assert type(caught.value) is KeyError


def test_an_error_that_passes_twice_is_changed_once() -> None:
    @message_alone
    def inner() -> None:
        raise OutputsError("no such stack")

    with pytest.raises(OutputsError) as caught:
        message_alone(inner)()
    assert type(caught.value).__mro__.count(pulumi.RunError) == 1
    assert type(caught.value).__bases__ == (OutputsError, pulumi.RunError)
