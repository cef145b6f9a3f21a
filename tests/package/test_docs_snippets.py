"""The snippets of README and docs, given to the programs that they are written for."""

from __future__ import annotations

import ast
import importlib
import re
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import typer
import yaml
from pydantic import BaseModel

from kardinal_infra.cli.commands import app as kardinal
from kardinal_infra.config import BaselineConfig, FlowConfig, load_baseline, load_flow
from kardinal_infra.errors import ConfigError
from lab.__main__ import app as lab
from tests.authority import Authority
from tests.package.markdown import ROOT, Snippet, fences, inline

SAMPLE: dict[str, dict[str, Any]] = {
    "kardinal:baseline": {
        "namespace": "shop",
        "domain": "shop.example.com",
        "services": {
            "web": {"ports": [{"port": 80}]},
            "orders": {"ports": [{"port": 80}]},
            "queue": {"ports": [{"port": 6379, "protocol": "tcp"}]},
        },
        "entries": [{"service": "web", "host": "shop.example.com"}],
        "databases": {
            "orders": {"project": "shop", "database": "orders", "role": "app"},
            "votes": {"project": "voting", "database": "votes", "role": "app"},
        },
    },
    "kardinal:flow": {"baseline": "baseline", "services": {"web": {}}},
}
"""What a snippet that shows only a part of a config leaves out."""

MODELS: dict[str, type[BaseModel]] = {"kardinal:baseline": BaselineConfig, "kardinal:flow": FlowConfig}
KEYS = {
    key: {field.alias or name for name, field in model.model_fields.items()} for key, model in MODELS.items()
}
REQUIRED = {
    key: {field.alias or name for name, field in model.model_fields.items() if field.is_required()}
    for key, model in MODELS.items()
}
OURS = {"kardinal_infra", "kardinal_neon_local", "lab", "tests"}
TARGETS = {
    target
    for line in re.findall(r"^([a-z][a-z -]*):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for target in line.split()
} | {".venv/ready"}
COMMANDS: dict[str, Any] = {
    "kardinal": typer.main.get_command(kardinal),
    "python -m lab": typer.main.get_command(lab),
}


def merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Puts a part of a config over the rest of it."""
    result = dict(under)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = merged(result[key], value) if both else value
    return result


def configs(snippet: Snippet) -> dict[str, dict[str, Any]]:
    """The configs in a snippet by their key; of a few lines without one, by every key that has such lines."""
    text = re.sub(r"-----BEGIN CERTIFICATE-----\s+\.\.\.(\s+-----END CERTIFICATE-----)?", "PEM", snippet.text)
    document = yaml.safe_load(text)
    if not isinstance(document, dict):
        return {}
    document = document.get("config", document)
    named = {key: document[key] for key in KEYS if key in document}
    return named or {key: document for key, fields in KEYS.items() if document.keys() <= fields}


def problems(key: str, shown: Mapping[str, Any]) -> list[str]:
    """What the stack's program would say of a config; what the snippet leaves out is the sample's."""
    config = dict(shown) if shown.keys() >= REQUIRED[key] else merged(SAMPLE[key], shown)
    gateway = config.get("gateway", {})
    if gateway.get("certificateAuthority", "").strip() == "PEM":
        config["gateway"] = {**gateway, "certificateAuthority": Authority().pem}
    try:
        load_baseline(config) if key == "kardinal:baseline" else load_flow(config, "pr-42")
    except ConfigError as error:
        return [str(problem) for problem in error.problems]
    return []


YAML = fences("yaml")
CONFIGS = [snippet for snippet in YAML if configs(snippet)]


@pytest.mark.parametrize("snippet", YAML, ids=str)
def test_yaml_is_yaml(snippet: Snippet) -> None:
    assert list(yaml.safe_load_all(snippet.text)) not in ([], [None])


@pytest.mark.parametrize("snippet", CONFIGS, ids=str)
def test_a_config_is_read_without_a_problem(snippet: Snippet) -> None:
    found = configs(snippet)
    said = {key: problems(key, shown) for key, shown in found.items()}

    whole = yaml.safe_load(snippet.text)
    named = KEYS.keys() & {*whole, *whole.get("config", ())}
    assert all(said[key] == [] for key in named), said
    assert [] in said.values(), said


def test_a_mistake_in_a_config_is_noticed() -> None:
    assert problems("kardinal:flow", {"servces": {}}) == [
        'kardinal:flow.servces: unknown key; did you mean "services"?'
    ]
    assert problems("kardinal:baseline", {"services": {"web": {"port": 80}}}) == [
        'kardinal:baseline.services.web.port: unknown key; did you mean "ports"?'
    ]


def test_the_readme_s_configs_need_nothing_besides() -> None:
    shown = [configs(snippet) for snippet in YAML if snippet.file == "README.md"]
    whole = {key for found in shown for key, value in found.items() if value.keys() >= REQUIRED[key]}

    assert whole == set(KEYS)


@pytest.mark.parametrize("snippet", fences("python"), ids=str)
def test_python_compiles_and_what_it_imports_from_here_is_there(snippet: Snippet) -> None:
    tree = ast.parse(snippet.text)
    compile(tree, str(snippet), "exec")

    missing = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and str(node.module).partition(".")[0] in OURS:
            module = importlib.import_module(str(node.module))
            missing += [name.name for name in node.names if not hasattr(module, name.name)]
    assert missing == []


def typed(text: str, language: str) -> Iterator[list[str]]:
    """The words of every command in a block: each line in `sh`, those behind a `$` elsewhere."""
    for line in text.replace("\\\n", " ").splitlines():
        if language == "sh" or line.startswith("$ "):
            words = shlex.split(line.removeprefix("$ "), comments=True)
            while words and re.match(r"\w+=", words[0]):
                words = words[1:]
            yield words


def refused(words: list[str]) -> str | None:
    """Why a command of this repository would not be taken; None when it would, or is none of ours."""
    if words[:1] == ["make"]:
        asked = [word for word in words[1:] if "=" not in word]
        return next((f"no target {target}" for target in asked if target not in TARGETS), None)
    for name, command in COMMANDS.items():
        start = name.split()
        if words[: len(start)] == start:
            return unknown(command, words[len(start) :])
    return None


def unknown(command: Any, words: list[str]) -> str | None:
    """Finds the sub-command, and reads its arguments as the command itself does."""
    context = command.context_class(command, info_name="kardinal")
    while hasattr(command, "commands") and words and not words[0].startswith("-"):
        if words[0] not in command.commands:
            return f"no command {words[0]}"
        command, words = command.commands[words[0]], words[1:]
        context = command.context_class(command, parent=context, info_name="kardinal")
    try:
        command.make_parser(context).parse_args(list(words))
    except typer.TyperException as error:
        return str(error)
    return None


COMMANDED = [
    (snippet, words)
    for snippet in fences("sh", "console", "text")
    for words in typed(snippet.text, snippet.language)
    if words[:1] in (["make"], ["kardinal"]) or words[:3] == ["python", "-m", "lab"]
]


@pytest.mark.parametrize(
    ("snippet", "words"), COMMANDED, ids=[f"{snippet} {' '.join(words)}" for snippet, words in COMMANDED]
)
def test_a_command_is_one_that_there_is(snippet: Snippet, words: list[str]) -> None:
    assert refused(words) is None


def test_commands_within_sentences_are_some_that_there_are() -> None:
    found = []
    seen = 0
    for snippet in inline():
        words = snippet.text.replace("[", " ").replace("]", " ").split()
        if words[:1] == ["make"] and len(words) > 1:
            seen += 1
            target = words[1]
            found += [f"{snippet}: {target}"] if target not in TARGETS and target.islower() else []
        if words[:1] == ["kardinal"] and len(words) > 1 and words[1].isalpha():
            seen += 1
            found += [f"{snippet}: {words[1]}"] if words[1] not in COMMANDS["kardinal"].commands else []
    assert found == []
    assert seen > 20


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("make no-such-thing", "no target no-such-thing"),
        ("kardinal fly", "no command fly"),
        ("kardinal flow fly", "no command fly"),
        ("kardinal reap --everything", "No such option: --everything"),
        ("python -m lab fly", "no command fly"),
    ],
)
def test_commands_that_there_are_not_are_noticed(words: str, reason: str) -> None:
    said = refused(words.split())
    assert said is not None
    assert said.startswith(reason)


@pytest.mark.parametrize(
    "words", ["make test DEMO=--x", "kardinal flow create a b --id c", "pulumi up", "kardinal"]
)
def test_commands_that_there_are_pass(words: str) -> None:
    assert refused(words.split()) is None
