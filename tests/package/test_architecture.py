"""The page about the architecture says what the code is."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "architecture.md"


@pytest.fixture(scope="module")
def diagram() -> ModuleType:
    spec = importlib.util.spec_from_file_location("diagram", ROOT / "docs" / "diagram.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_diagram_is_that_of_the_code(diagram: ModuleType) -> None:
    assert PAGE.read_text() == diagram.rewritten(PAGE.read_text()), "run: python docs/diagram.py"


def test_another_state_of_the_code_is_noticed(diagram: ModuleType) -> None:
    page = PAGE.read_text()
    stale = page.replace("  p_cli[cli]\n", "  p_gone[gone]\n")

    assert stale != page
    assert diagram.rewritten(stale) == page
    with pytest.raises(ValueError, match="expected one pair of markers imports"):
        diagram.rewritten("no markers at all")


def test_an_arrow_that_others_imply_is_left_out(diagram: ModuleType) -> None:
    found = {"top": frozenset({"middle", "bottom"}), "middle": frozenset({"bottom"}), "bottom": frozenset()}

    assert diagram.reduced(found) == {
        "top": frozenset({"middle"}),
        "middle": frozenset({"bottom"}),
        "bottom": frozenset(),
    }
    assert diagram.picture(found, [["top"], ["middle"], ["bottom"]]) == "\n".join(
        [
            "```mermaid",
            "flowchart TB",
            "  p_top[top]",
            "  p_middle[middle]",
            "  p_bottom[bottom]",
            "  p_top --> p_middle",
            "  p_middle --> p_bottom",
            "```",
        ]
    )


def test_a_circle_is_named(diagram: ModuleType) -> None:
    with pytest.raises(ValueError, match="parts import each other in a circle: one, other, one"):
        diagram.reduced({"one": frozenset({"other"}), "other": frozenset({"one"})})


def test_layers_are_read_as_import_linter_reads_them(diagram: ModuleType, tmp_path: Path) -> None:
    settings = tmp_path / "pyproject.toml"
    settings.write_text(
        '[[tool.importlinter.contracts]]\ntype = "forbidden"\n'
        '[[tool.importlinter.contracts]]\ntype = "layers"\n'
        'layers = ["kardinal_infra.a | (kardinal_infra.b)", "kardinal_infra.c.d : kardinal_infra.e"]\n'
    )
    assert diagram.layers(settings) == [["a", "b"], ["c.d", "e"]]


def test_every_part_of_the_package_says_what_it_is(diagram: ModuleType) -> None:
    found = diagram.imports(name for layer in diagram.layers() for name in layer)

    assert len(found) > 10
    assert [name for name in found if not diagram.purpose(name).endswith(".")] == []


def test_every_folder_of_the_repository_has_its_line() -> None:
    made = {"artifacts", "dist", "build", "node_modules", "__pycache__"}
    folders = [
        path.name
        for path in sorted(ROOT.iterdir())
        if path.is_dir() and not path.name.startswith(".") and not path.name.endswith(".egg-info")
    ]
    assert [name for name in folders if name not in made and f"| `{name}/`" not in PAGE.read_text()] == []
