"""The Pulumi resource of a branch, its inputs, and the provider that makes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import pulumi
from pulumi.dynamic import CreateResult, ReadResult

from kardinal_folders.files import Folder
from kardinal_infra.databases import branch_inputs
from kardinal_infra.databases.branch_inputs import Input
from kardinal_infra.databases.branch_provider import BranchProvider, Props
from kardinal_infra.databases.branch_resource import BranchResource
from kardinal_infra.engine.dynamic import one_line_errors


class _Inputs:
    """What the resource declares; a change of any of it needs a new copy."""

    def __init__(self) -> None:
        names = ("project", "name", "database", "role", "parent", "annotations")
        self.INPUTS: dict[str, Input] = branch_inputs.declared(names, replaces=names)

    def problems(
        self, props: Mapping[str, Any], unknown: Callable[[object], bool], now: datetime
    ) -> list[tuple[str, str]]:
        """Lists what is wrong with the inputs."""
        outputs = FoldersBranch.OUTPUTS
        return branch_inputs.single_problems(self.INPUTS, outputs, "branch", props, unknown, now)[0]

    def changed(self, olds: Mapping[str, Any], news: Mapping[str, Any], _now: datetime) -> list[str]:
        """Lists what differs."""
        return [name for name in self.INPUTS if olds.get(name) != news.get(name)]


INPUTS = _Inputs()


class FoldersBranchProvider(BranchProvider):
    """Makes and removes copies. The import path of this class is part of every stack's state."""

    inputs = INPUTS

    @one_line_errors
    def create(self, props: Props) -> CreateResult:
        """Copies the database, or adopts the copy of an interrupted run."""
        parent = props.get("parent") or props["database"]
        adopted = self._folder(props).make(props["name"], parent, props["annotations"])
        return CreateResult(props["name"], self._state(props, adopted=adopted))

    @one_line_errors
    def read(self, id_: str, props: Props) -> ReadResult:
        """Looks whether the copy is still there."""
        found = self._folder(props).owned_by(id_, props["annotations"])
        return ReadResult(id_, props) if found else ReadResult(None, {})

    @one_line_errors
    def delete(self, _id: str, _props: Props) -> None:
        """Removes the copy; one that is gone already is a success."""
        self._folder(_props).remove(_id, _props["annotations"])

    def _folder(self, props: Props) -> Folder:
        return Folder.of(props["project"], self.config.get)

    def _state(self, props: Props, *, adopted: bool) -> Props:
        file = self._folder(props).file(props["name"])
        return {
            **{name: props[name] for name in INPUTS.INPUTS if props.get(name) is not None},
            "branch_id": props["name"],
            "branch_name": props["name"],
            "parent_id": props.get("parent") or props["database"],
            "host": "localhost",
            "port": 0,
            "password": "",
            "uri": f"sqlite:///{file}",
            "pooled_uri": f"sqlite:///{file}",
            "expires_at": None,
            "adopted": adopted,
        }


class FoldersBranch(BranchResource, module="folders", name="Branch"):
    """A copy of a SQLite database."""

    OUTPUTS = (
        "branch_id", "branch_name", "parent_id", "host", "port", "password", "uri", "pooled_uri",
        "expires_at", "adopted",
    )  # fmt: skip
    SECRET_OUTPUTS = ("password", "uri", "pooled_uri")

    branch_id: pulumi.Output[str]
    branch_name: pulumi.Output[str]
    parent_id: pulumi.Output[str]
    host: pulumi.Output[str]
    port: pulumi.Output[int]
    database: pulumi.Output[str]
    role: pulumi.Output[str]
    password: pulumi.Output[str]
    uri: pulumi.Output[str]
    pooled_uri: pulumi.Output[str]
    expires_at: pulumi.Output[str | None]

    def __init__(
        self, resource_name: str, args: Mapping[str, Any], opts: pulumi.ResourceOptions | None = None
    ) -> None:
        """Declares the branch."""
        super().__init__(FoldersBranchProvider(), resource_name, args, opts)
