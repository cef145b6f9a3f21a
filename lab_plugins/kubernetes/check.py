"""Check: from the program's inputs to the inputs that will be sent."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

from lab_plugins.common.failures import OperationError
from lab_plugins.common.urns import resource_name, resource_type
from lab_plugins.kubernetes import naming, steering
from lab_plugins.kubernetes.normalize import normalize
from lab_plugins.kubernetes.objects import Object, annotation, is_definition, namespace_of
from lab_plugins.kubernetes.session import Session
from lab_plugins.kubernetes.state import to_manifest, to_properties
from lab_plugins.kubernetes.waiting.wait_for import WaitForError, parse_wait_for

_NOT_SERVED = ("kubernetes:helm.sh/", "kubernetes:kustomize", "kubernetes:yaml")


@dataclass(frozen=True)
class Checked:
    """What Check answers.

    Attributes:
        inputs: the inputs to use, with secrecy.
        failures: (property, reason) of every mistake.
    """

    inputs: dict[str, Any]
    failures: list[tuple[str, str]]


def check(
    session: Session, urn: str, olds: dict[str, Any], news: dict[str, Any], seed: bytes, proposed_name: str
) -> Checked:
    """Name the object, fill in its namespace, bring it into the API server's form.

    Args:
        session: the provider.
        urn: the resource.
        olds: the inputs of the last run; empty for a new or replaced resource.
        news: the program's inputs.
        seed: the engine's random seed.
        proposed_name: the name that the engine's own autonaming proposes, if it does.

    Raises:
        OperationError: the kind is one that this plugin does not serve.
    """
    _refuse_unserved(urn)
    old_inputs = to_manifest(olds)
    inputs = to_manifest(copy.deepcopy(news))
    if not inputs.get("kind") or not inputs.get("apiVersion"):
        inputs["apiVersion"], inputs["kind"] = _kind_of(urn)
    inputs = normalize(inputs)
    failures: list[tuple[str, str]] = []
    if old_inputs:
        naming.adopt_name(inputs, old_inputs)
    else:
        naming.assign_name(inputs, resource_name(urn), seed, proposed_name)
    if naming.uses_generate_name(inputs):
        failures.append(
            ("metadata", "the `.metadata.generateName` field is not supported in Server-Side Apply mode")
        )
    if (
        not namespace_of(inputs)
        and session.namespaced(inputs)
        and isinstance(inputs.get("metadata", {}), dict)
    ):
        inputs.setdefault("metadata", {}).setdefault("namespace", session.namespace)
    if wait_for := annotation(inputs, steering.WAIT_FOR):
        try:
            parse_wait_for(wait_for)
        except WaitForError as error:
            failures.append(("metadata", f"annotation {steering.WAIT_FOR}: {error}"))
    if is_definition(inputs) and not session.unreachable:
        session.discovery.declare(inputs)
    return Checked(to_properties(inputs, news), failures)


def _refuse_unserved(urn: str) -> None:
    token = resource_type(urn)
    kind = token.rpartition(":")[2]
    if token.startswith(_NOT_SERVED) or kind.endswith("Patch"):
        raise OperationError(
            f"the stand-in kubernetes plugin does not serve {token}; install the official one "
            "(`pulumi plugin install resource kubernetes`)"
        )
    if kind.endswith("List"):
        raise OperationError(
            "list resources exist for compatibility with YAML manifests and Helm charts, and cannot be "
            "created directly. Use the underlying resource type instead"
        )


def _kind_of(urn: str) -> tuple[str, str]:
    _, version, kind = resource_type(urn).split(":")
    return version.removeprefix("core/"), kind


def manifest_of(urn: str, namespace: str, name: str) -> Object:
    """Build the least of an object that says which one it is, from a resource's type."""
    api_version, kind = _kind_of(urn)
    metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata}
