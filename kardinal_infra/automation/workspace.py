"""Pulumi's command line in a project folder, and its errors in plain words."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from pulumi import automation as auto
from tenacity import retry, retry_if_exception, stop_after_attempt, wait_random

from kardinal_infra.errors import KardinalError

Show = Callable[[str], Any]
"""Takes the engine's output, piece by piece."""


class AutomationError(KardinalError):
    """The Pulumi engine refused or failed; the text holds its errors without the progress around them."""


@dataclass
class Events:
    """The errors among the engine's events."""

    errors: list[str] = field(default_factory=list)

    def __call__(self, event: auto.EngineEvent) -> None:
        """Takes one event."""
        found = event.diagnostic_event
        if found is None or found.severity != "error":
            return
        message = found.message.strip()
        # The language host's last words, after the program has said what is wrong.
        if message not in self.errors and not (self.errors and message.startswith("an unhandled error")):
            self.errors.append(message)


def _half_written(error: BaseException) -> bool:
    ends = ("error: EOF", "unexpected EOF", "unexpected end of JSON input")
    return isinstance(error, auto.CommandError) and any(text in str(error) for text in ends)


patiently = retry(
    retry=retry_if_exception(_half_written),
    stop=stop_after_attempt(10),
    wait=wait_random(0.05, 0.5),
    reraise=True,
)
"""For what reads stacks: a state file that another engine is writing is seen empty or half for a moment
(docs/facts/pulumi.md#locks-are-for-one-stack)."""


class Workspace(auto.LocalWorkspace):
    """A project folder whose selected stack is the user's business."""

    def run(self, *args: str) -> str:
        """Runs a Pulumi command and returns what it printed."""
        return str(self.pulumi_command.run(list(args), self.work_dir, dict(self.env_vars)).stdout)

    @patiently
    def read(self, *args: str) -> str:
        """Runs a Pulumi command that changes nothing and returns what it printed."""
        return self.run(*args)

    def list_stacks(self, include_all: bool | None = None) -> list[auto.StackSummary]:
        """Lists the project's stacks, or all of the state backend."""
        return list(patiently(super().list_stacks)(include_all))

    def create_stack(self, stack_name: str) -> None:
        """Makes a stack and does not select it."""
        self.run("stack", "init", stack_name, "--no-select")

    def select_stack(self, stack_name: str) -> None:
        """Only checks that there is one of this name."""
        self.run("stack", "--stack", stack_name)  # fails when there is none

    def remove_stack(
        self, stack_name: str, force: bool | None = None, preserve_config: bool | None = None
    ) -> None:
        """Removes a stack; the one that was selected stays so."""
        selected = [stack.name for stack in self.list_stacks() if stack.current and stack.name != stack_name]
        super().remove_stack(stack_name, force, preserve_config)
        for name in selected:
            # Pulumi forgets the selected stack whichever one is removed.
            self.run("stack", "select", name)


@contextmanager
def plain_errors(events: Events | None = None) -> Iterator[None]:
    """Turns the SDK's errors, which hold the whole output, into what went wrong."""
    try:
        yield
    except auto.ConcurrentUpdateError as error:
        raise AutomationError(
            "another update of this stack is running; if it was killed, run `pulumi cancel -s <stack>` first"
        ) from error
    except FileNotFoundError as error:
        raise AutomationError("there is no `pulumi` on PATH: https://www.pulumi.com/docs/install") from error
    except (auto.CommandError, auto.InvalidVersionError) as error:
        if events and events.errors:
            raise AutomationError("\n".join(events.errors)) from error
        raise AutomationError(_said(str(error))) from error


def _said(text: str) -> str:
    """The engine's own error lines, else the end of what it printed."""
    lines = [line.strip().removeprefix("stderr: ") for line in text.splitlines() if line.strip()]
    errors = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    return "\n".join(dict.fromkeys(errors)) or (lines[-1] if lines else "pulumi failed")
