"""The public components to the analyser by which a Pulumi plugin would offer them to other languages."""

from __future__ import annotations

import json
from typing import Any

import pulumi
import pytest
from pulumi.provider.experimental.component import ComponentProvider

import kardinal_infra

COMPONENTS = {
    name: found
    for name in kardinal_infra.__all__
    if isinstance(found := getattr(kardinal_infra, name), type)
    and issubclass(found, pulumi.ComponentResource)
}
REQUIRED = {
    "Baseline": {"domain", "namespace", "services"},
    "BranchedDatabase": {"consumers", "metadata", "request"},
    "Flow": {"baseline"},
    "FlowRoutes": {"entries", "mesh"},
    "ForkedWorkload": {"workload"},
}


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    provider = ComponentProvider(list(COMPONENTS.values()), "kardinal")
    return dict(json.loads(provider.schema or ""))


def test_every_component_has_a_schema_under_the_type_that_its_state_has(schema: dict[str, Any]) -> None:
    assert set(schema["resources"]) == {f"kardinal:index:{name}" for name in REQUIRED}
    assert set(COMPONENTS) == set(REQUIRED)


@pytest.mark.parametrize("name", sorted(REQUIRED))
def test_what_is_required_is_little_and_everything_is_explained(schema: dict[str, Any], name: str) -> None:
    component = schema["resources"][f"kardinal:index:{name}"]

    assert component["description"]
    assert set(component["requiredInputs"]) == REQUIRED[name]
    assert [key for key, value in component["inputProperties"].items() if not value["description"]] == []
    arguments = getattr(kardinal_infra, f"{name}Args")
    assert len(component["inputProperties"]) == len(arguments.__annotations__)


def test_types_of_arguments_are_explained_too(schema: dict[str, Any]) -> None:
    [(token, arguments)] = schema["types"].items()

    assert token == "kardinal:index:MigrationArgs"
    assert {"image", "command", "environment"} == set(arguments["required"])
    assert all(value["description"] for value in arguments["properties"].values())
