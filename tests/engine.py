"""A Pulumi project of a test's own, worked on by the real command line over a state of its own."""

from __future__ import annotations

import os
import sys
import textwrap
from pathlib import Path

from lab.demo_project import ROOT, Project
from lab.plugins.install import install_stand_ins
from lab.toolchain import ensure_pulumi

PASSPHRASE = "engine-test"


def engine_project(folder: Path, program: str, *, plugins: bool = False, **variables: str) -> Project:
    """Makes a project with one stack, `dev`.

    Args:
        folder: An empty folder; program, state and Pulumi's home go there.
        program: Source of its `__main__.py`, which may import `tests`.
        plugins: Install the stand-ins of the kubernetes and command plugins.
        variables: More environment variables; none of Pulumi's or Neon's is inherited.
    """
    toolchain = ensure_pulumi()
    (folder / "state").mkdir()
    (folder / "Pulumi.yaml").write_text("name: kardinal\nruntime: python\n")
    write(folder, program)
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(("NEON_", "PULUMI_"))
    }
    environment = {
        **inherited,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), str(toolchain), os.environ["PATH"]]),
        "PYTHONPATH": str(ROOT),
        "PULUMI_BACKEND_URL": f"file://{folder / 'state'}",
        "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE,
        "PULUMI_HOME": str(folder / "home"),
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        **variables,
    }
    if plugins:
        install_stand_ins(toolchain, environment["PULUMI_HOME"])
    project = Project(folder, environment)
    project.pulumi("stack", "init", "dev")
    return project


def write(folder: Path, program: str) -> None:
    """Replaces a project's program."""
    (folder / "__main__.py").write_text(textwrap.dedent(program))


def everything_stored(project: Project) -> str:
    """The content of all files of the project's state: checkpoint, history, backups."""
    files = [path for path in (project.folder / "state").rglob("*") if path.is_file()]
    assert files
    return "\n".join(path.read_text(errors="replace") for path in files)
