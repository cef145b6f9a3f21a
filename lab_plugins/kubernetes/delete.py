"""Delete: in the foreground, and over only when the object is gone."""

from __future__ import annotations

from typing import Any

from lab_plugins.common.failures import OperationError, PartialFailureError
from lab_plugins.kubernetes import steering
from lab_plugins.kubernetes.api import ApiError
from lab_plugins.kubernetes.discovery import NoMatchError
from lab_plugins.kubernetes.objects import Object, dig, identity, is_definition, namespace_of, split_identity
from lab_plugins.kubernetes.session import Session
from lab_plugins.kubernetes.state import State, read_state, write_state
from lab_plugins.kubernetes.waiting.choice import awaits_deletion
from lab_plugins.kubernetes.waiting.deletion import DeletionWait
from lab_plugins.kubernetes.waiting.loop import wait_until_done
from lab_plugins.kubernetes.waiting.waits import WaitError


def delete(session: Session, urn: str, identifier: str, properties: dict[str, Any], timeout: float) -> None:
    """Delete an object and wait until it is gone; one that is gone already is a success.

    Args:
        session: the provider.
        urn: the resource.
        identifier: its id.
        properties: the recorded state.
        timeout: `custom_timeouts` in seconds, 0 when not set.

    Raises:
        OperationError: the deletion was refused.
        PartialFailureError: the deletion is under way but did not end in time.
    """
    if session.unreachable:
        _unreachable(session, urn)
        return
    state = read_state(properties)
    try:
        remaining = _ask(session, state, identifier)
    except NoMatchError:
        return  # a custom resource goes with its definition
    except ApiError as error:
        if error.code == 404:
            return
        raise
    if is_definition(state.live):
        session.discovery.forget()
    if remaining is None or not awaits_deletion(state.inputs, state.live.get("kind", "")):
        return
    try:
        wait = DeletionWait(session, remaining)
        wait_until_done(session, wait, urn, steering.timeout_seconds(timeout, state.inputs))
    except WaitError as error:
        for reason in error.reasons:
            session.log.warning(urn, reason)
        raise PartialFailureError(
            id=identity(error.live),
            message=str(error).replace("timed out waiting to be Ready", "timed out waiting to be deleted"),
            properties=write_state(
                state.inputs, error.live, properties, state.initial_api_version, state.field_manager
            ),
            reasons=error.reasons,
        ) from None


def _ask(session: Session, state: State, identifier: str) -> Object | None:
    """Ask for the deletion; return what is still there of the object, None if nothing."""
    resource = session.resource_type(state.live)
    namespace, name = split_identity(identifier)
    path = resource.path(namespace or namespace_of(state.live), name)
    answer = session.api.delete(path, steering.propagation(state.inputs))
    # The answer is the object while it still ends, a Status when it is gone.
    deleted = dig(answer, "metadata", "uid") or dig(answer, "details", "uid")
    remaining = session.api.get(path)
    return remaining if dig(remaining, "metadata", "uid") == deleted else None


def _unreachable(session: Session, urn: str) -> None:
    session.log.warning(urn, f"configured Kubernetes cluster is unreachable: {session.unreachable}")
    if not session.settings.delete_unreachable:
        raise OperationError(
            "configured Kubernetes cluster is unreachable. If the cluster was deleted, you can remove this "
            "resource from Pulumi state by rerunning the operation with the PULUMI_K8S_DELETE_UNREACHABLE "
            'environment variable set to "true"'
        )
    session.log.info(
        urn,
        "configured Kubernetes cluster is unreachable and the `deleteUnreachable` option is enabled. "
        "Deleting the unreachable resource from Pulumi state",
    )
