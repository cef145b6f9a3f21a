"""Endpoints: create, change, start, suspend, restart, delete."""

from __future__ import annotations

from kardinal_neon_local.branches import new_endpoint
from kardinal_neon_local.errors import ApiError, conflict
from kardinal_neon_local.identifiers import now
from kardinal_neon_local.operations import Step
from kardinal_neon_local.records import Endpoint, Masking, Operation
from kardinal_neon_local.requests import EndpointChange, NewEndpoint
from kardinal_neon_local.service import Service

Changed = tuple[Endpoint, list[Operation]]


def create_endpoint(service: Service, project_id: str, request: NewEndpoint) -> Changed:
    """Gives a branch its read-write endpoint.

    Args:
        service: The service.
        project_id: Id of the project.
        request: The validated request.

    Raises:
        ApiError: 404 for an unknown branch; 409 if it has an endpoint; 423 while others run.
    """
    branch = service.branch(project_id, request.branch_id)
    service.operations.require_free(project_id)
    if service.store.endpoints(branch.id):
        raise conflict("read-write endpoint", "branch_id", branch.id)
    endpoint = new_endpoint(service, branch, request)
    step = Step("start_compute", "start_compute", branch.id, endpoint.id)
    return endpoint, service.operations.submit(project_id, [step], save=[endpoint])


def update_endpoint(service: Service, endpoint: Endpoint, change: EndpointChange) -> Changed:
    """Changes an endpoint; new PostgreSQL settings or a change of `disabled` restart or suspend it.

    Args:
        service: The service.
        endpoint: The endpoint.
        change: What was sent.
    """
    service.operations.require_free(endpoint.project_id)
    updated = endpoint.model_copy()
    sent = change.model_dump(exclude_unset=True, exclude_none=True, exclude={"settings"})
    for name, value in sent.items():
        setattr(updated, name, value)
    steps = []
    if change.settings is not None and "pg_settings" in change.settings:
        wanted = {name: str(value) for name, value in (change.settings["pg_settings"] or {}).items()}
        if wanted != endpoint.pg_settings and endpoint.current_state == "active":
            steps = [Step("apply_config", "restart_compute", endpoint.branch_id, endpoint.id)]
        updated.pg_settings = wanted
    if updated.disabled and not endpoint.disabled:
        steps = [Step("suspend_compute", "suspend_compute", endpoint.branch_id, endpoint.id)]
    updated.updated_at = now()
    return updated, service.operations.submit(endpoint.project_id, steps, save=[updated])


def start_endpoint(service: Service, endpoint: Endpoint) -> Changed:
    """Starts an idle endpoint.

    Args:
        service: The service.
        endpoint: The endpoint.

    Raises:
        ApiError: 422 if it is disabled.
    """
    if endpoint.disabled:
        raise ApiError(422, f"endpoint {endpoint.id} is disabled")
    return _power(service, endpoint, "start_compute", "start_compute", "active")


def suspend_endpoint(service: Service, endpoint: Endpoint) -> Changed:
    """Stops an endpoint's instance and cuts its connections; the next connection wakes it.

    Args:
        service: The service.
        endpoint: The endpoint.
    """
    return _power(service, endpoint, "suspend_compute", "suspend_compute", "idle")


def restart_endpoint(service: Service, endpoint: Endpoint) -> Changed:
    """Stops and starts an endpoint's instance.

    Args:
        service: The service.
        endpoint: The endpoint.
    """
    return _power(service, endpoint, "start_compute", "restart_compute", "active")


def _power(service: Service, endpoint: Endpoint, action: str, task: str, pending: str) -> Changed:
    service.operations.require_free(endpoint.project_id)
    endpoint.pending_state = pending
    step = Step(action, task, endpoint.branch_id, endpoint.id)
    return endpoint, service.operations.submit(endpoint.project_id, [step], save=[endpoint])


def delete_endpoint(service: Service, endpoint: Endpoint) -> Changed:
    """Takes a branch's endpoint away; the data stays.

    Args:
        service: The service.
        endpoint: The endpoint.

    Raises:
        ApiError: 422 for an anonymized branch; 423 while others run.
    """
    if service.store.get(Masking, endpoint.branch_id) is not None:
        raise ApiError(422, f"cannot delete the endpoint of the anonymized branch {endpoint.branch_id}")
    service.operations.require_free(endpoint.project_id)
    endpoint.pending_state = "idle"
    step = Step("suspend_compute", "delete_endpoint", endpoint.branch_id, endpoint.id)
    return endpoint, service.operations.submit(endpoint.project_id, [step], save=[endpoint])
