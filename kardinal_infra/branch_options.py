"""How a database is branched: what a baseline says for all flows, and a flow for itself."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from kardinal_infra.models import StrictModel, Text

BranchInit = Literal["data", "schema-only", "masked"]
"""What a branch holds at first: the parent's data, its schema only, or its data with some columns masked."""


class MaskingRule(StrictModel):
    """How one column of a masked branch is filled.

    Attributes:
        table: Name of the table.
        column: Name of the column.
        schema_: Schema of the table; written `schema`.
        database: Database of the table; default: the one that is branched.
        function: Masking function of PostgreSQL Anonymizer, e.g. `anon.fake_email()`.
        value: One value for all rows, instead of a function.
    """

    table: Text
    column: Text
    schema_: Text = Field(default="public", alias="schema")
    database: Text | None = None
    function: Text | None = None
    value: Text | None = None


class Compute(StrictModel):
    """How much machine a branch gets; what is not set follows the defaults of the project.

    Attributes:
        min_units: Smallest size in compute units, 0.25 and up.
        max_units: Largest size in compute units.
        suspend_after: Idle time after which it stops, e.g. `5m`, or `never`.
    """

    min_units: float | None = None
    max_units: float | None = None
    suspend_after: Text | None = None


class BranchOptions(StrictModel):
    """What can be said about a branch in the baseline, and otherwise in a flow.

    Attributes:
        init: What it holds at first; default `data`.
        masking_rules: Columns to mask, for `masked`.
        parent_timestamp: Branch from the parent as it was at this time, RFC 3339.
        parent_lsn: Branch from the parent as it was at this log position, instead of a time.
        ttl: Life time, e.g. `7d`; default: until the flow is destroyed.
        protected: Refuse the deletion of the branch.
        compute: Size of its compute.
        extra_databases: Further databases on the branch: owner role by name.
        extra_roles: Further roles on the branch.
    """

    init: BranchInit | None = None
    masking_rules: tuple[MaskingRule, ...] | None = None
    parent_timestamp: Text | None = None
    parent_lsn: Text | None = None
    ttl: Text | None = None
    protected: bool | None = None
    compute: Compute | None = None
    extra_databases: dict[str, Text] | None = None
    extra_roles: tuple[Text, ...] | None = None

    def overridden_by(self, own: BranchOptions | None) -> BranchOptions:
        """Returns these options with those that a flow sets itself.

        What belongs together is taken together: a flow's own point in time, of whatever form, replaces the
        baseline's, its own `init` other than `masked` drops the baseline's rules, and a branch that a flow
        protects has no life time of the baseline's.

        Args:
            own: The flow's options.
        """
        merged = _given(self)
        if own is not None:
            theirs = _given(own)
            if theirs.keys() & {"parent_timestamp", "parent_lsn"}:
                merged = _without(merged, "parent_timestamp", "parent_lsn")
            if theirs.get("init", "masked") != "masked":
                merged = _without(merged, "masking_rules")
            if theirs.get("protected"):
                merged = _without(merged, "ttl")
            merged |= theirs
        return BranchOptions(**merged)


def _given(options: BranchOptions) -> dict[str, Any]:
    found = {name: getattr(options, name) for name in BranchOptions.model_fields}
    return {name: value for name, value in found.items() if value is not None}


def _without(options: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in options.items() if name not in names}
