"""No part of the package but a backend's own knows it by its name."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import kardinal_infra
from kardinal_infra.config.backends import installed_backends

PACKAGE = Path(kardinal_infra.__file__).parent
BUILT_IN = {
    name
    for name, points in installed_backends().items()
    for point in points
    if point.value.startswith("kardinal_infra.")
}


def texts(folder: Path) -> Iterator[tuple[str, str]]:
    """Every text of the sources outside of the backends' own packages but docstrings, with its file."""
    own = [folder / "databases" / name for name in BUILT_IN]
    for file in sorted(folder.rglob("*.py")):
        if any(file.is_relative_to(home) for home in own):
            continue
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
                node.value.value = ""  # a docstring
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield str(file.relative_to(folder)), node.value


def test_the_built_in_backends_are_entry_points_as_any_other() -> None:
    assert {"neon", "postgres"} == BUILT_IN


def test_a_backends_name_stands_outside_its_package_only_as_the_default() -> None:
    named = {(file, text) for file, text in texts(PACKAGE) if text in BUILT_IN}
    assert named == {("model/topology.py", "neon")}


def test_nor_does_a_config_key_of_one() -> None:
    beginnings = tuple(f"kardinal:{name}" for name in BUILT_IN)
    assert [found for found in texts(PACKAGE) if found[1].startswith(beginnings)] == []


def test_what_looks_for_names_finds_them(tmp_path: Path) -> None:
    (tmp_path / "plan.py").write_text(
        '"""neon"""\nif backend == "neon" or key.startswith("kardinal:neon"):\n    pass\n'
    )
    (tmp_path / "databases" / "neon").mkdir(parents=True)
    (tmp_path / "databases" / "neon" / "backend.py").write_text('name = "neon"\n')
    assert sorted(text for _, text in texts(tmp_path) if "neon" in text) == ["kardinal:neon", "neon"]
