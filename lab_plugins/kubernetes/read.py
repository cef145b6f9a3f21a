"""Read: the live object for a refresh, an import or a `.get`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lab_plugins.common.failures import OperationError, PartialFailureError
from lab_plugins.kubernetes import naming
from lab_plugins.kubernetes.api import ApiError
from lab_plugins.kubernetes.check import manifest_of
from lab_plugins.kubernetes.discovery import NoMatchError
from lab_plugins.kubernetes.normalize import normalize
from lab_plugins.kubernetes.objects import Object, identity, split_identity
from lab_plugins.kubernetes.prune import prune
from lab_plugins.kubernetes.session import Session
from lab_plugins.kubernetes.state import read_state, to_manifest, to_properties, write_state
from lab_plugins.kubernetes.waiting.choice import wait_on_refresh
from lab_plugins.kubernetes.waiting.loop import check_once
from lab_plugins.kubernetes.waiting.waits import WaitError

_NOT_INPUT = ("creationTimestamp", "generation", "managedFields", "resourceVersion", "uid", "selfLink")
_NOT_INPUT_ANNOTATIONS = (
    "deployment.kubernetes.io/revision",
    "kubectl.kubernetes.io/last-applied-configuration",
)


@dataclass(frozen=True)
class Found:
    """What Read answers.

    Attributes:
        id: the resource's id; empty when it is gone.
        properties: its state.
        inputs: its inputs as they are on the cluster.
    """

    id: str
    properties: dict[str, Any]
    inputs: dict[str, Any]


GONE = Found("", {}, {})


def read(
    session: Session, urn: str, identifier: str, properties: dict[str, Any], inputs: dict[str, Any]
) -> Found:
    """Read an object; it is judged, not waited for.

    Args:
        session: the provider.
        urn: the resource.
        identifier: its id, `namespace/name` or `name`.
        properties: the recorded state; empty for an import or a `.get`.
        inputs: the recorded inputs; empty likewise.

    Raises:
        OperationError: the API server did not answer.
        PartialFailureError: the object exists but is not ready.
    """
    if session.unreachable:
        return _unreachable(session, urn, identifier, properties, inputs)
    namespace, name = split_identity(identifier)
    if not name:
        raise OperationError(f"failed to read resource: the id '{identifier}' holds no name")
    old = read_state(properties)
    old_inputs = normalize(to_manifest(inputs))
    from_cluster = not old_inputs.get("kind")
    if from_cluster:
        old_inputs = manifest_of(urn, namespace, name)
        if old.live.get("kind"):
            old_inputs |= {"apiVersion": old.live["apiVersion"], "kind": old.live["kind"]}
            from_cluster = False
    try:
        resource = session.resource_type(old_inputs)
        place = namespace or (session.namespace if resource.namespaced else "")
        live = session.api.get(resource.path(place, name))
    except NoMatchError:
        return GONE  # a custom resource whose definition is gone is gone too
    except ApiError as error:
        if error.code == 404:
            return GONE
        raise
    live_inputs = _recovered(live) if from_cluster else prune(live, old_inputs)
    manager = naming.field_manager({"__fieldManager": old.field_manager}, old_inputs)
    initial = old.initial_api_version or old_inputs.get("apiVersion", "")
    found = Found(
        id=identifier or identity(live),
        properties=write_state(live_inputs, live, inputs, initial, manager),
        inputs=to_properties(live_inputs, inputs),
    )
    if not from_cluster:
        _judge(session, live, old_inputs, found)
    return found


def _judge(session: Session, live: Object, inputs: Object, found: Found) -> None:
    wait = wait_on_refresh(session, inputs, live)
    if wait is None:
        return
    try:
        check_once(session, wait)
    except WaitError as error:
        raise PartialFailureError(
            id=found.id,
            message=str(error),
            properties=found.properties,
            reasons=error.reasons,
            inputs=found.inputs,
        ) from None


def _recovered(live: Object) -> Object:
    """Return what a program would have to write to get this object, as far as that can be told."""
    inputs = {key: value for key, value in live.items() if key != "status"}
    metadata = {key: value for key, value in live["metadata"].items() if key not in _NOT_INPUT}
    annotations = metadata.pop("annotations", {})
    kept = {key: value for key, value in annotations.items() if key not in _NOT_INPUT_ANNOTATIONS}
    if kept:
        metadata["annotations"] = kept
    return {**inputs, "metadata": metadata}


def _unreachable(
    session: Session, urn: str, identifier: str, properties: dict[str, Any], inputs: dict[str, Any]
) -> Found:
    session.log.warning(urn, f"configured Kubernetes cluster is unreachable: {session.unreachable}")
    if session.settings.delete_unreachable:
        session.log.info(
            urn,
            "configured Kubernetes cluster is unreachable and the `deleteUnreachable` option is enabled. "
            "Deleting the unreachable resource from Pulumi state",
        )
        return GONE
    if session.settings.skip_update_unreachable:
        return Found(identifier, properties, inputs)
    raise OperationError(
        "failed to read resource state due to unreachable cluster. If the cluster was deleted, you can "
        "remove this resource from Pulumi state by rerunning the operation with the "
        'PULUMI_K8S_DELETE_UNREACHABLE environment variable set to "true"'
    )
