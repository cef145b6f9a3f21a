"""`PostgresBranch`: a copy of a database on any PostgreSQL server as a Pulumi resource."""

from collections.abc import Mapping
from typing import NotRequired, TypedDict

import pulumi

from kardinal_infra.databases.branch_resource import BranchResource
from kardinal_infra.databases.postgres.inputs import OUTPUTS, SECRET_OUTPUTS
from kardinal_infra.databases.postgres.provider import PostgresBranchProvider


class PostgresBranchArgs(TypedDict):
    """What a branch on a PostgreSQL server is made of."""

    project: pulumi.Input[str]
    """The server as the users of the branch reach it: `host` or `host:port`. The outputs name this address;
    how the machine that runs Pulumi gets there is the administrator's URI's business."""

    name: pulumi.Input[str]
    """Name of the branch, unique on the server. Database and role get a name that is made from it."""

    database: pulumi.Input[str]
    """Database that the application uses; it is what is copied, unless `parent` says otherwise."""

    role: pulumi.Input[str]
    """Role that the application uses; its settings become those of the branch's own role."""

    parent: NotRequired[pulumi.Input[str]]
    """Database to copy instead, such as a golden copy that nobody connects to, or the name of a branch."""

    init: NotRequired[pulumi.Input[str]]
    """`data` or `schema-only`. Default: `data`."""

    source: NotRequired[pulumi.Input[str]]
    """`template` (CREATE DATABASE ... TEMPLATE; nobody may be connected to the parent), `dump` (pg_dump into
    pg_restore; the parent stays in use) or `auto`. Default: `auto`, a template where that disturbs nobody."""

    annotations: NotRequired[pulumi.Input[Mapping[str, pulumi.Input[str]]]]
    """Marks of ownership besides `kardinal-stack`, which is always set to this stack. Changed in place."""

    ttl: NotRequired[pulumi.Input[str]]
    """Life time, for example `24h` or `7d`. An update renews it when half of it is over.
    After it nobody can log in any more; `reap` or the next update removes the branch."""

    expires_at: NotRequired[pulumi.Input[str]]
    """End of the branch instead of a life time, RFC 3339."""

    protected: NotRequired[pulumi.Input[bool]]
    """Refuse the deletion of the branch. Default: false."""

    delete_children: NotRequired[pulumi.Input[bool]]
    """When the branch is deleted, delete those that this same stack made from it as well. Default: false."""


class PostgresBranch(BranchResource, module="postgres", name="Branch"):
    """A copy of a database with a role of its own, on the same server, ready when the resource is.

    The administrator's URI comes from `KARDINAL_POSTGRES_URI` or the secret config `kardinal:postgresUri`. A
    branch of the same name is adopted when it carries this stack's annotations (left by an interrupted run),
    and refused otherwise.

    Args:
        resource_name: Name of the resource.
        args: See `PostgresBranchArgs`.
        opts: Options; `import_` does not work with dynamic resources.

    Raises:
        pulumi.RunError: `opts.import_` is set.
    """

    OUTPUTS = OUTPUTS
    SECRET_OUTPUTS = SECRET_OUTPUTS

    branch_id: pulumi.Output[str]
    """Id: the name of its database."""

    branch_name: pulumi.Output[str]
    """Name."""

    project_id: pulumi.Output[str]
    """System identifier of the server."""

    parent_id: pulumi.Output[str]
    """Database that it was copied from."""

    branch_database: pulumi.Output[str]
    """Database of the branch."""

    branch_role: pulumi.Output[str]
    """Role of the branch; it owns everything in it and can log in nowhere else."""

    host: pulumi.Output[str]
    """Host of the server."""

    port: pulumi.Output[int]
    """Port of the server."""

    password: pulumi.Output[str]
    """Password of the role (secret)."""

    uri: pulumi.Output[str]
    """Connection URI (secret)."""

    pooled_uri: pulumi.Output[str]
    """The same as `uri`: there is no pooler."""

    expires_at: pulumi.Output[str | None]
    """When its role cannot log in any more, RFC 3339; None without an end."""

    copied_by: pulumi.Output[str]
    """How its data came: `wal_log`, `file_copy`, `clone` or `dump`."""

    adopted: pulumi.Output[bool]
    """Whether its creation took over a branch that an interrupted run had left."""

    def __init__(
        self, resource_name: str, args: PostgresBranchArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(PostgresBranchProvider(), resource_name, args, opts)
