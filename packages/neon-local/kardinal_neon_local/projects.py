"""Projects: the seeded one and those made by the API."""

from __future__ import annotations

from dataclasses import dataclass

from kardinal_neon_local.branches import new_endpoint
from kardinal_neon_local.deleting import purge
from kardinal_neon_local.errors import ApiError, conflict
from kardinal_neon_local.history import window
from kardinal_neon_local.identifiers import new_id, new_password, new_project_id, now
from kardinal_neon_local.operations import Step
from kardinal_neon_local.records import Branch, Database, Endpoint, Operation, Project, Role
from kardinal_neon_local.requests import EndpointOptions, NewProject, ProjectBranch
from kardinal_neon_local.service import Service


@dataclass(frozen=True)
class NewObjects:
    """What a new project consists of."""

    project: Project
    branch: Branch
    endpoint: Endpoint
    role: Role
    database: Database
    operations: list[Operation]


def create_project(service: Service, request: NewProject, project_id: str | None = None) -> NewObjects:
    """Makes a project with one branch, endpoint, role and database, and starts the work.

    Args:
        service: The service.
        request: The validated request.
        project_id: Its id; made up when None.

    Raises:
        ApiError: 409 if the id is taken; 422 if another PostgreSQL version is asked for.
    """
    if request.pg_version not in (None, service.programs.major):
        raise ApiError(
            422, f"this service has PostgreSQL {service.programs.major} only, not {request.pg_version}"
        )
    identifier = project_id or new_project_id()
    if service.store.get(Project, identifier) is not None:
        raise conflict("project", "project_id", identifier)
    moment = now()
    project = Project(
        id=identifier,
        name=request.name or identifier,
        region_id=request.region_id,
        store_passwords=request.store_passwords,
        history_retention_seconds=int(window(service)),
        created_at=moment,
        updated_at=moment,
    )
    first: ProjectBranch = request.branch
    branch_id = new_id("br")
    branch = Branch(
        id=branch_id,
        project_id=project.id,
        name=first.name,
        directory=branch_id,
        slot=service.next_slot(),
        default=True,
        created_at=moment,
        updated_at=moment,
        state_changed_at=moment,
    )
    endpoint = new_endpoint(service, branch, EndpointOptions())
    owner = first.role_name or f"{first.database_name}_owner"
    role = Role(
        branch_id=branch.id, name=owner, password=new_password(), created_at=moment, updated_at=moment
    )
    database = Database(
        id=service.store.next_number("database", 1000),
        branch_id=branch.id,
        name=first.database_name,
        owner_name=owner,
        created_at=moment,
        updated_at=moment,
    )
    steps = [
        Step("create_timeline", "init_branch", branch.id),
        Step("start_compute", "start_compute", branch.id, endpoint.id),
    ]
    operations = service.operations.submit(
        project.id, steps, save=[project, branch, endpoint, role, database]
    )
    return NewObjects(project, branch, endpoint, role, database, operations)


async def delete_project(service: Service, project: Project) -> None:
    """Deletes a project with everything in it, at once and for good.

    Args:
        service: The service.
        project: The project.

    Raises:
        ApiError: 423 while operations run.
    """
    service.operations.require_free(project.id)
    # Without its project nobody can reach a branch any more, so nothing comes in between.
    service.store.change(remove=(project, *service.store.operations(project.id)))
    await finish_deletions(service)


async def finish_deletions(service: Service) -> None:
    """Removes the branches of deleted projects; at the start, those that a crash has left.

    Args:
        service: The service.
    """
    for branch in service.store.every(Branch):
        if service.store.get(Project, branch.project_id) is None:
            for endpoint in service.store.endpoints(branch.id):
                await service.gateway.close(endpoint.id)
            await purge(service, branch)


async def seed(service: Service) -> None:
    """Makes the project of the settings at the first start, and waits until it can be used.

    Args:
        service: The service.
    """
    settings = service.settings
    if service.store.get(Project, settings.project) is None:
        branch = ProjectBranch(name=settings.branch, role_name=settings.role, database_name=settings.database)
        request = NewProject(name=settings.project, branch=branch, store_passwords=settings.store_passwords)
        create_project(service, request, settings.project)
    await service.operations.idle(settings.project)
