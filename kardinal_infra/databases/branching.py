"""What a database branching system must offer to give a flow its own copy of a database.

Only what all systems have in common is here: a branch made from a parent, an owner, a life time, and a
connection. Whatever else one can or cannot do is a flag in `Capabilities`, and asking for what a backend
cannot do is an error before anything is created.
"""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, cast

import pulumi

from kardinal_infra.errors import ConfigError, Problem


@dataclass(frozen=True)
class Capabilities:
    """What a backend can do.

    Attributes:
        ttl: Deletes branches by itself after a time.
        protection: Refuses the deletion of branches marked so.
        point_in_time: Branches from an earlier state of the parent.
        schema_only: Branches without data.
        masking: Masks columns while branching.
        pooled: Gives a pooled URI that differs from the direct one.
        nested: Branches from branches.
        rotates_credentials: Gives a branch passwords that do not open its parent.
        copy_on_write: A branch takes time and space independent of the size of the data. None when that
            depends on the server.
        max_branches: Most branches of one project; None when it depends on the plan or there is no limit.
    """

    ttl: bool = False
    protection: bool = False
    point_in_time: bool = False
    schema_only: bool = False
    masking: bool = False
    pooled: bool = False
    nested: bool = False
    rotates_credentials: bool = False
    copy_on_write: bool | None = None
    max_branches: int | None = None


@dataclass(frozen=True)
class BranchRequest:
    """The branch that a flow asks for. Plain values: structure must be known at preview.

    Attributes:
        name: Name of the branch, unique within the project.
        project: Where the database lives, in the backend's words; for Neon a project id or name.
        database: Database to connect to.
        role: Role to connect as.
        parent: Branch to branch from, by id or name; None is the project's default branch.
        ttl: Life time such as `24h`; None lives as long as its stack.
        protected: Refuse its deletion.
        annotations: Marks of ownership besides the stack's own.
        rotate_password: Give the role a password that does not open the parent.
        delete_children: Delete branches that this stack made from it before it.
        api_host: Address of the backend's API; None is its default.
    """

    name: str
    project: str
    database: str
    role: str
    parent: str | None = None
    ttl: str | None = None
    protected: bool = False
    annotations: Mapping[str, str] = field(default_factory=dict)
    rotate_password: bool = True
    delete_children: bool = False
    api_host: str | None = None


@dataclass(frozen=True)
class Branch:
    """A branch as the rest of a flow uses it; every field but the first is known after the update only.

    Attributes:
        resource: What to depend on.
        branch_id: Id in the backend.
        branch_name: Name in the backend.
        parent_id: Id of the branch it was made from.
        host: Host to connect to.
        port: Port to connect to.
        database: Database name.
        role: Role name.
        password: Password of the role (secret).
        uri: Connection URI (secret).
        pooled_uri: Pooled connection URI, the direct one where there is no pooler (secret).
        expires_at: RFC 3339, or None.
    """

    resource: pulumi.Resource
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


class BranchingBackend(Protocol):
    """A system that branches databases."""

    @property
    def name(self) -> str:
        """Name in the configuration, for example `neon`."""
        ...

    @property
    def capabilities(self) -> Capabilities:
        """What it can do."""
        ...

    def problems(self, request: BranchRequest) -> list[Problem]:
        """Lists what is wrong with a request, offline; paths are the request's attribute names.

        Args:
            request: What is asked for.
        """
        ...

    def declare(
        self, resource_name: str, request: BranchRequest, opts: pulumi.ResourceOptions | None = None
    ) -> Branch:
        """Declares the resource that makes, keeps and deletes the branch.

        Args:
            resource_name: Name of the resource.
            request: What is asked for.
            opts: Options of the resource.

        Raises:
            ConfigError: The request is not one that this backend can fulfil; lists every problem.
        """
        ...

    def require_credentials(self, request: BranchRequest, config: Callable[[str], str | None]) -> None:
        """Checks offline that `declare` and `discard` will have what they need to log in.

        Args:
            request: What was asked for.
            config: The stack's configuration, by `namespace:key`.

        Raises:
            BranchingError: They will not; says what to set.
        """
        ...

    def discard(self, request: BranchRequest, config: Callable[[str], str | None]) -> bool:
        """Deletes the branch of a request if one exists that is ours: what a killed update may have left.

        Args:
            request: What was asked for; its name and annotations identify the branch.
            config: The stack's configuration, by `namespace:key`, for credentials.

        Returns:
            Whether there was one.

        Raises:
            BranchingError: It cannot be looked for or deleted.
        """
        ...


_BACKENDS: dict[str, str] = {"neon": "kardinal_infra.databases.neon.backend:NeonBackend"}


def backend(name: str) -> BranchingBackend:
    """Returns a backend by its name in the configuration.

    Args:
        name: For example `neon`.

    Raises:
        ConfigError: There is none of this name; the message lists those there are.
    """
    if name not in _BACKENDS:
        known = ", ".join(sorted(_BACKENDS))
        raise ConfigError([Problem("backend", f"there is no branching backend {name!r}, only {known}")])
    module, _, kind = _BACKENDS[name].partition(":")
    # Imported when asked for: a stack without databases loads no database client.
    return cast("BranchingBackend", getattr(importlib.import_module(module), kind)())


def register_backend(name: str, path: str) -> None:
    """Makes a further backend known.

    Args:
        name: Name in the configuration.
        path: `module:class`, a class without constructor arguments that follows `BranchingBackend`.

    Raises:
        ValueError: The name is taken.
    """
    if _BACKENDS.get(name, path) != path:
        raise ValueError(f"the branching backend {name!r} is {_BACKENDS[name]}")
    _BACKENDS[name] = path


def unsupported(request: BranchRequest, capabilities: Capabilities) -> list[Problem]:
    """Lists what a request asks for and a backend cannot do.

    Args:
        request: What is asked for.
        capabilities: Of the backend.
    """
    asked = {
        "ttl": (request.ttl is not None, capabilities.ttl, "delete branches after a time"),
        "protected": (request.protected, capabilities.protection, "protect branches"),
        "rotate_password": (
            request.rotate_password,
            capabilities.rotates_credentials,
            "give branches passwords of their own",
        ),
    }
    return [
        Problem(path, f"this backend cannot {what}")
        for path, (wanted, able, what) in asked.items()
        if wanted and not able
    ]
