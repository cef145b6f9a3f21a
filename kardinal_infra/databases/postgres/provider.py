"""The dynamic provider of branches on PostgreSQL servers.

The import path and name of `PostgresBranchProvider` are part of every stack's state: the engine stores a
reference to the class and imports it again for a `destroy`. They never change. The class has no constructor
state, so that the reference stays a reference.

A preview calls `configure`, `check` and `diff`, which ask nobody and load no driver.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pulumi.dynamic import CreateResult, ReadResult, UpdateResult

from kardinal_infra.databases.branch_provider import BranchProvider, Props
from kardinal_infra.databases.postgres import inputs
from kardinal_infra.databases.postgres.address import parse_address
from kardinal_infra.databases.postgres.settings import (
    URI_CONFIG,
    PostgresSettings,
    require_driver,
    resolve_settings,
)
from kardinal_infra.engine.dynamic import one_line_errors
from kardinal_infra.errors import BranchingError

if TYPE_CHECKING:
    from kardinal_infra.databases.postgres.spec import BranchSpec, BranchView


class PostgresBranchProvider(BranchProvider):
    """Creates, reads, updates and deletes databases for `PostgresBranch`."""

    inputs = inputs

    @one_line_errors
    def create(self, props: Props) -> CreateResult:
        """Makes the branch, or adopts the one that an interrupted run left.

        Args:
            props: Checked inputs.

        Raises:
            BranchingError: It cannot be made; nothing is left behind as far as possible.
        """
        settings = self._settings(props)
        from kardinal_infra.databases.postgres.branch import ensure_branch

        now = self.utc_now()
        made = ensure_branch(settings, _spec(props, inputs.end(props, now)), now)
        marks = made.marks
        print(f"kardinal: branch {marks.branch} copied from {marks.parent} by {marks.copied_by}")  # noqa: T201
        return CreateResult(
            f"{made.server_id}/{made.name}", _outputs(props, made, settings, adopted=made.adopted)
        )

    @one_line_errors
    def read(self, id_: str, props: Props) -> ReadResult:
        """Reads the branch for a refresh; one that is gone is no error.

        Args:
            id_: `<server id>/<database>`.
            props: State. Its password cannot be read from a server.
        """
        settings = self._settings(props)
        from kardinal_infra.databases.postgres.branch import read_branch

        server_id, name = _ids(id_)
        found = read_branch(settings, server_id, name, _spec(props, props.get("expires_at")))
        if found is None:
            return ReadResult(None, {})
        # The next diff compares with the outputs, so drift must show in both.
        drifted = _declared(props)
        if bool(props.get("protected")) != found.marks.protected:
            drifted["protected"] = found.marks.protected
        if found.marks.expires_at is None:
            drifted.pop("ttl", None)
        return ReadResult(
            id_, _outputs({**props, **drifted}, found, settings, adopted=props.get("adopted")), drifted
        )

    @one_line_errors
    def update(self, _id: str, _olds: Props, _news: Props) -> UpdateResult:
        """Changes protection, life time or annotations in place.

        Args:
            _id: `<server id>/<database>`.
            _olds: State.
            _news: Checked inputs.

        Raises:
            BranchingError: The branch is gone, or the server refused.
        """
        settings = self._settings(_news)
        from kardinal_infra.databases.postgres.branch import update_branch

        server_id, name = _ids(_id)
        changed = update_branch(
            settings,
            server_id,
            name,
            _spec(_news, inputs.end(_news, self.utc_now())),
            before=_spec(_olds, None),
            rotate=_olds.get("password") is None,
        )
        known = {**_news, "password": _olds.get("password")}
        return UpdateResult(_outputs(known, changed, settings, adopted=_olds.get("adopted")))

    @one_line_errors
    def delete(self, _id: str, _props: Props) -> None:
        """Deletes database and role; what is gone already is a success.

        Args:
            _id: `<server id>/<database>`.
            _props: State.

        Raises:
            BranchingError: It is protected, or the server refused.
        """
        settings = self._settings(_props)
        from kardinal_infra.databases.postgres.removal import remove_branch

        server_id, name = _ids(_id)
        remove_branch(
            settings, server_id, name, _props["annotations"], children=bool(_props.get("delete_children"))
        )

    def _settings(self, props: Props) -> PostgresSettings:
        require_driver()
        # Under `kardinal:`, or under the project's own name.
        return resolve_settings(
            props["project"], lambda key: self.config.get(key) or self.config.get(URI_CONFIG)
        )


def _spec(props: Mapping[str, Any], expires_at: str | None) -> BranchSpec:
    from kardinal_infra.databases.postgres.spec import BranchSpec

    return BranchSpec(
        name=props["name"],
        database=props["database"],
        role=props["role"],
        annotations=dict(props["annotations"]),
        parent=props.get("parent"),
        init=props.get("init") or "data",
        source=props.get("source") or "auto",
        expires_at=expires_at,
        protected=bool(props.get("protected", False)),
    )


def _outputs(
    props: Mapping[str, Any], found: BranchView, settings: PostgresSettings, *, adopted: bool | None
) -> Props:
    """The state: inputs, which the next diff is compared with, and outputs, passwords among them."""
    from pydantic import SecretStr

    address = parse_address(props["project"])
    known = props.get("password")
    password = found.password or (SecretStr(known) if known else None)
    uri = password and address.uri(
        role=found.name, password=password, database=found.name, sslmode=settings.sslmode
    )
    return {
        **_declared(props),
        "branch_id": found.name,
        "branch_name": found.marks.branch,
        "project_id": found.server_id,
        "parent_id": found.marks.parent,
        "branch_database": found.name,
        "branch_role": found.name,
        "host": address.host,
        "port": address.port,
        "password": password.get_secret_value() if password else None,
        "uri": uri,
        "pooled_uri": uri,
        "expires_at": found.marks.expires_at,
        "copied_by": found.marks.copied_by,
        "adopted": adopted,
    }


def _declared(props: Mapping[str, Any]) -> Props:
    return {name: props[name] for name in inputs.INPUTS if props.get(name) is not None}


def _ids(resource_id: str) -> tuple[str, str]:
    server_id, _, name = resource_id.partition("/")
    if not server_id.isdecimal() or not name:
        raise BranchingError(f"{resource_id!r} is not <server id>/<database>")
    return server_id, name
