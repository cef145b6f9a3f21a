"""What can be wrong with the branch options of a baseline or a flow."""

from __future__ import annotations

from collections.abc import Iterator

from kardinal_infra.config.reading import dotted
from kardinal_infra.errors import Problem
from kardinal_infra.model.branch_options import BranchOptions, config_name, option_of
from kardinal_infra.model.branch_rules import combination_problems


def option_problems(options: BranchOptions, path: str) -> Iterator[Problem]:
    """Checks every option by itself.

    Args:
        options: Of a baseline or a flow.
        path: Where they stand.
    """
    for name in BranchOptions.model_fields:
        value = getattr(options, name)
        if value is not None:
            for location, message in option_of(BranchOptions, name).check(value, None, config_name):
                yield Problem(dotted(path, [config_name(name), *location]), message)


def together_problems(options: BranchOptions, database: str, role: str, path: str) -> Iterator[Problem]:
    """Checks the options with each other.

    Args:
        options: Of a baseline, or of a flow with its baseline's.
        database: Name of the branched database.
        role: Role whose connection is handed over.
        path: Where the options stand.
    """
    given = {name: getattr(options, name) for name in BranchOptions.model_fields}
    for option, message in combination_problems({**given, "database": database, "role": role}, config_name):
        yield Problem(f"{path}.{config_name(option)}", message)
