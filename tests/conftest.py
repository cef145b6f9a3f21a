"""What every ring shares: the lab, brought up once for the tests that need it and left as it was found."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import environment, is_running
from lab.locks import exclusive
from lab.settings import Lab, from_environment
from lab.toolchain import ensure_pulumi
from lab_plugins.install import ensure_plugins

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def whole_tracebacks() -> Iterator[None]:
    """Short errors of providers are a setting of the whole process; with it Pulumi's SDK finds no caller."""
    yield
    if hasattr(sys, "tracebacklimit"):
        del sys.tracebacklimit


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """The running lab; taken down at the end if it did not run before."""
    wanted = from_environment()
    running = is_running()
    if not running:
        _lab("up")
    yield wanted
    if not running:
        _lab("down")


@pytest.fixture(scope="session")
def lab_environment(lab: Lab) -> dict[str, str]:
    """The variables by which programs use the lab; both Pulumi plugins are installed."""
    variables = environment()
    with exclusive(lab.cache / "locks" / f"plugins-{lab.name}"):  # other rings run beside this one
        ensure_plugins(ensure_pulumi(lab), lab.cache, variables["PULUMI_HOME"])
    return variables


def _lab(command: str) -> None:
    done = subprocess.run([sys.executable, "-m", "lab", command], cwd=ROOT, check=False)
    assert done.returncode == 0, f"`python -m lab {command}` failed: see its output above"
