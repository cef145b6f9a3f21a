"""From a branch to the resource's state and back."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from kardinal_infra.databases.neon.inputs import INPUTS, drifted_compute
from kardinal_infra.databases.neon.spec import BranchView
from kardinal_infra.databases.ttl import timestamp
from kardinal_infra.errors import BranchingError
from kardinal_infra.model.branch_rules import parse_moment

_ID = re.compile(r"([a-z0-9-]{1,60})/([a-z0-9-]{1,60})")


def branch_ids(resource_id: str) -> tuple[str, str]:
    """Splits a resource id into project id and branch id.

    Args:
        resource_id: `<project id>/<branch id>`.

    Raises:
        BranchingError: It has another form.
    """
    match = _ID.fullmatch(resource_id)
    if not match:
        raise BranchingError(f"{resource_id!r} is not <project id>/<branch id>, as in spring-1/br-a-b-1")
    return match[1], match[2]


def outputs(props: Mapping[str, Any], found: BranchView, *, adopted: bool | None) -> dict[str, Any]:
    """Builds the state of a branch: its inputs, which the next diff is compared with, and its outputs.

    Args:
        props: The inputs, or a state that contains them.
        found: The branch; its compute and connection may be missing.
        adopted: Whether its creation took over an existing branch.

    Returns:
        Plain values; passwords among them, which the resource declares as secret outputs.
    """
    branch, connection = found.branch, found.connection
    return {
        **declared(props),
        "branch_id": branch.id,
        "branch_name": branch.name,
        "project_id": branch.project_id,
        # Neon forgets what a schema-only branch was made from.
        "parent_id": found.parent_id or props.get("parent_id"),
        "parent_lsn": props.get("parent_lsn") or branch.parent_lsn,
        "endpoint_id": found.endpoint.id if found.endpoint else None,
        "host": found.endpoint.host if found.endpoint else None,
        "port": connection.port if connection else None,
        "password": connection.password.get_secret_value() if connection else None,
        "uri": connection.uri.get_secret_value() if connection else None,
        "pooled_uri": connection.pooled_uri.get_secret_value() if connection else None,
        "expires_at": timestamp(branch.expires_at) if branch.expires_at else None,
        "role_passwords": {
            name: password.get_secret_value() for name, password in found.extras.passwords.items()
        }
        or None,
        "adopted": adopted,
    }


def drifted_inputs(props: Mapping[str, Any], found: BranchView) -> dict[str, Any]:
    """Returns the inputs as the branch has them now, so that the next update puts right what was changed.

    A shifted expiry is no drift of a TTL: a reset from the parent restarts it. One that was removed is, and
    so is any change of a fixed end. Of databases, roles and the compute only what was asked for counts.

    Args:
        props: State, or the inputs of a `get`.
        found: The branch as it is.
    """
    branch = found.branch
    drifted = {**declared(props), "name": branch.name}
    if bool(props.get("protected")) != branch.protected:
        drifted["protected"] = branch.protected
    if branch.expires_at is None:
        drifted.pop("ttl", None)
        drifted.pop("expires_at", None)
    elif "ttl" not in drifted and not _is_at(drifted.get("expires_at"), branch.expires_at):
        drifted["expires_at"] = timestamp(branch.expires_at)
    if drifted.get("compute") and found.endpoint is not None:
        drifted["compute"] = drifted_compute(props, found.endpoint)
    if "databases" in drifted:
        drifted["databases"] = dict(found.extras.databases)
    if "roles" in drifted:
        drifted["roles"] = [name for name in drifted["roles"] if name in found.extras.passwords]
    return drifted


def _is_at(text: str | None, moment: datetime) -> bool:
    return text is not None and parse_moment(text).replace(microsecond=0) == moment.replace(microsecond=0)


def declared(props: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the inputs among properties; of `expires_at` and `parent_lsn` only what can be no output."""
    given = {name: props[name] for name in INPUTS if props.get(name) is not None and name != "parent_lsn"}
    if "ttl" in given:
        given.pop("expires_at", None)
    return given
