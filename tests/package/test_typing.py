"""The public types, as two checkers see them from a user's program."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILES = ["tests/package/typed/uses.py", "tests/package/typed/misuses.py"]
FOUND = 1
"""Exit code of both for problems; anything above means that they did not work."""


@pytest.mark.parametrize(
    "checker",
    # With the repository's options, so that mypy's cache serves `make lint` and this.
    [["mypy"], ["pyright", f"--pythonpath={sys.executable}"]],
    ids=["mypy", "pyright"],
)
def test_typical_uses_pass_and_every_mistake_is_found(checker: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *checker, *FILES], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode <= FOUND, done.stdout + done.stderr
    # Problems of the package itself are `make lint`'s matter.
    assert [line for line in done.stdout.splitlines() if "package/typed/" in line and "error" in line] == []
