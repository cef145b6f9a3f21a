"""All stacks of the state backend that a project folder uses, with what their states hold."""

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from kardinal_infra.automation.workspace import AutomationError, Workspace, plain_errors
from kardinal_infra.databases.staleness import StackView

PARALLEL_READS = 4
"""States that are read at once."""


@dataclass(frozen=True)
class StateBackend:
    """Where stacks are kept.

    Attributes:
        url: Address, as Pulumi shows it.
        project: Name of the Pulumi project in the folder.
    """

    url: str
    project: str


class PulumiStacks:
    """Reads the stacks of a state backend of any kind, by `pulumi stack ls` and `pulumi stack export`.

    A state is read again only when the list shows that it has changed.

    Args:
        folder: Folder with `Pulumi.yaml`; it and the environment say which state backend is in use.

    Raises:
        AutomationError: There is no usable Pulumi command line.
    """

    def __init__(self, folder: Path) -> None:
        with plain_errors():
            self._workspace = Workspace(work_dir=str(folder))
        self._states: dict[str, tuple[Mapping[str, Any], Mapping[str, Any]]] = {}

    def backend(self) -> StateBackend:
        """Says which state backend is in use.

        Raises:
            AutomationError: It cannot be reached.
        """
        with plain_errors():
            url = json.loads(self._workspace.run("whoami", "--verbose", "--json"))["url"]
            return StateBackend(url, self._workspace.project_settings().name)

    def read(self) -> dict[str, StackView]:
        """Returns all stacks by `organization/project/stack`, as they are now.

        Raises:
            AutomationError: The list or one of the states cannot be read.
        """
        while True:
            listed = self._list()
            with ThreadPoolExecutor(PARALLEL_READS) as pool:
                states = dict(zip(listed, pool.map(self._state, listed.values()), strict=True))
            if None not in states.values():
                break
            missing = {name for name, state in states.items() if state is None}
            # Removed between the list and the reading of its state, or else there is a reason to tell.
            for name in sorted(missing & self._list().keys()):
                self._export(name)
        return {name: _view(listed[name], state) for name, state in states.items() if state is not None}

    def _list(self) -> dict[str, Mapping[str, Any]]:
        with plain_errors():
            text = self._workspace.read("stack", "ls", "--all", "--json", "--fully-qualify-stack-names")
        listed = {str(entry["name"]): entry for entry in json.loads(text)}
        for name in listed:
            if name.count("/") != 2:
                raise AutomationError(
                    f"the state backend lists stack {name} without its project: run `pulumi state upgrade`"
                )
        return listed

    def _state(self, entry: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """The deployment of a stack; None when it cannot be read."""
        name = str(entry["name"])
        kept = self._states.get(name)
        # `current` only says which stack is selected.
        if kept is not None and {**kept[0], "current": None} == {**entry, "current": None}:
            return kept[1]
        try:
            state = self._export(name)
        except AutomationError:
            return None
        self._states[name] = entry, state
        return state

    def _export(self, name: str) -> Mapping[str, Any]:
        with plain_errors():
            exported = json.loads(self._workspace.run("stack", "export", "--stack", name))
        return exported.get("deployment") or {}


def _view(entry: Mapping[str, Any], state: Mapping[str, Any]) -> StackView:
    written = (state.get("manifest") or {}).get("time") or entry.get("lastUpdate")
    changed = datetime.fromisoformat(written) if written else None
    resources = state.get("resources") or ()
    ids = {str(resource["id"]) for resource in resources if resource.get("id")}
    branches = {(resource.get("outputs") or {}).get("branch_id") for resource in resources}
    return StackView(
        changed_at=changed if changed and changed.year > 1 else None,  # Pulumi's word for never
        busy=bool(entry.get("updateInProgress") or state.get("pending_operations")),
        holds=frozenset(ids | {branch for branch in branches if isinstance(branch, str)}),
    )
