"""Anonymized branches: copies whose columns are masked before anybody can connect."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from functools import partial

import psycopg

from kardinal_neon_local.branches import Created, create_branch, parent_of
from kardinal_neon_local.errors import ApiError, LocalNeonError
from kardinal_neon_local.identifiers import new_password, now
from kardinal_neon_local.masking import Masks, mask_table, plan, public_reason, rewrite_copies
from kardinal_neon_local.masking_functions import MaskingError
from kardinal_neon_local.operations import Step
from kardinal_neon_local.records import Branch, Masking, MaskingRule, MaskingState, Operation
from kardinal_neon_local.requests import AnonymizedCreate, BranchCreate
from kardinal_neon_local.service import Service

_STARTABLE = ("initialized", "error", "anonymized")


def masking_of(service: Service, branch: Branch) -> Masking:
    """Returns the masking of an anonymized branch.

    Args:
        service: The service.
        branch: The branch.

    Raises:
        ApiError: 404 if it is an ordinary branch.
    """
    found = service.store.get(Masking, branch.id)
    if found is None:
        raise ApiError(404, f"branch {branch.id} is not an anonymized branch")
    return found


async def create_anonymized(service: Service, project_id: str, request: AnonymizedCreate) -> Created:
    """Makes an anonymized branch; connections are refused until it is masked.

    Args:
        service: The service.
        project_id: Id of the project.
        request: The validated request.

    Raises:
        ApiError: 422 with every rule that cannot be applied; 404, 409 and 423 as for other branches.
    """
    wanted = request.branch_create
    if wanted.branch.init_source != "parent-data":
        raise ApiError(422, f"an anonymized branch cannot be {wanted.branch.init_source}")
    service.operations.require_free(project_id)
    parent = parent_of(service, project_id, wanted)
    if wanted.branch.parent_lsn is None and wanted.branch.parent_timestamp is None:
        await _require_rules(
            service, parent, request.masking_rules
        )  # of the past the masking itself will tell
    complete: BranchCreate = wanted.model_copy(
        update={"annotation_value": {**wanted.annotation_value, **request.annotation_value}}
    )
    steps = [Step("apply_config", "prepare_masking")]
    if request.start_anonymization:
        steps.append(Step("apply_config", "mask_branch"))
    return await create_branch(service, project_id, complete, masking=request.masking_rules, later=steps)


async def replace_rules(service: Service, branch: Branch, rules: Sequence[MaskingRule]) -> Masking:
    """Gives an anonymized branch other rules; they count from the next masking.

    Args:
        service: The service.
        branch: The branch.
        rules: All of them.

    Raises:
        ApiError: 404 for an ordinary branch; 422 with every rule that cannot be applied; 423 if busy.
    """
    masking = masking_of(service, branch)
    service.operations.require_free(branch.project_id)
    await _require_rules(service, branch, rules)
    service.operations.require_free(branch.project_id)
    masking.rules = list(rules)
    masking.updated_at = now()
    service.store.change(masking)
    return masking


def start_masking(service: Service, branch: Branch) -> Masking:
    """Starts the masking of an anonymized branch; connections are cut and refused until it is done.

    Args:
        service: The service.
        branch: The branch.

    Raises:
        ApiError: 404 for an ordinary branch; 422 in a state that does not allow it; 423 while others run.
    """
    masking = masking_of(service, branch)
    service.operations.require_free(branch.project_id)
    if masking.state not in _STARTABLE:
        raise ApiError(422, f"branch {branch.id} cannot be anonymized in the state {masking.state}")
    _state(service, masking, "anonymizing")
    service.operations.submit(branch.project_id, [Step("apply_config", "mask_branch", branch.id)])
    return masking


async def _require_rules(service: Service, branch: Branch, rules: Sequence[MaskingRule]) -> None:
    _, problems = await _plans(service, branch, rules)
    if problems:
        raise ApiError(422, f"masking rules cannot be applied: {'; '.join(problems)}")


async def _plans(
    service: Service, branch: Branch, rules: Sequence[MaskingRule]
) -> tuple[dict[str, Masks], list[str]]:
    """What the rules do in each database, and every problem with them."""
    salt = service.store.meta("masking_salt", new_password())
    by_database = defaultdict(list)
    for rule in rules:
        by_database[rule.database_name].append(rule)
    known = {database.name for database in service.store.databases(branch.id)}
    plans: dict[str, Masks] = {}
    problems: list[str] = []
    for name, of_database in by_database.items():
        if name not in known:
            problems.append(f"branch {branch.id} has no database {name}")
            continue
        work = partial(plan, rules=of_database, salt=salt)
        plans[name], found = await service.instances.execute(branch, work, name)
        problems += found
    return plans, problems


def _state(service: Service, masking: Masking, state: MaskingState, message: str | None = None) -> None:
    masking.state = state
    masking.status_message = message
    masking.updated_at = now()
    if state.endswith("error"):
        masking.failed_at = masking.updated_at
    service.store.change(masking)


def register(service: Service) -> None:
    """Makes the steps known to the service's operations.

    Args:
        service: The service.
    """

    def objects(operation: Operation) -> tuple[Branch, Masking]:
        branch = service.store.get(Branch, operation.branch_id or "")
        masking = service.store.get(Masking, operation.branch_id or "")
        if branch is None or masking is None:
            raise LocalNeonError(f"branch {operation.branch_id} is no anonymized branch any more")
        return branch, masking

    async def prepare(operation: Operation) -> None:
        _, masking = objects(operation)
        _state(service, masking, "initialized")

    async def mask(operation: Operation) -> None:
        branch, masking = objects(operation)
        masking.started_at, masking.completed_at, masking.failed_at = now(), None, None
        _state(service, masking, "anonymizing")
        try:
            await run(branch, masking)
        except MaskingError as error:
            _state(service, masking, "error", str(error))
        except psycopg.Error as error:
            _state(service, masking, "error", f"{masking.status_message}: {public_reason(error)}")
        else:
            masking.masked_columns = len(masking.rules)
            masking.completed_at = now()
            _state(service, masking, "anonymized")

    async def run(branch: Branch, masking: Masking) -> None:
        for endpoint in service.store.endpoints(branch.id):
            await service.gateway.cut(endpoint.id)
        plans, problems = await _plans(service, branch, masking.rules)
        if problems:
            raise MaskingError("; ".join(problems))
        total, number = sum(map(len, plans.values())), 0
        for database, masks in plans.items():
            for table, assignments in masks.items():
                number += 1
                name = f"{database}.{table.schema}.{table.name}"
                _state(service, masking, "anonymizing", f"Anonymizing table {name} ({number}/{total})")
                work = partial(mask_table, table=table, assignments=assignments)
                await service.instances.execute(branch, work, database)
            await service.instances.execute(branch, rewrite_copies, database)
        await service.instances.forget_wal(branch)
        if any(e.current_state == "active" for e in service.store.endpoints(branch.id)):
            async with service.instances.using(branch):
                pass

    async def give_up(operation: Operation) -> None:
        _, masking = objects(operation)
        _state(service, masking, "error", operation.error)

    service.operations.handle("prepare_masking", prepare)
    service.operations.handle("mask_branch", mask, give_up)
