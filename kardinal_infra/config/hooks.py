"""What can be wrong with a list of hooks beyond the shape of each one."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence

from kardinal_infra.config.reading import unknown_names
from kardinal_infra.errors import Problem
from kardinal_infra.model.hook import SET_VARIABLES, Hook

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def hook_problems(
    hooks: Sequence[Hook], path: str, databases: Collection[str] | None = None
) -> Iterator[Problem]:
    """Checks a list of hooks.

    Args:
        hooks: The list.
        path: Where it stands.
        databases: The databases that there are; None when that is not known here.
    """
    names: set[str] = set()
    references: list[tuple[str, str]] = []
    for index, hook in enumerate(hooks):
        where = f"{path}[{index}]"
        if hook.name in names:
            yield Problem(f"{where}.name", f'hook "{hook.name}" is listed twice')
        names.add(hook.name)
        yield from _variable_problems(hook, where)
        for number, use in enumerate(hook.uses):
            references.append((f"{where}.uses[{number}].database", use.database))
    if databases is not None:
        yield from unknown_names("database", references, databases)


def _variable_problems(hook: Hook, where: str) -> Iterator[Problem]:
    places = [(f"{where}.environment", hook.environment.keys())]
    places += [
        (f"{where}.uses[{index}].environment", use.environment.keys()) for index, use in enumerate(hook.uses)
    ]
    seen: set[str] = set()
    for place, variables in places:
        for name in variables:
            if name in SET_VARIABLES:
                yield Problem(f"{place}.{name}", "the variable is set for every hook; choose another name")
            elif not _VARIABLE.fullmatch(name):
                yield Problem(f"{place}.{name}", "not a name of an environment variable")
            elif name in seen:
                yield Problem(f"{place}.{name}", "the variable is set twice")
            seen.add(name)
