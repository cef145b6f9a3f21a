"""The hooks of a plan: the baseline's and the flow's own, in one order."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from kardinal_infra.config.reading import did_you_mean
from kardinal_infra.errors import Problem
from kardinal_infra.model.hook import Hook
from kardinal_infra.plan.context import Context


def plan_hooks(context: Context, databases: Collection[str]) -> tuple[list[Hook], list[Problem], list[str]]:
    """Chooses the hooks of a flow: the baseline's in their order, then the flow's own.

    One of the flow's own takes the place of the baseline's of the same name. The baseline's are for every
    flow: one that uses a database which this flow does not branch is left out. The flow's own are meant to
    run: there that is a mistake.

    Args:
        context: Everything known.
        databases: The branched databases.

    Returns:
        The hooks, every problem, and what was left out, as sentences.
    """
    config, theirs = context.config, context.topology.hooks
    own = {hook.name: hook for hook in config.hooks}
    chosen: list[Hook] = []
    left_out: list[str] = []
    for hook in theirs:
        missing = [use.database for use in hook.uses if use.database not in databases]
        if hook.name in own:
            chosen.append(own.pop(hook.name))
        elif hook.name in config.skip_hooks:
            continue
        elif missing:
            names = ", ".join(missing)
            left_out.append(f"hook {hook.name} of the baseline is left out: the flow does not branch {names}")
        else:
            chosen.append(hook)
    problems = [*_unbranched(context, databases), *_skipping(context, [hook.name for hook in theirs])]
    return [*chosen, *own.values()], problems, left_out


def _unbranched(context: Context, databases: Collection[str]) -> Iterator[Problem]:
    known = context.topology.databases
    for index, hook in enumerate(context.config.hooks):
        for number, use in enumerate(hook.uses):
            path = f"{context.key}.hooks[{index}].uses[{number}].database"
            if use.database not in known:
                message = f'unknown database "{use.database}"' + did_you_mean(use.database, known)
                yield Problem(path, message)
            elif use.database not in databases:
                yield Problem(path, f'database "{use.database}" is not branched by this flow')


def _skipping(context: Context, theirs: Sequence[str]) -> Iterator[Problem]:
    own = {hook.name for hook in context.config.hooks}
    for index, name in enumerate(context.config.skip_hooks):
        path = f"{context.key}.skipHooks[{index}]"
        if name not in theirs:
            yield Problem(path, f'the baseline has no hook "{name}"' + did_you_mean(name, theirs))
        elif name in own:
            yield Problem(path, f'hook "{name}" is replaced and skipped; choose one')
