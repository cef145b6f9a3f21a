"""A Pulumi project of a test's own, worked on by the real command line over a state of its own."""

from __future__ import annotations

import json
import os
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.demo_project import ROOT, Project
from lab.toolchain import ensure_pulumi
from lab_plugins.install import install_stand_ins

PASSPHRASE = "engine-test"
ONE_BRANCH = """
    import json
    import pulumi
    from kardinal_infra.databases.branching import BranchRequest, backend

    branch = backend("BACKEND").declare("votes", BranchRequest(**json.loads('REQUEST')))
    pulumi.export("uri", branch.uri)
    pulumi.export("branch", branch.branch_id)
"""


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


@dataclass
class BranchStack:
    """A stack `dev` whose program asks for one branch as a flow does.

    Attributes:
        project: The project, of nothing else.
        backend: Name of the branching backend.
        request: What is asked for, unless a test changes it.
    """

    project: Project
    backend: str
    request: dict[str, Any]

    @property
    def environment(self) -> dict[str, str]:
        """Variables of its commands, to be changed."""
        return self.project.environment

    def ask(self, **changes: Any) -> None:
        """Makes the program ask for something else."""
        text = json.dumps({**self.request, **changes})
        write(self.project.folder, ONE_BRANCH.replace("BACKEND", self.backend).replace("REQUEST", text))

    def write(self, program: str) -> None:
        """Replaces the program."""
        write(self.project.folder, program)

    def attempt(self, *arguments: str) -> tuple[int, str]:
        """Exit code and output of a command that may fail."""
        ran = self.project.pulumi(*arguments, check=False)
        return ran.code, ran.output

    def pulumi(self, *arguments: str) -> str:
        """Output of a command."""
        return self.project.pulumi(*arguments).output

    def up(self, *arguments: str) -> dict[str, Any]:
        """Brings it up; its outputs, secret ones too."""
        self.pulumi("up", "--yes", "--skip-preview", *arguments)
        return dict(json.loads(self.pulumi("stack", "output", "--json", "--show-secrets")))

    def destroy(self) -> None:
        """Destroys it."""
        self.pulumi("destroy", "--yes", "--skip-preview")

    def everything_stored(self) -> str:
        """The content of all files of its state."""
        return everything_stored(self.project)
