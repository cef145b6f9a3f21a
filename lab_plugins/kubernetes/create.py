"""Create: a plain POST, then the wait."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lab_plugins.common.failures import OperationError, PartialFailureError
from lab_plugins.common.wire import has_unknown
from lab_plugins.kubernetes import naming, steering
from lab_plugins.kubernetes.api import ApiError
from lab_plugins.kubernetes.discovery import NoMatchError
from lab_plugins.kubernetes.objects import Object, identity, is_definition, name_of, namespace_of
from lab_plugins.kubernetes.session import Session
from lab_plugins.kubernetes.state import to_manifest, write_state
from lab_plugins.kubernetes.update import explain_conflict
from lab_plugins.kubernetes.waiting.choice import wait_for_ready
from lab_plugins.kubernetes.waiting.loop import wait_until_done
from lab_plugins.kubernetes.waiting.waits import WaitError

_CREATOR = "pulumi-kubernetes"
# A namespace or CustomResourceDefinition that another resource is just creating may not be there yet. The
# official provider sleeps once more, 32 s, before it gives up without another try; that sleep is left out.
_RETRY_SECONDS = (1, 2, 4, 8, 16)
_EXISTS_ADVICE = """

The resource already exists in the cluster. This can happen when:

  - Renaming a Pulumi resource: use an alias to preserve the identity,
    or use deleteBeforeReplace if the resource needs replacement.
  - Managing an existing resource: use a Patch resource (e.g. NamespacePatch)
    to manage specific fields without owning the resource lifecycle.
  - Adopting a resource into Pulumi: use `pulumi import`. Note that
    protected resources (e.g. kube-system) cannot be deleted on destroy.
  - Intentional upsert: set upsertExistingObjects on the provider to allow
    server-side apply to update existing objects on create."""


@dataclass(frozen=True)
class Created:
    """What Create answers.

    Attributes:
        id: the new resource's id; empty in a preview.
        properties: its state.
    """

    id: str
    properties: dict[str, Any]


def create(
    session: Session, urn: str, properties: dict[str, Any], timeout: float, *, preview: bool
) -> Created:
    """Create an object and wait until it is ready.

    In a preview the API server tries it out (`dryRun`) when everything is known; where it cannot, the inputs
    come back.

    Args:
        session: the provider.
        urn: the resource.
        properties: the checked inputs.
        timeout: `custom_timeouts` in seconds, 0 when not set.
        preview: whether nothing may be changed.

    Raises:
        OperationError: nothing was created.
        PartialFailureError: the object exists but is not ready.
    """
    inputs = to_manifest(properties)
    if preview and (has_unknown(inputs) or not session.exists(inputs)):
        return Created("", properties)
    manager = naming.field_manager({}, inputs)
    try:
        live = _send(session, urn, inputs, manager, preview=preview)
    except NoMatchError as error:
        raise OperationError(
            f'creation of resource "{urn}" with kind {inputs["apiVersion"]}/{inputs["kind"]} failed because '
            "the Kubernetes API server reported that the apiVersion for this resource does not exist. "
            f"Verify that any required CRDs have been created: {error}"
        ) from None
    except ApiError as error:
        if preview and _cannot_be_tried(error):
            return Created("", properties)
        advice = _EXISTS_ADVICE if error.reason == "AlreadyExists" else ""
        message = explain_conflict(error, manager) if error.reason == "Conflict" else str(error)
        raise OperationError(
            f'resource "{urn}" was not successfully created by the Kubernetes API server: {message}{advice}'
        ) from None
    if preview:
        live.pop("status", None)  # it would read as known
    else:
        live = _wait(session, urn, inputs, properties, live, manager, timeout)
    if is_definition(inputs):
        session.discovery.forget()
    state = write_state(inputs, live, properties, inputs["apiVersion"], manager)
    return Created("" if preview else identity(live), state)


def _send(session: Session, urn: str, inputs: Object, manager: str, *, preview: bool) -> Object:
    """Create the object, again after a while where its namespace or kind is not there yet."""
    for attempt, pause in enumerate((*_RETRY_SECONDS, None)):
        try:
            resource = session.resource_type(inputs)
            namespace = namespace_of(inputs)
            if session.settings.upsert_existing_objects:
                force = (
                    preview or session.settings.patch_force or steering.is_true(inputs, steering.PATCH_FORCE)
                )
                path = resource.path(namespace, name_of(inputs))
                return session.api.apply(path, inputs, manager, force=force, dry_run=preview)
            return session.api.create(resource.collection(namespace), inputs, _CREATOR, dry_run=preview)
        except (NoMatchError, ApiError) as error:
            if (isinstance(error, ApiError) and error.code != 404) or preview or pause is None:
                raise
            session.log.status(urn, f"Retry #{attempt}; creation failed: {error}")
            if session.cancellation.sleep(pause):
                raise
    raise AssertionError("the last attempt either returns or raises")


def _wait(
    session: Session,
    urn: str,
    inputs: Object,
    properties: dict[str, Any],
    live: Object,
    manager: str,
    timeout: float,
) -> Object:
    try:
        wait = wait_for_ready(session, inputs, live)
        if wait is None:
            session.log.status(urn, "")
            return live
        return wait_until_done(session, wait, urn, steering.timeout_seconds(timeout, inputs))
    except (WaitError, OperationError) as error:
        # The object exists: whatever went wrong, the engine must know of it.
        live = error.live if isinstance(error, WaitError) else live
        raise PartialFailureError(
            id=identity(live),
            message=f'resource "{urn}" was successfully created, but the Kubernetes API server reported that '
            f"it failed to fully initialize or become live: {error}",
            properties=write_state(inputs, live, properties, inputs["apiVersion"], manager),
            reasons=error.reasons if isinstance(error, WaitError) else [],
        ) from None


def _cannot_be_tried(error: ApiError) -> bool:
    """Tell whether a refused dry run says nothing about the real one.

    Nobody may be allowed to try, the namespace may come with the same run, an object of this name may go
    first in a replacement, and a webhook may not take part.
    """
    return (
        error.reason in ("Forbidden", "AlreadyExists")
        or (error.code == 404 and error.subject_kind == "namespaces")
        or (error.code == 400 and "does not support dry run" in str(error))
    )
