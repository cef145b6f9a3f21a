"""The version that the command, the package and its distribution say."""

from __future__ import annotations

import tomllib
from importlib.metadata import version
from pathlib import Path

from typer.testing import CliRunner

import kardinal_infra
from kardinal_infra.cli.commands import app

ROOT = Path(__file__).resolve().parents[2]


def test_the_command_the_package_and_its_distribution_say_the_same() -> None:
    written = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    told = CliRunner().invoke(app, ["--version"])

    assert (told.exit_code, told.output) == (0, f"kardinal {written}\n")
    assert (version("kardinal-infra"), kardinal_infra.__version__) == (written, written)


def test_the_version_needs_no_project_and_the_help_is_as_before() -> None:
    told = CliRunner().invoke(app, ["--help"])

    assert told.exit_code == 0
    assert "Ephemeral environments beside production, one Pulumi stack each." in told.output
    assert "--version" in told.output
