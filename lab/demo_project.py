"""A Pulumi project folder, used as a person uses it: by the `pulumi` on PATH."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tenacity import retry, retry_if_exception_message, stop_after_attempt, wait_random

from lab.settings import LabError

ROOT = Path(__file__).resolve().parent.parent

Show = Callable[[str], None]
"""Takes one line of output."""


@dataclass(frozen=True)
class Ran:
    """A command that ended.

    Attributes:
        command: Program and arguments.
        code: Exit code.
        output: What it printed, both streams as they came.
    """

    command: Sequence[str]
    code: int
    output: str = field(repr=False)

    @property
    def line(self) -> str:
        """The command as a person would type it."""
        return " ".join(self.command)


def run(
    command: Sequence[str], folder: Path, environment: Mapping[str, str], show: Show | None = None
) -> Ran:
    """Runs a command to its end.

    Args:
        command: Program and arguments.
        folder: Where.
        environment: All its variables.
        show: Receives every line at once.
    """
    lines: list[str] = []
    with subprocess.Popen(
        list(command),
        cwd=folder,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        for line in process.stdout or ():
            lines.append(line)
            if show:
                show(line.rstrip("\n"))
    return Ran(command, process.returncode, "".join(lines))


class Project:
    """A folder with `Pulumi.yaml`.

    Args:
        folder: The folder.
        environment: All variables of the commands run in it.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.folder = folder
        self.environment = dict(environment)

    def pulumi(self, *arguments: str, show: Show | None = None, check: bool = True) -> Ran:
        """Runs a Pulumi command without questions.

        Args:
            arguments: For example `up`, `--yes`, `-s`, `dev`.
            show: Receives every line at once.
            check: Fail unless the exit code is 0.

        Raises:
            LabError: The command failed; the text ends with what it printed.
        """
        command = ["pulumi", *arguments, "--non-interactive", "--color", "never"]
        ran = run(command, self.folder, self.environment, show)
        if check and ran.code != 0:
            raise LabError(f"`pulumi {' '.join(arguments)}` failed ({ran.code}):\n{ran.output[-3000:]}")
        return ran

    def kardinal(self, *arguments: str, show: Show | None = None) -> Ran:
        """Runs a `kardinal` command of this project's environment."""
        return run(["kardinal", *arguments], self.folder, self.environment, show)

    @retry(
        # A state file that another engine is writing is seen empty for a moment.
        retry=retry_if_exception_message(match=r"(?s).*(EOF|unexpected end of JSON input)"),
        stop=stop_after_attempt(10),
        wait=wait_random(0.05, 0.5),
        reraise=True,
    )
    def stacks(self) -> dict[str, int]:
        """Number of resources by stack."""
        listed = json.loads(self.pulumi("stack", "ls", "--json").output)
        return {stack["name"]: stack.get("resourceCount") or 0 for stack in listed}

    def ensure_stack(self, stack: str) -> None:
        """Makes a stack unless it is there; its settings file keeps what it says."""
        if stack not in self.stacks():
            self.pulumi("stack", "init", stack, "--no-select")

    def outputs(self, stack: str) -> dict[str, Any]:
        """A stack's outputs, secret ones hidden."""
        return dict(json.loads(self.pulumi("stack", "output", "--json", "-s", stack).output))

    def configure(self, stack: str, values: Mapping[str, Any]) -> None:
        """Sets config values; those that are no text are stored as objects.

        Args:
            stack: The stack.
            values: Value by key, e.g. `kardinal:flow`.
        """
        document = {
            key: {"value": value, "secret": False}
            if isinstance(value, str)
            else {"value": json.dumps(value), "objectValue": value, "secret": False}
            for key, value in values.items()
        }
        self.pulumi("config", "set-all", "-s", stack, "--json", json.dumps(document))

    def set_secret(self, stack: str, key: str, value: str) -> None:
        """Sets a secret config value; it goes by standard input, so that no process list shows it."""
        done = subprocess.run(
            ["pulumi", "config", "set", "--secret", key, "-s", stack, "--non-interactive"],
            cwd=self.folder,
            env=self.environment,
            input=value,
            text=True,
            capture_output=True,
            check=False,
        )
        if done.returncode != 0:
            raise LabError(f"`pulumi config set --secret {key}` failed: {done.stderr.strip()}")

    def settle(self, stack: str) -> None:
        """Ends what a killed update left: its lock and its pending operations."""
        self.pulumi("cancel", "--yes", "-s", stack, check=False)


def project_environment(variables: Mapping[str, str], python: Path) -> dict[str, str]:
    """The environment in which a project's commands run.

    Args:
        variables: What is added to this process's own.
        python: Folder of the Python programs that go first on PATH.
    """
    environment = {**os.environ, **variables}
    environment["PATH"] = os.pathsep.join([str(python), environment.get("PATH", os.defpath)])
    # Not the terminal's width: plans and tables are read by people in logs, too.
    environment.setdefault("COLUMNS", "120")
    return environment
