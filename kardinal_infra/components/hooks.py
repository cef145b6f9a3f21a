"""Hooks: the user's own commands, run by Pulumi's command provider on the machine that runs Pulumi."""

from collections.abc import Mapping, Sequence

import pulumi
from pulumi_command import local

from kardinal_infra.components.branched_database import connection_parts
from kardinal_infra.databases.branching import Branch
from kardinal_infra.model.hook import Hook
from kardinal_infra.plan import FlowPlan


def declare_hooks(
    plan: FlowPlan,
    hooks: Sequence[Hook],
    branches: Mapping[str, Branch],
    parent: pulumi.Resource,
    after: Sequence[pulumi.Resource],
) -> dict[str, local.Command]:
    """Declares hooks of one moment, each after the one before it.

    Args:
        plan: The flow that they belong to.
        hooks: The hooks, in their order.
        branches: Branch by database.
        parent: Component that they belong to.
        after: What must be there before the first one runs, and stays until the last one's `delete` has run.

    Returns:
        The commands by the hooks' names.
    """
    declared: dict[str, local.Command] = {}
    for hook in hooks:
        environment: dict[str, pulumi.Input[str]] = dict(flow_variables(plan))
        environment |= {name: _secret(value) for name, value in hook.environment.items()}
        for use in hook.uses:
            parts = connection_parts(branches[use.database])
            environment |= {name: _secret(parts[part]) for name, part in use.environment.items()}
        declared[hook.name] = local.Command(
            f"{plan.flow}-hook-{hook.name}",
            create=hook.create,
            update=hook.update,
            delete=hook.delete,
            dir=hook.dir,
            environment=environment,
            triggers=list(hook.triggers),
            # What a program that knows a password prints is not for the log of an `up`.
            logging=local.Logging.NONE if hook.uses else local.Logging.STDOUT_AND_STDERR,
            opts=pulumi.ResourceOptions(
                parent=parent,
                depends_on=[*after, *declared.values()],
                # What `delete` undoes is what `create` made: never after the new one's `create`.
                delete_before_replace=True,
                additional_secret_outputs=["environment", "stdout", "stderr"],
            ),
        )
    return declared


def flow_variables(plan: FlowPlan) -> dict[str, str]:
    """Returns the environment variables that every hook gets.

    Args:
        plan: The flow.

    Returns:
        `KARDINAL_FLOW`: the id; `KARDINAL_NAMESPACE`; `KARDINAL_HEADER`: `name: value`, as curl takes it;
        `KARDINAL_BAGGAGE`: the W3C baggage member; `KARDINAL_URL`: the first entry's, where there is one.
    """
    variables = {
        "KARDINAL_BAGGAGE": plan.baggage,
        "KARDINAL_FLOW": plan.flow,
        "KARDINAL_HEADER": f"{plan.header['name']}: {plan.header['value']}",
        "KARDINAL_NAMESPACE": plan.owner.namespace,
    }
    return variables if plan.url is None else {**variables, "KARDINAL_URL": plan.url}


def _secret(value: pulumi.Input[str]) -> pulumi.Output[str]:
    return pulumi.Output.secret(value)
