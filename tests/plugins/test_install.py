"""Which plugins are used, with the real Pulumi command line."""

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import pytest

from lab_plugins.install import PluginError, ensure_plugins, install_stand_ins
from tests.plugins.conftest import Plugin

pytestmark = pytest.mark.engine

VERSIONS = {"kubernetes": version("pulumi-kubernetes"), "command": version("pulumi-command")}


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """A cache in which today's downloads have failed already."""
    folder = tmp_path / "cache"
    folder.mkdir()
    for name, wanted in VERSIONS.items():
        (folder / f"{name}-{wanted}-{datetime.now(UTC):%Y-%m-%d}.failed").touch()
    return folder


@pytest.fixture(autouse=True)
def _empty_home(bin_dir: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("PULUMI_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "user"))


def launcher(home: Path, name: str) -> Path:
    return home / "plugins" / f"resource-{name}-v{VERSIONS[name]}" / f"pulumi-resource-{name}"


def official(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_text("#!/bin/sh\nexec /bin/true\n")
    path.chmod(0o755)


def test_the_stand_ins_are_installed_when_nothing_else_is_to_be_had(
    bin_dir: str, cache: Path, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    lines = ensure_plugins(bin_dir, cache=cache, home=home)
    assert [line.split(":")[0] for line in lines] == [
        f"plugin {name} {wanted}" for name, wanted in VERSIONS.items()
    ]
    assert all("the stand-in of this project" in line for line in lines)
    text = launcher(home, "kubernetes").read_text()
    assert sys.executable in text
    launcher(home, "command").write_text(
        text.replace(sys.executable, "/gone/python").replace("lab_plugins", "gone.plugins")
    )
    assert ensure_plugins(bin_dir, cache=cache, home=home) == lines
    assert sys.executable in launcher(home, "command").read_text(), (
        "a launcher of another checkout is renewed"
    )


def test_an_installed_official_plugin_is_kept(bin_dir: str, cache: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    official(launcher(home, "kubernetes"))
    lines = ensure_plugins(bin_dir, cache=cache, home=home)
    assert "the official one" in lines[0]
    assert launcher(home, "kubernetes").read_text().endswith("/bin/true\n")


def test_the_users_own_official_plugin_is_taken_along(bin_dir: str, cache: Path, tmp_path: Path) -> None:
    official(launcher(tmp_path / "user" / ".pulumi", "kubernetes"))
    lines = ensure_plugins(bin_dir, cache=cache, home=tmp_path / "home")
    assert "the official one" in lines[0]
    assert launcher(tmp_path / "home", "kubernetes").read_text().endswith("/bin/true\n")


def test_an_official_plugin_on_path_is_used(
    bin_dir: str, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    official(tmp_path / "bin" / "pulumi-resource-command")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")
    lines = ensure_plugins(bin_dir, cache=cache, home=tmp_path / "home")
    assert (
        lines[1]
        == f"plugin command: the official one on PATH, {tmp_path / 'bin' / 'pulumi-resource-command'}"
    )


def test_no_stand_in_goes_into_the_users_own_home(bin_dir: str, cache: Path, tmp_path: Path) -> None:
    with pytest.raises(PluginError, match="set PULUMI_HOME to a folder other than your own"):
        ensure_plugins(bin_dir, cache=cache)
    assert not launcher(tmp_path / "user" / ".pulumi", "kubernetes").exists()
    for name in VERSIONS:
        official(launcher(tmp_path / "user" / ".pulumi", name))
    assert all("the official one" in line for line in ensure_plugins(bin_dir, cache=cache))


def test_an_installed_stand_in_answers_from_any_folder(bin_dir: str, tmp_path: Path) -> None:
    install_stand_ins(bin_dir, tmp_path / "home")
    project = tmp_path / "project"
    project.mkdir()
    (project / "grpc.py").write_text("raise SystemExit('a file of the project was imported')")
    process = subprocess.Popen(
        [launcher(tmp_path / "home", "command")], cwd=project, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert int(process.stdout.readline()) > 0
    process.terminate()
    process.wait(timeout=10)
    process.stdout.close()


def test_no_command_line_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PluginError, match="no `pulumi`"):
        ensure_plugins(tmp_path)


def test_the_versions_are_those_that_the_sdks_ask_for() -> None:
    for package in ("pulumi_kubernetes", "pulumi_command"):
        module = __import__(package)
        asked = json.loads((Path(str(module.__file__)).parent / "pulumi-plugin.json").read_text())
        assert VERSIONS[asked["name"]] == asked["version"]


def test_a_stand_in_adds_nothing_to_the_environment_of_commands(
    bin_dir: str, tmp_path: Path, start_executable: Callable[[Path], Plugin]
) -> None:
    install_stand_ins(bin_dir, tmp_path / "home")
    plugin = start_executable(launcher(tmp_path / "home", "command"))
    _, state = plugin.create("command:local:Command", "c", {"create": "env | grep -c ^PYTHON; true"})
    assert state["stdout"] == "0"
