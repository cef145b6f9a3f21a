"""`NeonBranch`: a Neon branch as a Pulumi resource."""

from collections.abc import Mapping, Sequence
from typing import NotRequired, TypedDict, cast

import pulumi

from kardinal_infra.databases.branch_resource import BranchResource
from kardinal_infra.databases.neon.inputs import OUTPUTS, SECRET_OUTPUTS
from kardinal_infra.databases.neon.provider import NeonBranchProvider
from kardinal_infra.databases.request import BranchInit


class NeonMaskingRule(TypedDict):
    """How one column of a masked branch is filled: by `function` or by `value`."""

    table: pulumi.Input[str]
    """Name of the table."""

    column: pulumi.Input[str]
    """Name of the column; those of a foreign key cannot be masked."""

    schema: NotRequired[pulumi.Input[str]]
    """Schema of the table. Default: public."""

    database: NotRequired[pulumi.Input[str]]
    """Database of the table. Default: that of the branch."""

    function: NotRequired[pulumi.Input[str]]
    """Masking function of PostgreSQL Anonymizer, for example `anon.fake_email()`."""

    value: NotRequired[pulumi.Input[str]]
    """One value for all rows."""


class NeonCompute(TypedDict):
    """Size of a compute; what is left out follows the project."""

    min_units: NotRequired[pulumi.Input[float]]
    """Smallest size in compute units, 0.25 and up."""

    max_units: NotRequired[pulumi.Input[float]]
    """Largest size in compute units."""

    suspend_after: NotRequired[pulumi.Input[str]]
    """Idle time after which it stops, for example `5m`, from 1 minute to 7 days, or `never`."""


class NeonBranchArgs(TypedDict):
    """What a Neon branch is made of."""

    project: pulumi.Input[str]
    """Neon project, by id or by name."""

    name: pulumi.Input[str]
    """Name of the branch, unique in the project. Changed in place."""

    database: pulumi.Input[str]
    """Database of the connection URIs; it must exist on the parent."""

    role: pulumi.Input[str]
    """Role of the connection URIs; it must exist on the parent."""

    parent: NotRequired[pulumi.Input[str]]
    """Branch to branch from, by id or by name. Default: the project's default branch."""

    parent_timestamp: NotRequired[pulumi.Input[str]]
    """Branch from the parent as it was at this time, for example `2026-11-24T18:02:16Z`. A change makes a new
    branch."""

    parent_lsn: NotRequired[pulumi.Input[str]]
    """Branch from the parent as it was at this log position, for example `0/1DE2850`, instead of a time. A
    change makes a new branch. Left out, the output of this name says where the branch was made."""

    init: NotRequired[pulumi.Input[BranchInit]]
    """What the branch holds at first: `data` (the default), `schema-only` (a root branch in Neon's count) or
    `masked`, which is ready only when Neon has masked it. A change makes a new branch."""

    masking_rules: NotRequired[pulumi.Input[Sequence[pulumi.Input[NeonMaskingRule]]]]
    """Columns to mask, for `init="masked"`. A change makes a new branch."""

    ttl: NotRequired[pulumi.Input[str]]
    """Life time, for example `24h` or `7d`, at most 30 days. An update renews it when half of it is over."""

    expires_at: NotRequired[pulumi.Input[str]]
    """A fixed end instead of a life time, for example `2026-11-24T18:02:16Z`, at most 30 days ahead."""

    protected: NotRequired[pulumi.Input[bool]]
    """Refuse the deletion of the branch. Default: false."""

    annotations: NotRequired[pulumi.Input[Mapping[str, pulumi.Input[str]]]]
    """Marks of ownership besides `kardinal-stack`, which is always set to this stack. Neon keeps them from
    creation on; a change makes a new branch."""

    compute: NotRequired[pulumi.Input[NeonCompute]]
    """Size and idle time of the compute. Changed in place; what is removed goes back to the project's
    default."""

    databases: NotRequired[pulumi.Input[Mapping[str, pulumi.Input[str]]]]
    """Further databases on the branch: owner role by name. Made and removed in place."""

    roles: NotRequired[pulumi.Input[Sequence[pulumi.Input[str]]]]
    """Further roles on the branch; their passwords are the output `role_passwords`. Made and removed in
    place."""

    rotate_password: NotRequired[pulumi.Input[bool]]
    """Give the role a password of its own on the branch, instead of the parent's. Default: true."""

    delete_children: NotRequired[pulumi.Input[bool]]
    """When the branch is deleted, first delete those that this same stack made from it. Default: false."""

    api_host: NotRequired[pulumi.Input[str]]
    """Address of the Neon API. `NEON_API_HOST` in the environment wins; default `kardinal:neonApiHost`, then
    Neon's own."""


class NeonBranch(BranchResource, module="neon", name="Branch"):
    """A branch of a Neon project with a compute to connect to, ready when the resource is.

    The key comes from `NEON_API_KEY` or the secret config `kardinal:neonApiKey`. A branch of the same name is
    adopted when it carries this stack's annotations (left by an interrupted run), and refused otherwise.

    Args:
        resource_name: Name of the resource.
        args: See `NeonBranchArgs`.
        opts: Options; `import_` does not work with dynamic resources, use `NeonBranch.get`.

    Raises:
        pulumi.RunError: `opts.import_` is set.
    """

    OUTPUTS = OUTPUTS
    SECRET_OUTPUTS = SECRET_OUTPUTS
    INSTEAD_OF_IMPORT = (
        "read an existing branch with NeonBranch.get, or let a stack with the same annotations adopt it"
    )

    branch_id: pulumi.Output[str]
    """Id, for example `br-small-term-683261`."""

    branch_name: pulumi.Output[str]
    """Name."""

    project_id: pulumi.Output[str]
    """Id of the project."""

    parent_id: pulumi.Output[str]
    """Id of the branch it was made from."""

    parent_lsn: pulumi.Output[str | None]
    """Position in the parent's log at which it was made, for example `0/1DE2850`; None for a schema-only
    branch."""

    endpoint_id: pulumi.Output[str]
    """Id of its read-write compute."""

    host: pulumi.Output[str]
    """Host of the compute."""

    port: pulumi.Output[int]
    """Port of the compute."""

    database: pulumi.Output[str]
    """Database of the URIs."""

    role: pulumi.Output[str]
    """Role of the URIs."""

    password: pulumi.Output[str]
    """Password of the role on this branch (secret)."""

    uri: pulumi.Output[str]
    """Connection URI (secret)."""

    pooled_uri: pulumi.Output[str]
    """Connection URI through Neon's transaction-mode pooler (secret)."""

    expires_at: pulumi.Output[str | None]
    """When Neon deletes the branch, RFC 3339; None without a TTL."""

    role_passwords: pulumi.Output[Mapping[str, str] | None]
    """Password by further role (secret); None without any."""

    adopted: pulumi.Output[bool]
    """Whether its creation took over a branch that an interrupted run had left."""

    def __init__(
        self, resource_name: str, args: NeonBranchArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(NeonBranchProvider(), resource_name, args, opts)

    @classmethod
    def get(
        cls,
        resource_name: str,
        id: pulumi.Input[str],
        *,
        database: pulumi.Input[str],
        role: pulumi.Input[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> "NeonBranch":
        """Reads an existing branch, which this stack neither owns nor deletes.

        Args:
            resource_name: Name of the resource.
            id: `<project id>/<branch id>`.
            database: Database of the connection URIs.
            role: Role of the connection URIs.
            opts: Options.
        """
        lookup = cast("NeonBranchArgs", {"database": database, "role": role})
        return cls(resource_name, lookup, pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(id=id)))
