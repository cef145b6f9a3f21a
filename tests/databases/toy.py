"""The toy backend `folders`: a distribution of its own, installed as a user would install one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).parent / "toy_backend"


def install(target: Path) -> None:
    """Installs it into a folder, which is then part of a module search path; no index is asked.

    Args:
        target: An empty folder.
    """
    options = ["--quiet", "--no-index", "--no-deps", "--no-build-isolation", "--no-compile", "--target"]
    ran = subprocess.run(
        [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", *options, target, SOURCE],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
