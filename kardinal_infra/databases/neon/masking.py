"""Masked branches: never answered before Neon says that their data are masked.

Neon masks once, after the branch was made, and refuses connections while it does. The states are those of
neon.com/docs/workflows/data-anonymization: created, initialized, anonymizing, anonymized, error and
initialization_error.

Fact: docs/facts/neon.md#masking-happens-after-the-branch.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

from kardinal_infra.databases.neon.client import NeonClient
from kardinal_infra.databases.neon.errors import (
    NeonError,
    NeonMaskingError,
    NeonTimeoutError,
    NeonUnknownOutcomeError,
)
from kardinal_infra.databases.neon.models import AnonymizedStatus, Branch, MaskingRule, Table
from kardinal_infra.databases.neon.spec import BranchSpec
from kardinal_infra.errors import BranchingError

MASKED = "anonymized"
READY = "initialized"
FAILED = frozenset({"error", "initialization_error"})

DEADLINE = 3600.0
"""Seconds: masking rewrites whole tables."""

FIRST_PAUSE, LONGEST_PAUSE = 0.25, 5.0
"""Seconds between two looks."""


def require_maskable(client: NeonClient, parent: Branch, spec: BranchSpec) -> None:
    """Checks, before anything is created, that the parent has the columns to mask and that they can be.

    Args:
        client: Where to look.
        parent: The branch to branch from.
        spec: What is wanted.

    Raises:
        BranchingError: A column does not exist or belongs to a foreign key; lists all of them.
    """
    problems: list[str] = []
    for database in sorted({rule.database_name for rule in spec.rules}):
        try:
            tables = client.branches.tables(
                parent.project_id, parent.id, database, lsn=spec.parent_lsn, timestamp=spec.parent_timestamp
            )
        except NeonError:
            # A courtesy only: what is wrong with a rule is told by the masking as well, just later.
            continue
        rules = [rule for rule in spec.rules if rule.database_name == database]
        problems += _column_problems(tables, rules)
    if problems:
        raise BranchingError(f"masking rules for branch {parent.name!r} ({parent.id}): {'; '.join(problems)}")


def _column_problems(tables: Sequence[Table], rules: Sequence[MaskingRule]) -> Iterator[str]:
    known = {(table.schema_name, table.name): table for table in tables}
    for rule in rules:
        where = f"{rule.database_name}.{rule.schema_name}.{rule.table_name}"
        table = known.get((rule.schema_name, rule.table_name))
        if table is None:
            names = ", ".join(sorted(f"{schema}.{name}" for schema, name in known)[:20]) or "none"
            yield f"there is no table {where} (there are {names})"
            continue
        columns = [column.name for column in table.columns]
        if rule.column_name not in columns:
            yield f"{where} has no column {rule.column_name!r} (it has {', '.join(columns)})"
        for constraint in table.constraints:
            if constraint.type == "foreign_key" and rule.column_name in constraint.columns:
                yield (
                    f"{where}.{rule.column_name} belongs to a foreign key, and Neon masks none of those:"
                    " mask other columns of the table, or those of the table it refers to"
                )


def is_masked(client: NeonClient, branch: Branch) -> bool:
    """Says whether the data of a branch made for masking are masked.

    Args:
        client: Where to look.
        branch: The branch.
    """
    return client.anonymized.status(branch.project_id, branch.id).state == MASKED


def mask(client: NeonClient, branch: Branch, rules: Sequence[MaskingRule], *, adopted: bool) -> None:
    """Returns when a branch is masked by exactly these rules.

    Args:
        client: The Neon client.
        branch: A branch made for masking.
        rules: What to mask.
        adopted: An earlier run made it: its rules are looked at, and what failed then is tried again.

    Raises:
        NeonMaskingError: It cannot be masked; says why, as far as Neon does.
        NeonTimeoutError: It is not masked in time.
    """
    project_id = branch.project_id
    # With other rules "masked" means nothing yet.
    outdated = adopted and _replace_rules(client, branch, rules)
    retry_failed = adopted
    now = client.clock.monotonic
    started = ready_since = now()
    pause = FIRST_PAUSE
    while True:
        status = client.anonymized.status(project_id, branch.id)
        if status.state == MASKED and not outdated:
            return
        if status.state in FAILED and not retry_failed:
            raise NeonMaskingError(_failure(branch, status))
        if status.state != READY:
            ready_since = now()
        # It was told to begin by itself; so only when it does not.
        idle = status.state == READY and now() - ready_since >= client.settle
        if idle or status.state == MASKED or status.state in FAILED:
            with contextlib.suppress(NeonUnknownOutcomeError):
                client.anonymized.start(project_id, branch.id)
            outdated = retry_failed = False
            ready_since = now()
        if now() - started >= DEADLINE:
            raise NeonTimeoutError(
                f"branch {branch.name!r} ({branch.id}) is not masked after {DEADLINE:g} s, its state is"
                f" {status.state!r}{_reason(status)}"
            )
        client.clock.sleep(pause)
        pause = min(LONGEST_PAUSE, pause * 2)


def _replace_rules(client: NeonClient, branch: Branch, rules: Sequence[MaskingRule]) -> bool:
    """Puts other rules right; says whether there were any."""
    present = client.anonymized.rules(branch.project_id, branch.id)
    if sorted(map(repr, present)) == sorted(map(repr, rules)):
        return False
    client.anonymized.set_rules(branch.project_id, branch.id, rules)
    return True


def _failure(branch: Branch, status: AnonymizedStatus) -> str:
    return (
        f"branch {branch.name!r} ({branch.id}) could not be masked{_reason(status)}. Columns of a foreign key"
        " cannot be masked, and a column with unique values needs a function that gives unique values: change"
        " the masking rules and run `pulumi up` again"
    )


def _reason(status: AnonymizedStatus) -> str:
    # The first line only: PostgreSQL quotes whole rows in the others.
    lines = (status.status_message or "").strip().splitlines()
    return f": {lines[0][:300]}" if lines else ""
