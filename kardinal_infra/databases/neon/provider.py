"""The dynamic provider of Neon branches.

The import path and name of `NeonBranchProvider` are part of every stack's state: the engine stores a
reference to the class and imports it again for a `destroy`. They never change. The class has no constructor
state, so that the reference stays a reference.

Rules of the engine that shape this module: a preview calls `configure`, `check` and `diff`, which therefore
ask nobody; a `create` that raises leaves nothing in the state, so it cleans up after itself and adopts what a
killed run left; there is no cancellation and no time-out but our own.

Facts: docs/facts/pulumi.md#the-import-path-is-state, docs/facts/pulumi.md#a-preview-makes-nothing,
docs/facts/pulumi.md#no-partial-failure.
"""

from __future__ import annotations

import threading
from datetime import datetime

from pulumi.dynamic import ConfigureRequest, CreateResult, ReadResult, UpdateResult

from kardinal_infra.databases.branch_provider import BranchProvider, Props
from kardinal_infra.databases.neon import inputs
from kardinal_infra.databases.neon.branch import ensure_branch
from kardinal_infra.databases.neon.change import read_branch, update_branch
from kardinal_infra.databases.neon.client import NeonClient
from kardinal_infra.databases.neon.clock import Clock
from kardinal_infra.databases.neon.errors import NeonNotFoundError
from kardinal_infra.databases.neon.removal import remove_branch
from kardinal_infra.databases.neon.settings import (
    CONFIG_NAMESPACE,
    HOST_CONFIG,
    KEY_CONFIG,
    NeonSettings,
    resolve_settings,
)
from kardinal_infra.databases.neon.state import branch_ids, drifted_inputs, outputs
from kardinal_infra.engine.dynamic import one_line_errors
from kardinal_infra.errors import BranchingError


class NeonBranchProvider(BranchProvider):
    """Creates, reads, updates and deletes Neon branches for `NeonBranch`."""

    inputs = inputs
    clock = Clock()

    def configure(self, req: ConfigureRequest) -> None:
        """Stores the configuration; a missing key is no matter here, or a destroy could not even begin.

        Args:
            req: Key and host under `kardinal:` or under the project's own name.
        """
        super().configure(req)
        self._key = req.config.get(f"{CONFIG_NAMESPACE}:{KEY_CONFIG}") or req.config.get(KEY_CONFIG)
        self._host = req.config.get(f"{CONFIG_NAMESPACE}:{HOST_CONFIG}") or req.config.get(HOST_CONFIG)
        self._clients: dict[NeonSettings, NeonClient] = {}
        self._clients_guard = threading.Lock()

    def utc_now(self) -> datetime:
        """Returns the time of day."""
        return self.clock.utc_now()

    @one_line_errors
    def create(self, props: Props) -> CreateResult:
        """Makes the branch, or adopts the one that an interrupted run left.

        Args:
            props: Checked inputs.

        Raises:
            BranchingError: It cannot be made; nothing is left behind as far as possible.
        """
        ready = ensure_branch(self._client(props), inputs.spec(props))
        return CreateResult(
            f"{ready.branch.project_id}/{ready.branch.id}", outputs(props, ready, adopted=ready.adopted)
        )

    @one_line_errors
    def read(self, id_: str, props: Props) -> ReadResult:
        """Reads the branch for a refresh or a `get`; one that is gone is no error.

        Args:
            id_: `<project id>/<branch id>`.
            props: State, or the inputs of a `get`.
        """
        project_id, branch_id = branch_ids(id_)
        found = read_branch(
            self._client(props),
            project_id,
            branch_id,
            database=props.get("database"),
            role=props.get("role"),
            databases=props.get("databases") or (),
            roles=props.get("roles") or (),
        )
        if found is None:
            return ReadResult(None, {})
        # The next diff compares with the outputs, so drift must show in both.
        drifted = drifted_inputs(props, found)
        known = {**drifted, "parent_id": props.get("parent_id"), "parent_lsn": props.get("parent_lsn")}
        outs = outputs(known, found, adopted=props.get("adopted"))
        return ReadResult(id_, outs, drifted)

    @one_line_errors
    def update(self, _id: str, _olds: Props, _news: Props) -> UpdateResult:
        """Changes name, protection, life time, compute, databases and roles in place.

        Args:
            _id: `<project id>/<branch id>`.
            _olds: State.
            _news: Checked inputs.

        Raises:
            BranchingError: The branch is gone, or Neon refused.
        """
        project_id, branch_id = branch_ids(_id)
        wanted = inputs.spec(_news)
        rotated = _olds.get("rotate_password") is not False and _olds.get("role") == wanted.role
        try:
            ready = update_branch(
                self._client(_news),
                project_id,
                branch_id,
                wanted,
                rotate=wanted.rotate_password and not rotated,
                former=inputs.former(_olds),
            )
        except NeonNotFoundError as error:
            raise BranchingError(
                f"{error}; if branch {_olds.get('name')!r} ({branch_id}) was deleted by hand,"
                " `pulumi refresh` forgets it and the next `pulumi up` makes a new one"
            ) from None
        news = {**_news, "parent_id": _olds.get("parent_id")}
        return UpdateResult(outputs(news, ready, adopted=_olds.get("adopted")))

    @one_line_errors
    def delete(self, _id: str, _props: Props) -> None:
        """Deletes the branch and waits; one that is gone already is a success.

        Args:
            _id: `<project id>/<branch id>`.
            _props: State.

        Raises:
            BranchingError: It is protected or the default branch, or others were made from it.
        """
        project_id, branch_id = branch_ids(_id)
        cascade = _props.get("annotations") if _props.get("delete_children") else None
        remove_branch(self._client(_props), project_id, branch_id, cascade_stack=cascade)

    def _client(self, props: Props) -> NeonClient:
        settings = resolve_settings(
            config_key=self._key, config_host=self._host, argument_host=props.get("api_host")
        )
        with self._clients_guard:
            if settings not in self._clients:
                self._clients[settings] = NeonClient(settings, clock=self.clock)
            return self._clients[settings]
