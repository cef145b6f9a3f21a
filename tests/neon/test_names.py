"""What Neon takes for the name of a branch."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given

from kardinal_infra.databases.neon.inputs import INPUTS
from kardinal_infra.databases.neon.names import branch_name
from kardinal_infra.model import names
from tests.pure.samples import MANY
from tests.pure.test_names import labels

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SPACE = "a branch name must not have white space at its ends or unprintable characters"


@pytest.mark.parametrize(
    ("name", "taken_for"),
    [
        ("br-aged-salad-637688", "branch id"),
        ("br-a-b-c", "branch id"),
        ("0/1DE2850", "log position"),
        ("2026-11-23T17:00:00Z", "time"),
        ("2026-11-23 17:00", "time"),
    ],
)
def test_branch_names_that_neons_tools_misread_are_refused(name: str, taken_for: str) -> None:
    assert f"take for a {taken_for}" in str(branch_name(name, NOW))


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("", "must be a non-empty text"),
        ("x" * 257, "a branch name has at most 256 characters, this one has 257"),
        (" a", SPACE),
        ("a\tb", SPACE),
    ],
)
def test_unusable_branch_names_are_refused(name: str, problem: str) -> None:
    assert INPUTS["name"].problem(name, NOW) == problem


@MANY
@given(labels, labels, labels)
def test_our_branch_names_are_never_misread(application: str, flow: str, database: str) -> None:
    assert branch_name(names.branch_name(application, flow, database), NOW) is None
