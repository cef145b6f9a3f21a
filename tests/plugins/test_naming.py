import re
from typing import Any

import pytest

from lab_plugins.common.wire import UNKNOWN
from lab_plugins.kubernetes import naming


def test_the_same_seed_gives_the_same_name() -> None:
    first: dict[str, Any] = {"metadata": {}}
    second: dict[str, Any] = {}
    naming.assign_name(first, "web", b"seed")
    naming.assign_name(second, "web", b"seed")
    assert first == second
    assert re.fullmatch(r"web-[0-9a-f]{8}", first["metadata"]["name"])
    assert first["metadata"]["annotations"] == {"pulumi.com/autonamed": "true"}


def test_another_seed_gives_another_name() -> None:
    assert naming.unique_name("web-", b"a") != naming.unique_name("web-", b"b")
    assert naming.unique_name("web-", b"") != naming.unique_name("web-", b"")


@pytest.mark.parametrize("name", ["mine", UNKNOWN])
def test_a_given_name_stays(name: str) -> None:
    inputs = {"metadata": {"name": name}}
    naming.assign_name(inputs, "web", b"seed")
    assert inputs == {"metadata": {"name": name}}


def test_the_engines_proposal_wins() -> None:
    inputs: dict[str, Any] = {}
    naming.assign_name(inputs, "web", b"seed", "proposed")
    assert inputs["metadata"]["name"] == "proposed"
    assert naming.is_autonamed(inputs)


def test_a_generated_name_is_left_to_the_server() -> None:
    inputs = {"metadata": {"generateName": "web-"}}
    naming.assign_name(inputs, "web", b"seed")
    assert naming.uses_generate_name(inputs)


def test_an_assigned_name_is_kept_until_the_program_gives_one() -> None:
    old = {"metadata": {"name": "web-1", "annotations": {"pulumi.com/autonamed": "true"}}}
    new: dict[str, Any] = {"metadata": {"labels": {}}}
    named = {"metadata": {"name": "x"}}
    naming.adopt_name(new, old)
    naming.adopt_name(named, old)
    assert new["metadata"]["name"] == "web-1"
    assert naming.is_autonamed(new)
    assert named["metadata"]["name"] == "x"


def test_a_name_that_the_program_gave_is_not_kept() -> None:
    new: dict[str, Any] = {"metadata": {}}
    naming.adopt_name(new, {"metadata": {"name": "explicit"}})
    assert not naming.is_named(new)


def test_the_field_manager_is_kept() -> None:
    assert naming.field_manager({"__fieldManager": "pulumi-kubernetes-1"}, {}) == "pulumi-kubernetes-1"
    assert re.fullmatch(r"pulumi-kubernetes-[0-9a-f]{8}", naming.field_manager({}, {}))
    mine = {"metadata": {"annotations": {"pulumi.com/patchFieldManager": "me"}}}
    assert naming.field_manager({"__fieldManager": "x"}, mine) == "me"
