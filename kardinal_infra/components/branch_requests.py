"""From the branches of a plan to what their backends are asked for, checked before anything is declared."""

from collections.abc import Sequence

from kardinal_infra.config.flow import KEY
from kardinal_infra.databases.branching import BranchRequest, backend
from kardinal_infra.errors import ConfigError, Problem
from kardinal_infra.model.branch_options import BranchOptions, config_name
from kardinal_infra.plan import BranchPlan


def branch_requests(branches: Sequence[BranchPlan]) -> dict[str, BranchRequest]:
    """Makes the requests of a flow.

    Args:
        branches: The planned branches.

    Returns:
        Request by the branch's name in the plan.

    Raises:
        ConfigError: A backend cannot do what is asked of it; lists every problem of every branch.
    """
    requests = {branch.name: branch_request(branch) for branch in branches}
    problems = [
        Problem(f"{KEY}.databases.{branch.name}.{config_name(found.path)}", found.message)
        for branch in branches
        for found in backend(branch.database.backend).problems(requests[branch.name])
    ]
    if problems:
        raise ConfigError(problems)
    return requests


def branch_request(branch: BranchPlan) -> BranchRequest:
    """Says to a branching backend what a plan wants of it.

    Args:
        branch: The planned branch.
    """
    database = branch.database
    return BranchRequest(
        **{name: getattr(branch.options, name) for name in BranchOptions.model_fields},
        name=branch.branch_name,
        project=database.project,
        database=database.database,
        role=database.role,
        parent=database.parent,
        annotations=dict(branch.annotations),
    )
