"""What can be wrong with the branch options of a baseline or a flow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic.alias_generators import to_camel

from kardinal_infra.branch_options import BranchOptions
from kardinal_infra.config.branch_rules import (
    combination_problems,
    compute_problems,
    identifier_problem,
    lsn_problem,
    past_problem,
    rule_problem,
)
from kardinal_infra.config.reading import dotted
from kardinal_infra.config.ttl import parse_ttl
from kardinal_infra.errors import Problem

CONFIG_NAMES = {"databases": "extraDatabases", "roles": "extraRoles"}
"""Options that a config calls otherwise than a request: there the plain names mean something else."""


def config_name(option: str) -> str:
    """Writes the name of a branch option as a config does.

    Args:
        option: Its name in a `BranchRequest`.
    """
    return CONFIG_NAMES.get(option) or to_camel(option)


def option_problems(options: BranchOptions, path: str) -> Iterator[Problem]:
    """Checks every option by itself.

    Args:
        options: Of a baseline or a flow.
        path: Where they stand.
    """
    yield from _text_problems(options, path)
    for index, rule in enumerate(options.masking_rules or ()):
        if problem := rule_problem(_rule(rule.model_dump())):
            yield Problem(dotted(path, ["maskingRules", index]), problem)
    if options.compute is not None:
        for problem in compute_problems(options.compute.model_dump(), config_name):
            yield Problem(f"{path}.compute", problem)
    for name, owner in (options.extra_databases or {}).items():
        for what, text in (("the name", name), ("the owner", owner)):
            if problem := identifier_problem(text):
                yield Problem(dotted(path, ["extraDatabases", name]), f"{what} {problem}")
    for index, name in enumerate(options.extra_roles or ()):
        if problem := identifier_problem(name):
            yield Problem(dotted(path, ["extraRoles", index]), problem)


def together_problems(options: BranchOptions, database: str, role: str, path: str) -> Iterator[Problem]:
    """Checks the options with each other.

    Args:
        options: Of a baseline, or of a flow with its baseline's.
        database: Name of the branched database.
        role: Role whose connection is handed over.
        path: Where the options stand.
    """
    dump = options.model_dump()
    plain = {
        **dump,
        "masking_rules": [_rule(rule) for rule in dump["masking_rules"] or ()],
        "databases": dump["extra_databases"],
        "roles": dump["extra_roles"],
        "database": database,
        "role": role,
    }
    for option, message in combination_problems(plain, config_name):
        yield Problem(f"{path}.{config_name(option)}", message)


def _text_problems(options: BranchOptions, path: str) -> Iterator[Problem]:
    if options.ttl is not None:
        try:
            parse_ttl(options.ttl)
        except ValueError as error:
            yield Problem(f"{path}.ttl", str(error))
    if options.parent_lsn is not None and (problem := lsn_problem(options.parent_lsn)):
        yield Problem(f"{path}.parentLsn", problem)
    if options.parent_timestamp is not None and (problem := past_problem(options.parent_timestamp)):
        yield Problem(f"{path}.parentTimestamp", problem)


def _rule(dump: Mapping[str, Any]) -> dict[str, Any]:
    # pydantic's own `schema` is in the way of a field of this name.
    return {name.rstrip("_"): value for name, value in dump.items()}
