"""What the package shows to others, and what is part of every stack's state."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import subprocess
import sys
from collections.abc import Iterator

import pytest
from pulumi.dynamic import ResourceProvider

import kardinal_infra
from kardinal_infra.engine.dynamic import Provider

PUBLIC = [
    "Baseline",
    "BaselineArgs",
    "BaselineOutputs",
    "BranchedDatabase",
    "BranchedDatabaseArgs",
    "Flow",
    "FlowArgs",
    "FlowOutputs",
    "FlowRoutes",
    "FlowRoutesArgs",
    "ForkedWorkload",
    "ForkedWorkloadArgs",
    "NeonBranch",
    "NeonBranchArgs",
    "PostgresBranch",
    "PostgresBranchArgs",
    "errors",
]


def test_the_public_surface_is_this_and_nothing_else() -> None:
    assert kardinal_infra.__all__ == PUBLIC


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_is_there_and_explained(name: str) -> None:
    assert inspect.getdoc(getattr(kardinal_infra, name))


def test_other_names_are_refused_as_python_does() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        _ = kardinal_infra.Nothing


@pytest.mark.parametrize("module", ["model", "observed", "config", "routing", "forking", "safety", "plan"])
def test_the_pure_core_loads_no_pulumi(module: str) -> None:
    script = f"import sys, kardinal_infra.{module}; print([m for m in sys.modules if m.startswith('pulumi')])"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "[]"


def providers() -> Iterator[type[ResourceProvider]]:
    """Every dynamic provider of the package, wherever it is."""
    for found in pkgutil.walk_packages(kardinal_infra.__path__, "kardinal_infra."):
        for _, value in inspect.getmembers(importlib.import_module(found.name), inspect.isclass):
            if issubclass(value, ResourceProvider) and value.__module__ == found.name:
                yield value


def test_the_path_of_a_dynamic_provider_never_changes() -> None:
    # The state holds it: after a move, `pulumi destroy` of every existing stack would fail. Bases: never.
    used = [found for found in providers() if not found.__subclasses__()]
    paths = {f"{found.__module__}.{found.__qualname__}" for found in used}
    assert paths == {
        "kardinal_infra.components.acceptance.AcceptanceProvider",
        "kardinal_infra.components.leftovers.LeftoversProvider",
        "kardinal_infra.components.probe.ProbeProvider",
        "kardinal_infra.components.virtual_service_rules.VirtualServiceRulesProvider",
        "kardinal_infra.databases.neon.provider.NeonBranchProvider",
        "kardinal_infra.databases.postgres.provider.PostgresBranchProvider",
    }


def test_every_dynamic_provider_ends_with_its_engine() -> None:
    assert [found for found in providers() if not issubclass(found, Provider)] == []
