"""Records as Neon's JSON objects. Field names and what is required: Neon's OpenAPI document."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from urllib.parse import quote

from kardinal_neon_local.identifiers import rfc3339, rfc3339_micro
from kardinal_neon_local.programs import Programs
from kardinal_neon_local.records import Branch, Database, Endpoint, Masking, Operation, Project, Role
from kardinal_neon_local.settings import Settings

Json = dict[str, Any]
_NOBODY = "00000000-0000-0000-0000-000000000000"
"""The user who starts a masking: this service has none."""
_UNMETERED = {
    "cpu_used_sec": 0,
    "compute_time_seconds": 0,
    "active_time_seconds": 0,
    "written_data_bytes": 0,
    "data_transfer_bytes": 0,
}


def _plain(**fields: Any) -> Json:
    """Leaves out what is None: Neon's answers omit absent fields. Moments become text."""
    return {
        name: rfc3339(value) if isinstance(value, datetime) else value
        for name, value in fields.items()
        if value is not None
    }


def project(record: Project, programs: Programs, settings: Settings, *, listed: bool = False) -> Json:
    """Shows a project.

    Args:
        record: The record.
        programs: The service's PostgreSQL.
        settings: The service's settings.
        listed: As an item of the list, which has other counters.
    """
    unmetered: Json = {"active_time": 0, "cpu_used_sec": 0}
    if not listed:
        unmetered = {
            **_UNMETERED,
            "data_storage_bytes_hour": 0,
            "consumption_period_start": rfc3339(record.created_at),
            "consumption_period_end": "0001-01-01T00:00:00Z",
        }
    return _plain(
        id=record.id,
        name=record.name,
        platform_id="local",
        region_id=record.region_id,
        pg_version=programs.major,
        proxy_host=settings.advertised_host,
        branch_logical_size_limit=0,
        branch_logical_size_limit_bytes=0,
        provisioner="k8s-neonvm",
        store_passwords=record.store_passwords,
        creation_source="console",
        history_retention_seconds=record.history_retention_seconds,
        default_endpoint_settings={"suspend_timeout_seconds": 0},
        settings={},
        owner_id="local",
        created_at=record.created_at,
        updated_at=record.updated_at,
        **unmetered,
    )


def branch(record: Branch) -> Json:
    """Shows a branch.

    Args:
        record: The record.
    """
    recovery = None
    if record.deleted_at is not None and record.recoverable_until is not None:
        recovery = _plain(
            deleted_at=record.deleted_at,
            recoverable_until=record.recoverable_until,
            deletion_method=record.deletion_method,
        )
    return _plain(
        id=record.id,
        project_id=record.project_id,
        parent_id=record.parent_id,
        parent_lsn=record.parent_lsn,
        parent_timestamp=record.parent_timestamp,
        name=record.name,
        current_state=record.current_state,
        pending_state=record.pending_state,
        state_changed_at=record.state_changed_at,
        logical_size=record.logical_size,
        creation_source="console",
        primary=record.default,
        default=record.default,
        protected=record.protected,
        **_UNMETERED,
        created_at=record.created_at,
        updated_at=record.updated_at,
        ttl_interval_seconds=record.ttl_interval_seconds,
        expires_at=record.expires_at,
        last_reset_at=record.last_reset_at,
        init_source=record.init_source,
        recovery=recovery,
    )


def annotation(record: Branch) -> Json:
    """Shows the caller's key-value pairs of a branch.

    Args:
        record: The branch.
    """
    return {
        "object": {"type": "console/branch", "id": record.id},
        "value": record.annotation,
        "created_at": rfc3339(record.created_at),
        "updated_at": rfc3339(record.created_at),
    }


def endpoint(record: Endpoint, settings: Settings) -> Json:
    """Shows an endpoint. `port` is not in Neon's contract: there, every endpoint has 5432 of its own host.

    Args:
        record: The record.
        settings: The service's settings.
    """
    host = record.address or settings.advertised_host
    return _plain(
        host=host,
        port=record.port,
        id=record.id,
        name=record.name,
        project_id=record.project_id,
        branch_id=record.branch_id,
        autoscaling_limit_min_cu=record.autoscaling_limit_min_cu,
        autoscaling_limit_max_cu=record.autoscaling_limit_max_cu,
        region_id="local",
        type="read_write",
        current_state=record.current_state,
        pending_state=record.pending_state,
        settings={"pg_settings": record.pg_settings} if record.pg_settings else {},
        pooler_enabled=False,
        pooler_mode="transaction",
        disabled=record.disabled,
        passwordless_access=False,
        last_active=record.last_active,
        creation_source="console",
        created_at=record.created_at,
        updated_at=record.updated_at,
        started_at=record.started_at,
        suspended_at=record.suspended_at,
        proxy_host=host,
        suspend_timeout_seconds=record.suspend_timeout_seconds,
        provisioner="k8s-neonvm",
    )


def operation(record: Operation) -> Json:
    """Shows an operation.

    Args:
        record: The record.
    """
    return {
        **_plain(
            id=record.id,
            project_id=record.project_id,
            branch_id=record.branch_id,
            endpoint_id=record.endpoint_id,
            action=record.action,
            status=record.status,
            error=record.error,
            failures_count=record.failures_count,
            total_duration_ms=record.total_duration_ms,
        ),
        "created_at": rfc3339_micro(record.created_at),
        "updated_at": rfc3339_micro(record.updated_at),
    }


def role(record: Role, *, with_password: bool = False) -> Json:
    """Shows a role.

    Args:
        record: The record.
        with_password: Only its creation and a reset of its password show the password.
    """
    return _plain(
        branch_id=record.branch_id,
        name=record.name,
        password=record.password if with_password else None,
        protected=False,
        authentication_method="no_login" if record.no_login else "password",
        created_at=record.created_at,
        updated_at=record.updated_at,
    )


def masking_rules(record: Masking) -> Json:
    """Shows the rules of an anonymized branch.

    Args:
        record: Its masking.
    """
    return {"masking_rules": [rule.model_dump(exclude_none=True) for rule in record.rules]}


def masking_status(record: Masking, project_id: str) -> Json:
    """Shows how far the masking of a branch is.

    Args:
        record: Its masking.
        project_id: Id of the project.
    """
    run = None
    if record.started_at is not None:
        run = _plain(
            started_at=record.started_at,
            completed_at=record.completed_at or record.failed_at,
            triggered_by=_NOBODY,
            masked_columns=record.masked_columns,
        )
    return _plain(
        project_id=project_id,
        branch_id=record.branch_id,
        state=record.state,
        status_message=record.status_message,
        created_at=record.created_at,
        updated_at=record.updated_at,
        failed_at=record.failed_at,
        last_run=run,
    )


def database(record: Database) -> Json:
    """Shows a database.

    Args:
        record: The record.
    """
    return _plain(
        id=record.id,
        branch_id=record.branch_id,
        name=record.name,
        owner_name=record.owner_name,
        created_at=record.created_at,
        updated_at=record.updated_at,
    )


def uri(settings: Settings, record: Endpoint, role_name: str, password: str, database_name: str) -> str:
    """Makes a connection URI. There is no pooler: a pooled one is the same.

    Args:
        settings: The service's settings.
        record: The endpoint.
        role_name: Role to connect as.
        password: Its password.
        database_name: Database to connect to.
    """
    host = record.address or settings.advertised_host
    address = f"[{host}]" if ":" in host else host
    user = f"{quote(role_name, safe='')}:{quote(password, safe='')}"
    path = quote(database_name, safe="")
    return f"postgresql://{user}@{address}:{record.port}/{path}?sslmode={settings.sslmode}"


def connection(settings: Settings, record: Endpoint, owner: Role, name: str) -> Json:
    """Shows an item of `connection_uris`.

    Args:
        settings: The service's settings.
        record: The endpoint.
        owner: Role to connect as.
        name: Database to connect to.
    """
    password = owner.password or ""
    return {
        "connection_uri": uri(settings, record, owner.name, password, name),
        "connection_parameters": {
            "database": name,
            "password": password,
            "role": owner.name,
            "host": record.address or settings.advertised_host,
            "pooler_host": record.address or settings.advertised_host,
            "port": record.port,
        },
    }
