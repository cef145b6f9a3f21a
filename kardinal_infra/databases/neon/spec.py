"""What is asked of Neon, and what is found there: the two ends of every operation on a branch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import SecretStr

from kardinal_infra.databases.neon.models import Branch, Endpoint, EndpointOptions, MaskingRule
from kardinal_infra.databases.neon.uris import Connection
from kardinal_infra.databases.request import BranchInit, BranchRequest, Compute
from kardinal_infra.databases.request import MaskingRule as WantedRule
from kardinal_infra.model.branch_rules import suspend_seconds


class BranchSpec(BranchRequest):
    """The branch that is wanted: a request, with its options as Neon's API has them."""

    @property
    def content(self) -> BranchInit:
        """What it holds at first."""
        return self.init or "data"

    @property
    def rules(self) -> tuple[MaskingRule, ...]:
        """The masking rules."""
        return tuple(api_rule(rule, self.database) for rule in self.masking_rules or ())

    @property
    def size(self) -> EndpointOptions:
        """Size and idle time of its compute; what is None there follows the project."""
        return api_size(self.compute)


def api_rule(rule: WantedRule, database: str) -> MaskingRule:
    """Writes a masking rule as Neon's API has it.

    Args:
        rule: The rule.
        database: Database of the tables whose rule names none.
    """
    return MaskingRule(
        database_name=rule.database or database,
        schema_name=rule.schema_,
        table_name=rule.table,
        column_name=rule.column,
        masking_function=rule.function,
        masking_value=rule.value,
    )


def api_size(compute: Compute | None) -> EndpointOptions:
    """Writes the size of a compute as Neon's API has it.

    Args:
        compute: The size; None follows the project.
    """
    if compute is None:
        return EndpointOptions()
    pause = compute.suspend_after
    return EndpointOptions(
        autoscaling_limit_min_cu=compute.min_units,
        autoscaling_limit_max_cu=compute.max_units,
        suspend_timeout_seconds=None if pause is None else suspend_seconds(pause),
    )


@dataclass(frozen=True)
class Former:
    """What an update has to undo of the branch that was wanted before.

    Attributes:
        compute: Fields of `EndpointOptions` that were asked for.
        databases: Names of further databases.
        roles: Names of further roles.
    """

    compute: frozenset[str] = frozenset()
    databases: frozenset[str] = frozenset()
    roles: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Extras:
    """What a branch has of the further databases and roles that are wanted.

    Attributes:
        databases: Owner by name.
        passwords: Password by role.
    """

    databases: Mapping[str, str] = field(default_factory=dict)
    passwords: Mapping[str, SecretStr] = field(default_factory=dict)


@dataclass(frozen=True)
class BranchView:
    """A branch as it is.

    Attributes:
        branch: The branch.
        endpoint: Its read-write compute, None when somebody removed it.
        connection: Host, password and URIs; None without a compute, database or role to connect to.
        parent_id: Id of the branch it was made from, for a schema-only one too; None when that is not known.
        extras: What it has of the further databases and roles.
        adopted: The call that made this view found the branch left by an earlier run. None when the call was
            not one that creates.
    """

    branch: Branch
    endpoint: Endpoint | None
    connection: Connection | None
    parent_id: str | None = None
    extras: Extras = field(default_factory=Extras)
    adopted: bool | None = None
