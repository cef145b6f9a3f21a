"""What a database branching system must offer to give a flow its own copy of a database.

Only what all systems have in common is here: a branch made from a parent, an owner, a life time, and a
connection. Whatever else one can or cannot do is a flag in `Capabilities`, and asking for what a backend
cannot do is an error before anything is created.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, Protocol, Self, cast

import pulumi

from kardinal_infra.config.backends import Capabilities, distribution_of, find_backend
from kardinal_infra.databases.owned import OwnedBranch
from kardinal_infra.databases.request import BranchInit, BranchRequest, Compute, MaskingRule
from kardinal_infra.errors import ConfigError, Problem
from kardinal_infra.model.base import ConfigReader
from kardinal_infra.model.branch_options import option_of

__all__ = [
    "Branch",
    "BranchInit",
    "BranchRequest",
    "BranchingBackend",
    "Capabilities",
    "Compute",
    "MaskingRule",
    "OwnedBranch",
    "backend",
    "capabilities_of",
    "unsupported",
]


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

    @classmethod
    def of(cls, resource: pulumi.Resource, **outputs: Any) -> Self:
        """Takes the branch of a resource.

        Args:
            resource: Its outputs have the names of the fields.
            outputs: Those that have other names, by field.
        """
        names = [field.name for field in fields(cls) if field.name not in {"resource", *outputs}]
        taken: dict[str, Any] = {name: getattr(resource, name) for name in names}
        return cls(resource=resource, **taken, **outputs)


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

    def require_credentials(self, request: BranchRequest, config: ConfigReader) -> None:
        """Checks offline that `declare` and `discard` will have what they need to log in.

        Args:
            request: What was asked for.
            config: The stack's configuration, by `namespace:key`.

        Raises:
            BranchingError: They will not; says what to set.
        """
        ...

    def discard(self, request: BranchRequest, config: ConfigReader) -> bool:
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

    def owned(self, project: str, config: ConfigReader) -> list[OwnedBranch]:
        """Lists the branches that carry the mark `kardinal-stack`, whichever stack it names.

        Branches whose deletion already runs are left out.

        Args:
            project: Where to look, as in `BranchRequest.project`.
            config: The configuration of a stack, by `namespace:key`, for credentials.

        Raises:
            BranchingError: They cannot be listed completely.
        """
        ...

    def remove(
        self,
        branch: OwnedBranch,
        config: ConfigReader,
        still: Callable[[OwnedBranch], bool],
    ) -> bool:
        """Deletes a branch that `owned` has listed, after one more look at it.

        It is read again by its id, as late as the backend allows, and deleted only when its annotations are
        the listed ones, nothing speaks against it (protected, default, others made from it), and `still`
        agrees to it as it is now. Together with it goes what was made for it alone, such as its role.

        Args:
            branch: As it was listed.
            config: As for `owned`.
            still: Takes the branch as it is now and says whether it is to go; called at most once, directly
                before the deletion.

        Returns:
            Whether it was deleted; False when it is gone already or `still` said no.

        Raises:
            BranchingError: It may not go (says why), has become somebody else's, or the deletion failed.
        """
        ...


def backend(name: str) -> BranchingBackend:
    """Returns a backend by its name in the configuration.

    Args:
        name: For example `neon`.

    Raises:
        ConfigError: None of this name is installed (the message lists those that are), several are, or it
            cannot be loaded.
    """
    point = find_backend(name)
    # Loaded when asked for: a stack without databases loads no database client.
    try:
        return cast("BranchingBackend", point.load()())
    except Exception as error:
        # Whatever somebody else's module raises at its import is of the same use to the user.
        message = (
            f'the branching backend "{name}" ({point.value}, of the distribution {distribution_of(point)})'
            f" cannot be loaded: {type(error).__name__}: {error}"
        )
        raise ConfigError([Problem("backend", message)]) from error


def capabilities_of(name: str) -> Capabilities:
    """Returns what a backend can do, by its name in the configuration.

    Args:
        name: For example `neon`.

    Raises:
        ConfigError: As `backend`.
    """
    return backend(name).capabilities


def unsupported(request: BranchRequest, capabilities: Capabilities, name: str | None = None) -> list[Problem]:
    """Lists what a request asks for and a backend cannot do.

    Args:
        request: What is asked for.
        capabilities: Of the backend.
        name: Of the backend, for the messages.
    """
    who = f"the branching backend {name}" if name else "this backend"
    plain = request.to_plain()
    taken = {"init", "annotations", *capabilities.options}
    found = [
        Problem(path, _refusal(who, path))
        for path, info in BranchRequest.model_fields.items()
        if path in plain and path not in taken and not info.is_required()
    ]
    if request.init in _INITS and request.init not in capabilities.inits:
        found.append(Problem("init", f"{who} cannot {_INITS[request.init]}"))
    if request.rotate_password and not capabilities.rotates_credentials:
        found.append(Problem("rotate_password", f"{who} cannot give branches passwords of their own"))
    return found


_INITS = {"schema-only": "make branches without data", "masked": "mask data"}


def _refusal(who: str, option: str) -> str:
    cannot = option_of(BranchRequest, option).cannot
    return f"{who} cannot {cannot}" if cannot else f"{who} has no such setting: leave it out"
