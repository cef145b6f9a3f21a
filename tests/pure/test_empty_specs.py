"""YAML's `spec:` with nothing behind it is a null, and is read like a spec that is not there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from kardinal_infra.cluster.virtual_services import flow_rules_of
from kardinal_infra.forking.containers import is_injected, pick_container
from kardinal_infra.forking.volumes import claim_templates, production_volumes, volume_names

NOTHING: dict[str, Any] = {"kind": "StatefulSet", "metadata": None, "spec": None}


@pytest.mark.parametrize(
    ("read", "expected"),
    [
        (claim_templates, []),
        (is_injected, False),
        (lambda item: flow_rules_of(item, "dev"), []),
        (lambda item: volume_names({"spec": {"template": item}}), []),
        (lambda item: production_volumes({"spec": {"template": item}}), []),
    ],
)
def test_an_object_that_says_nothing_is_read_as_empty(read: Callable[[Any], Any], expected: object) -> None:
    assert read(NOTHING) == expected


def test_a_template_that_says_nothing_has_no_container() -> None:
    with pytest.raises(ValueError, match=r"there is no container \"web\" \(there is: none\)"):
        pick_container(NOTHING, "web", "web")
