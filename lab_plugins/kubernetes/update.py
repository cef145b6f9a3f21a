"""Update: server-side apply without force, then the wait."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lab_plugins.common.failures import OperationError, PartialFailureError
from lab_plugins.common.wire import has_unknown
from lab_plugins.kubernetes import naming, steering
from lab_plugins.kubernetes.api import ApiError
from lab_plugins.kubernetes.discovery import NoMatchError
from lab_plugins.kubernetes.normalize import normalize
from lab_plugins.kubernetes.objects import Object, dig, identity, is_definition, name_of, namespace_of
from lab_plugins.kubernetes.ownership import owned_paths, owns, take_over
from lab_plugins.kubernetes.property_paths import parse
from lab_plugins.kubernetes.session import Session
from lab_plugins.kubernetes.state import State, read_state, to_manifest, write_state
from lab_plugins.kubernetes.waiting.choice import wait_for_ready
from lab_plugins.kubernetes.waiting.loop import wait_until_done
from lab_plugins.kubernetes.waiting.waits import WaitError

_CONFLICT_HELP = (
    "https://www.pulumi.com/registry/packages/kubernetes/how-to-guides/managing-resources-with-server-side-apply/"
    "#handle-field-conflicts-on-existing-resources"
)
_RACES = 49  # against a writer that never pauses about every third try comes through
_OLD_MANAGERS = ("pulumi-resource-kubernetes", "pulumi-kubernetes")


def update(
    session: Session,
    urn: str,
    olds: dict[str, Any],
    news: dict[str, Any],
    ignore_changes: list[str],
    timeout: float,
    *,
    preview: bool,
) -> dict[str, Any]:
    """Bring an existing object to new inputs and wait until it is ready; return its new state.

    Args:
        session: the provider.
        urn: the resource.
        olds: the recorded state.
        news: the checked inputs.
        ignore_changes: property paths that are not to be touched.
        timeout: `custom_timeouts` in seconds, 0 when not set.
        preview: whether nothing may be changed (the API server tries it out).

    Raises:
        OperationError: the object is as it was, or gone.
        PartialFailureError: the object exists but is not what was asked for.
    """
    inputs = normalize(to_manifest(news))
    if preview and (has_unknown(inputs) or not session.exists(inputs)):
        return news
    old = read_state(olds)
    manager = naming.field_manager({"__fieldManager": old.field_manager}, inputs)
    initial = old.initial_api_version or inputs["apiVersion"]
    try:
        live = _apply(session, old, inputs, manager, ignore_changes, preview=preview)
        if not preview:
            wait = wait_for_ready(session, inputs, live)
            if wait is not None:
                live = wait_until_done(session, wait, urn, steering.timeout_seconds(timeout, inputs))
            session.log.status(urn, "")
    except NoMatchError as error:
        raise OperationError(
            f'update of resource "{urn}" failed because the Kubernetes API server reported that the '
            "apiVersion for this resource does not exist. Verify that any required CRDs have been created: "
            f"{error}"
        ) from None
    except (WaitError, OperationError) as error:
        if preview and isinstance(error, ApiError) and error.reason == "Forbidden":
            return news
        live = _current(session, urn, old, error)
        raise PartialFailureError(
            id=identity(live),
            message=f'the Kubernetes API server reported that "{identity(live)}" failed to fully initialize '
            f"or become live: {error}",
            properties=write_state(inputs, live, news, initial, manager),
            reasons=error.reasons if isinstance(error, WaitError) else [],
        ) from None
    if is_definition(inputs) and not preview:
        session.discovery.forget()
    return write_state(inputs, live, news, initial, manager)


def explain_conflict(error: ApiError, manager: str) -> str:
    """Put a server-side-apply conflict into the official provider's words."""
    return (
        f"server-side apply field conflict detected, see {_CONFLICT_HELP} for troubleshooting help\n"
        f'The resource managed by field manager "{manager}" had an apply conflict: {error}'
    )


def _apply(
    session: Session, old: State, inputs: Object, manager: str, ignore_changes: list[str], *, preview: bool
) -> Object:
    resource = session.resource_type(inputs)
    path = resource.path(namespace_of(inputs), name_of(old.live))
    if is_definition(inputs):
        return _replace_definition(session, path, inputs, manager, preview=preview)
    live = session.api.get(path) if preview else _taken_over(session, path, manager)
    body = _leave_ignored(inputs, live, manager, ignore_changes)
    force = (
        session.settings.patch_force
        or steering.is_true(inputs, steering.PATCH_FORCE)
        or not dig(live, "metadata", "managedFields")
        or (preview and _moves_before_update(live))
    )
    try:
        return session.api.apply(path, body, manager, force=force, dry_run=preview)
    except ApiError as error:
        if error.reason != "Conflict":
            raise
        raise OperationError(explain_conflict(error, manager)) from None


def _replace_definition(
    session: Session, path: str, inputs: Object, manager: str, *, preview: bool
) -> Object:
    """Replace a definition as a whole: the old versions of its schema must not survive in a merge."""

    def attempt() -> Object:
        version = session.api.get(path)["metadata"]["resourceVersion"]
        body = {**inputs, "metadata": {**inputs["metadata"], "resourceVersion": version}}
        return session.api.replace(path, body, manager, dry_run=preview)

    return _despite_others(attempt)


def _taken_over(session: Session, path: str, manager: str) -> Object:
    """Return the live object, its fields in the hands of our manager."""

    def attempt() -> Object:
        live = session.api.get(path)
        patch = take_over(live, manager)
        return session.api.json_patch(path, patch) if patch else live

    return _despite_others(attempt)


def _despite_others(attempt: Callable[[], Object]) -> Object:
    """Try again when somebody else has changed the object in between, as controllers do all the time."""
    for _ in range(_RACES):
        try:
            return attempt()
        except ApiError as error:
            if error.reason != "Conflict":
                raise
    return attempt()


def _moves_before_update(live: Object) -> bool:
    """Tell whether the real update will first take the fields over, which a dry run does not."""
    return any(
        entry.get("operation") == "Update" and entry.get("manager") in _OLD_MANAGERS
        for entry in dig(live, "metadata", "managedFields") or []
    )


def _leave_ignored(inputs: Object, live: Object, manager: str, ignore_changes: list[str]) -> Object:
    """Return the inputs with ignored fields as on the cluster, or left out where others own them."""
    if not ignore_changes:
        return inputs
    body = to_manifest(inputs)  # a copy
    ours, theirs = owned_paths(live, manager)
    for text in ignore_changes:
        path = parse(text)
        if not path or not all(isinstance(step, str) and step != "*" for step in path):
            continue  # places inside lists stay as the engine has set them
        keys = [str(step) for step in path]
        parent = dig(body, *keys[:-1])
        if not isinstance(parent, dict):
            continue
        current = dig(live, *keys)
        if owns(theirs, keys) and not owns(ours, keys):
            parent.pop(keys[-1], None)
        elif current is not None:
            parent[keys[-1]] = current
    return body


def _current(session: Session, urn: str, old: State, error: Exception) -> Object:
    """Read the object after a failed update.

    Raises:
        OperationError: it cannot be read; both failures are told.
    """
    if isinstance(error, WaitError):
        return error.live
    try:
        resource = session.resource_type(old.live)
        return session.api.get(resource.path(namespace_of(old.live), name_of(old.live)))
    except OperationError as second:
        raise OperationError(
            f'update of resource "{urn}" failed: {error}\nunable to get cluster state: {second}'
        ) from None
