"""Branching backends are found by their entry points, in every process, and checked where they are named."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from kardinal_infra.config import load_baseline
from kardinal_infra.databases.branching import backend
from kardinal_infra.errors import ConfigError
from tests.pure.test_config import BASELINE

FOLDERS = """
class Folders:
    name = "folders"
"""


def distribution(folder: Path, name: str, backends: Mapping[str, str]) -> None:
    """Puts the metadata of an installed distribution into a folder of the module search path."""
    info = folder / f"{name}-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
    lines = [f"{key} = {value}" for key, value in backends.items()]
    (info / "entry_points.txt").write_text("\n".join(["[kardinal_infra.backends]", *lines, ""]))


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one more backend, as an installation leaves it."""
    distribution(tmp_path, "kardinal-folders", {"folders": "folders_backend:Folders"})
    (tmp_path / "folders_backend.py").write_text(FOLDERS)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def baseline(name: str) -> dict[str, Any]:
    plain = deepcopy(BASELINE)
    plain["databases"]["votes"]["backend"] = name
    return plain


def problems_of(name: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_baseline(baseline(name))
    return [str(problem) for problem in caught.value.problems]


def test_an_installed_backend_can_be_named_in_a_baseline(installed: Path) -> None:
    config = load_baseline(baseline("folders"))
    assert config.databases["votes"].backend == "folders"
    assert config.to_topology().databases["votes"].backend == "folders"


def test_an_installed_backend_is_found_in_every_process(installed: Path) -> None:
    assert type(backend("folders")).__name__ == "Folders"
    program = (
        "from kardinal_infra.databases.branching import backend\n"
        "print(*(backend(name).name for name in ('folders', 'neon', 'postgres')))\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout == "folders neon postgres\n"


def test_an_unknown_backend_is_told_where_it_is_named_with_those_there_are() -> None:
    assert problems_of("postgers") == [
        'kardinal:baseline.databases.votes.backend: there is no branching backend "postgers"; installed are'
        ' neon, postgres; did you mean "postgres"?'
    ]
    with pytest.raises(
        ConfigError, match='there is no branching backend "nile"; installed are neon, postgres'
    ):
        backend("nile")


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import no_such_driver\n", "ModuleNotFoundError: No module named 'no_such_driver'"),
        ("raise OSError('a library is missing')\n", "OSError: a library is missing"),
        ("", "AttributeError: module 'folders_backend' has no attribute 'Folders'"),
    ],
)
def test_one_that_cannot_be_imported_is_one_clear_error(
    installed: Path, monkeypatch: pytest.MonkeyPatch, source: str, reason: str
) -> None:
    monkeypatch.delitem(sys.modules, "folders_backend", raising=False)
    (installed / "folders_backend.py").write_text(source)
    with pytest.raises(ConfigError) as caught:
        backend("folders")
    assert str(caught.value) == (
        'backend: the branching backend "folders" (folders_backend:Folders, of the distribution'
        f" kardinal-folders) cannot be loaded: {reason}"
    )
    assert backend("neon").name == "neon"


def test_two_of_one_name_are_an_error_that_names_both(installed: Path) -> None:
    distribution(installed, "other-folders", {"folders": "elsewhere:Folders"})
    message = (
        'two distributions offer a branching backend "folders": kardinal-folders (folders_backend:Folders)'
        " and other-folders (elsewhere:Folders); uninstall one of them"
    )
    assert problems_of("folders") == [f"kardinal:baseline.databases.votes.backend: {message}"]
    with pytest.raises(ConfigError) as caught:
        backend("folders")
    assert str(caught.value) == f"backend: {message}"
    assert backend("neon").name == "neon"
