"""Flows of a project folder, by Pulumi's Automation API over the same `__main__.py` that `pulumi up` runs.

A flow made here is a stack like any other: `pulumi up -s <id>` changes it, `pulumi destroy -s <id>` removes
it. The stack that the user has selected in the folder stays selected.
"""

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from pulumi import automation as auto

from kardinal_infra.automation.workspace import AutomationError, Events, Show, Workspace, plain_errors
from kardinal_infra.config.backends import installed_backends
from kardinal_infra.databases.branching import capabilities_of
from kardinal_infra.engine.stack_outputs import StackOutputs
from kardinal_infra.errors import OutputsError
from kardinal_infra.model.base import ConfigReader
from kardinal_infra.model.names import flow_id
from kardinal_infra.model.topology import Topology
from kardinal_infra.outputs import FlowOutputs

KIND = "kardinal:stack"
"""Config key that names a stack's program."""

FLOW = "kardinal:flow"
"""Config key of a flow."""

CLUSTER = "kubernetes:"
"""Beginning of the config keys that say which cluster it is."""

PARALLEL_READS = 4
"""Stacks whose outputs are read at once."""


FlowState = Literal["updating", "ready", "empty", "incomplete"]
"""How a flow's stack stands.

`empty`: it holds nothing, as before the first `up` and after `destroy`. `incomplete`: an `up` or a `destroy`
of it failed on the way.
"""


@dataclass(frozen=True)
class FlowRequest:
    """A flow to make.

    Attributes:
        flow: Flow id; also the name of its stack.
        images: Image by requested service.
        baseline: Stack that exports the application's topology.
        isolation: `services`, `data` or `full`; default: the library's.
    """

    flow: str
    images: Mapping[str, str]
    baseline: str = "baseline"
    isolation: str | None = None

    def to_config(self) -> dict[str, Any]:
        """Returns the value of `kardinal:flow`."""
        config: dict[str, Any] = {"baseline": self.baseline, "id": self.flow}
        config["services"] = {service: {"image": image} for service, image in self.images.items()}
        if self.isolation is not None:
            config["isolation"] = self.isolation
        return config


@dataclass(frozen=True)
class FlowSummary:
    """A flow's stack at a glance.

    Attributes:
        stack: Name of the stack.
        outputs: What it exports; None while no `up` of it has succeeded.
        updated: When its last update began, in UTC; None before the first.
        updating: Whether an update runs now.
        resources: How many its state holds; None when the state backend does not count them.
    """

    stack: str
    outputs: FlowOutputs | None
    updated: datetime | None
    updating: bool = False
    resources: int | None = None

    @property
    def state(self) -> FlowState:
        """How the flow stands."""
        if self.updating:
            return "updating"
        if self.outputs:
            return "ready"
        return "empty" if self.resources == 0 else "incomplete"


class Project:
    """The flows of one project folder.

    Args:
        folder: Folder with `Pulumi.yaml` and the program.

    Raises:
        AutomationError: There is no usable Pulumi command line.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with plain_errors():
            self._workspace = Workspace(work_dir=str(folder))

    def create_flow(self, request: FlowRequest, show: Show | None = None) -> FlowOutputs:
        """Makes a flow, or brings an existing one of this id to the request.

        Args:
            request: The flow.
            show: Receives the engine's output.

        Returns:
            What the flow exports, without its secrets.

        Raises:
            AutomationError: The engine failed; what it made so far stays, the next call goes on from there.
        """
        stack, _ = self._configure(request)
        events = Events()
        with plain_errors(events):
            stack.up(on_output=show, on_event=events)
        return self.flow(request.flow)

    def preview_flow(self, request: FlowRequest, show: Show | None = None) -> None:
        """Shows what `create_flow` would do, and leaves no stack behind that was not there before.

        Args:
            request: The flow.
            show: Receives the engine's output.

        Raises:
            AutomationError: The engine refused.
        """
        stack, created = self._configure(request)
        events = Events()
        try:
            with plain_errors(events):
                stack.preview(on_output=show, on_event=events)
        finally:
            if created:
                self._workspace.remove_stack(request.flow)

    def delete_flow(self, flow: str, show: Show | None = None) -> None:
        """Removes a flow with its stack and the stack's settings file.

        Args:
            flow: Flow id.
            show: Receives the engine's output.

        Raises:
            AutomationError: No such flow, or the engine failed; the next call goes on from there.
        """
        self._require_flow(flow)
        events = Events()
        with plain_errors(events):
            auto.Stack.select(flow, self._workspace).destroy(on_output=show, on_event=events, remove=True)

    def flows(self) -> list[FlowSummary]:
        """Lists the flows of the project, by name.

        Raises:
            AutomationError: The backend cannot be read.
        """
        with plain_errors():
            stacks = sorted(self._workspace.list_stacks(), key=lambda stack: stack.name)
            with ThreadPoolExecutor(PARALLEL_READS) as pool:
                values = list(pool.map(self._outputs, [stack.name for stack in stacks]))
            return [
                FlowSummary(
                    stack.name,
                    _flow_outputs(value),
                    stack.last_update,
                    bool(stack.update_in_progress),
                    stack.resource_count,
                )
                for stack, value in zip(stacks, values, strict=True)
                if "flow" in value.values
                or (not value.values and self._config(stack.name).get(KIND) == "flow")
            ]

    def flow(self, flow: str) -> FlowOutputs:
        """Reads one flow.

        Args:
            flow: Flow id.

        Raises:
            AutomationError: No such stack.
            OutputsError: The stack is no flow, or no `up` of it has succeeded.
        """
        return FlowOutputs.from_values(self._outputs(flow))

    def topology(self, baseline: str = "baseline") -> Topology:
        """Reads the application that flows stand on.

        Args:
            baseline: The baseline's stack.

        Raises:
            AutomationError: No such stack.
            OutputsError: The stack is no baseline, or of another version.
        """
        outputs = self._outputs(baseline)
        return Topology.from_plain(outputs.require("topology"), baseline)

    def settings(self, stack: str) -> ConfigReader:
        """Returns a look-up in a stack's configuration, by `namespace:key`; secrets are decrypted late.

        Args:
            stack: Name of the stack.

        Raises:
            AutomationError: No such stack.
        """
        with plain_errors():
            known = json.loads(self._workspace.run("config", "--json", "--stack", stack))

        def look_up(key: str) -> str | None:
            entry = known.get(key, {})
            if not entry.get("secret"):
                return str(entry["value"]) if "value" in entry else None
            with plain_errors():
                return self._workspace.run("config", "get", key, "--stack", stack).rstrip("\n")

        return look_up

    def _configure(self, request: FlowRequest) -> tuple[auto.Stack, bool]:
        """Makes the stack unless it is there, and writes its config; says whether it was made."""
        try:
            flow_id(request.flow)
        except ValueError as error:
            raise AutomationError(f"flow id: {error}") from error
        with plain_errors():
            names = {stack.name for stack in self._workspace.list_stacks()}
            created = request.flow not in names
            if not created:
                self._require_flow(request.flow)
            make = auto.Stack.create if created else auto.Stack.select
            stack = make(request.flow, self._workspace)
            if created and request.baseline in names:
                self._inherit(request.baseline, request.flow)
            stack.set_all_config_json(
                json.dumps(
                    {
                        KIND: {"value": "flow", "secret": False},
                        FLOW: {
                            "value": json.dumps(request.to_config()),
                            "objectValue": request.to_config(),
                            "secret": False,
                        },
                    }
                )
            )
        return stack, created

    def _inherit(self, baseline: str, flow: str) -> None:
        """Takes over from the baseline which cluster it is, and how to log in to the databases' servers."""
        try:
            # Not all that applies to it: what the project sets for every stack applies to the flow anyway.
            settings = self._workspace.stack_settings(baseline)
        except FileNotFoundError:
            return
        servers = {key for name in installed_backends() for key in capabilities_of(name).config_keys}
        for key in settings.config or {}:
            if key.startswith(CLUSTER) or key in servers:
                # Copied by the engine, so that a secret is on no command line.
                self._workspace.run("config", "cp", key, "--stack", baseline, "--dest", flow)

    def _require_flow(self, stack: str) -> None:
        with plain_errors():
            values = self._outputs(stack).values
            kind = self._config(stack).get(KIND)
        if "flow" not in values and kind != "flow":
            raise AutomationError(f'stack "{stack}" is not a flow')

    def _outputs(self, stack: str) -> StackOutputs:
        """Reads a stack's outputs; secret ones stay hidden."""
        with plain_errors():
            values = json.loads(self._workspace.run("stack", "output", "--json", "--stack", stack))
        return StackOutputs(stack, values)

    def _config(self, stack: str) -> dict[str, str | None]:
        """Reads a stack's config; objects as JSON, secret values as None."""
        config = json.loads(self._workspace.run("config", "--json", "--stack", stack))
        return {key: entry.get("value") for key, entry in config.items()}


def _flow_outputs(outputs: StackOutputs) -> FlowOutputs | None:
    try:
        return FlowOutputs.from_values(outputs)
    except OutputsError:
        return None
