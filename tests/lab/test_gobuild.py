"""The cache of built programs: its key changes with all that changes the program, and with nothing else."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from lab import gobuild, programs
from lab.downloads import go_is_new_enough
from lab.gobuild import GoProgram, cache_key


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> GoProgram:
    monkeypatch.setattr(gobuild, "SOURCES", tmp_path)
    folder = tmp_path / "go" / "m"
    (folder / "tool").mkdir(parents=True)
    (folder / "other").mkdir()
    (folder / "go.mod").write_text("module m\n")
    (folder / "go.sum").write_text("")
    (folder / "tool" / "main.go").write_text("package main\n")
    (folder / "other" / "main.go").write_text("package main\n")
    return GoProgram(name="tool", module="m", package="./tool", variables=(("m.version", "1"),))


def test_the_same_inputs_give_the_same_key(program: GoProgram) -> None:
    assert cache_key(program, "go1.26.1") == cache_key(dataclasses.replace(program), "go1.26.1")


@pytest.mark.parametrize("file", ["go.mod", "go.sum", "tool/main.go", "tool/more.go"])
def test_a_changed_file_changes_the_key(program: GoProgram, file: str) -> None:
    before = cache_key(program, "go1.26.1")
    (program.folder / file).write_text("// changed\n")
    assert cache_key(program, "go1.26.1") != before


def test_another_program_of_the_module_does_not_change_the_key(program: GoProgram) -> None:
    before = cache_key(program, "go1.26.1")
    (program.folder / "other" / "main.go").write_text("// changed\n")
    assert cache_key(program, "go1.26.1") == before


@pytest.mark.parametrize(
    "change",
    [{"variables": (("m.version", "2"),)}, {"package": "./other"}, {"called": ("alias",)}],
    ids=["variable", "package", "names"],
)
def test_a_changed_recipe_changes_the_key(program: GoProgram, change: dict[str, Any]) -> None:
    assert cache_key(dataclasses.replace(program, **change), "go1.26.1") != cache_key(program, "go1.26.1")


def test_the_compiler_and_its_flags_change_the_key(
    program: GoProgram, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = cache_key(program, "go1.26.1")
    assert cache_key(program, "go1.26.2") != before
    monkeypatch.setattr(gobuild, "COMPILER_FLAGS", ("-trimpath",))
    assert cache_key(program, "go1.26.1") != before


def test_every_program_of_the_lab_has_its_files() -> None:
    keys = [cache_key(program, "go1.26.1") for program in (*programs.TOOLCHAIN, *programs.CLUSTER)]
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("go version go1.26.8 linux/amd64", True),
        ("go version go1.30 linux/amd64", True),
        ("go version go1.19.8 linux/amd64", False),
        ("", False),
    ],
)
def test_go_versions(said: str, answer: bool) -> None:
    assert go_is_new_enough(said) is answer
