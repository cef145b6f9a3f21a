"""Whatever a user can write or read has a place in the docs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, get_args

import pytest
import typer
from pydantic import BaseModel

import kardinal_infra
from kardinal_infra.cli.commands import app
from kardinal_infra.config import BaselineConfig, FlowConfig
from kardinal_infra.outputs import FlowOutputs
from tests.package.markdown import ROOT, files

DOCS = "\n".join(path.read_text() for path in files() if path.is_relative_to(ROOT / "docs"))
REFERENCE = (ROOT / "docs" / "reference.md").read_text()
VARIABLE = re.compile(r'"((?:KARDINAL|NEON)_[A-Z_]+)"')
ANOTHER_SPELLING = {"skipMigrations"}
"""Users write `migrations: false`."""


def models(kind: Any, found: dict[str, type[BaseModel]]) -> dict[str, type[BaseModel]]:
    """A model and every model that a field of it holds, by name."""
    if isinstance(kind, type) and issubclass(kind, BaseModel) and kind.__name__ not in found:
        found[kind.__name__] = kind
        for field in kind.model_fields.values():
            models(field.annotation, found)
    for inner in get_args(kind):
        models(inner, found)
    return found


def keys() -> Iterator[tuple[str, str]]:
    for name, model in (models(BaselineConfig, {}) | models(FlowConfig, {})).items():
        for field, about in model.model_fields.items():
            if (key := about.alias or field) not in ANOTHER_SPELLING:
                yield name, key


def shows(text: str, word: str) -> bool:
    """Says whether a word stands in code: between backticks, or in a snippet."""
    code = re.findall(r"```.*?```|`[^`\n]+`", text, re.DOTALL)
    return any(re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", part) for part in code)


@pytest.mark.parametrize(("model", "key"), sorted(set(keys())))
def test_every_key_of_the_config_is_in_the_docs(model: str, key: str) -> None:
    assert shows(DOCS, key)


@pytest.mark.parametrize("model", [BaselineConfig, FlowConfig])
def test_every_first_key_is_in_the_reference(model: type[BaseModel]) -> None:
    first = [field.alias or name for name, field in model.model_fields.items()]
    assert [
        key for key in first if not re.search(rf"^\|[^|]*`{key}(\.<name>)?`", REFERENCE, re.MULTILINE)
    ] == []


def test_every_output_of_a_flow_is_in_the_reference() -> None:
    camel = [re.sub(r"_(\w)", lambda found: found[1].upper(), name) for name in FlowOutputs.__annotations__]
    outputs = REFERENCE.partition("## Outputs of a flow")[2].partition("\n## ")[0]
    assert [name for name in camel if not shows(outputs, name)] == []


def test_every_public_name_is_in_the_reference() -> None:
    named = [name for name in kardinal_infra.__all__ if not name.endswith(("Args", "BaselineOutputs"))]
    assert [
        name
        for name in named
        if not shows(REFERENCE, name) and not shows(REFERENCE, f"kardinal_infra.{name}")
    ] == []


def options() -> Iterator[tuple[str, str]]:
    """Every option of every command, with the command."""
    waiting: list[tuple[str, Any]] = [("kardinal", typer.main.get_command(app))]
    while waiting:
        name, command = waiting.pop()
        waiting += [(f"{name} {word}", one) for word, one in getattr(command, "commands", {}).items()]
        for parameter in command.params:
            for spelling in parameter.opts:
                if spelling.startswith("--") and spelling != "--help":
                    yield name, spelling


@pytest.mark.parametrize(("command", "option"), sorted(options()))
def test_every_option_of_a_command_is_in_the_reference(command: str, option: str) -> None:
    section = REFERENCE.partition("## The `kardinal` command")[2].partition("\n## ")[0]
    assert shows(section, command)
    assert shows(section, option)


def test_every_variable_of_the_environment_is_in_the_docs() -> None:
    read = {
        name
        for path in sorted((ROOT / "kardinal_infra").rglob("*.py"))
        for name in VARIABLE.findall(path.read_text())
    }
    assert "NEON_API_KEY" in read
    assert sorted(name for name in read if not shows(DOCS, name)) == []
