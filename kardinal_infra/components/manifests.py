"""From plain manifests to Pulumi inputs and resources."""

import hashlib
from collections.abc import Mapping
from typing import Any

import pulumi
import pulumi_kubernetes as k8s

from kardinal_infra.forking import SecretText
from kardinal_infra.model.names import MAX_LABEL, shorten

_DIGITS = 8


def custom_resource(
    manifest: Mapping[str, Any], opts: pulumi.ResourceOptions, name: str | None = None
) -> k8s.apiextensions.CustomResource:
    """Declares an object of any kind from its manifest.

    Args:
        manifest: A manifest with apiVersion, kind, metadata and spec.
        opts: Resource options.
        name: Pulumi name; default: the object's name.

    Returns:
        The resource.
    """
    metadata = owned(manifest["metadata"])
    return k8s.apiextensions.CustomResource(
        name or metadata["name"],
        api_version=manifest["apiVersion"],
        kind=manifest["kind"],
        metadata=metadata,
        spec=manifest["spec"],
        opts=opts,
    )


def with_secrets(value: Any) -> Any:
    """Marks every `SecretText` of a manifest as a Pulumi secret.

    Args:
        value: A manifest or a part of one.

    Returns:
        A copy; everything else is as it was.
    """
    if isinstance(value, SecretText):
        return pulumi.Output.secret(str.__str__(value))
    if isinstance(value, Mapping):
        return {key: with_secrets(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [with_secrets(item) for item in value]
    return value


def owned(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Lets updates of an object win over whoever else changed its fields.

    A flow's objects are its own (the plan refuses a name that belongs to something else), so a value that
    somebody set by hand, or that a killed `up` left under another field manager, is no conflict to stop at
    (docs/facts/kubernetes-plugin.md#conflicts-need-force).

    Args:
        metadata: Metadata of an object of a flow or a baseline.
    """
    return {**metadata, "annotations": {**metadata.get("annotations", {}), "pulumi.com/patchForce": "true"}}


def content_name(prefix: str, content: Mapping[str, pulumi.Input[Any]]) -> pulumi.Output[str]:
    """Names an object after its content: what refers to it by name rolls when the content changes.

    Unlike a generated name it is the same on every try, so an object that a killed `up` left is found again.
    A fixed one would be deleted before its replacement is there
    (docs/facts/kubernetes-plugin.md#a-changed-secret-is-replaced).

    Args:
        prefix: Beginning of the name.
        content: Everything that matters; may hold secrets. Eight digits of a SHA-256 do not give them away.

    Returns:
        `<prefix>-<8 hexadecimal digits>`, not secret; a long prefix is shortened to fit a DNS label.
    """
    beginning = shorten(prefix, MAX_LABEL - len("-") - _DIGITS)
    return pulumi.Output.unsecret(pulumi.Output.json_dumps(content, sort_keys=True).apply(_digest)).apply(
        lambda digest: f"{beginning}-{digest}"
    )


def generation(metadata: Mapping[str, Any]) -> str:
    """Changes when an object is made anew or its specification changes, and not otherwise.

    Args:
        metadata: Metadata of a live object.
    """
    # A preview that cannot try a new object out gives its inputs back, which have neither.
    return f"{metadata.get('uid', '')}/{int(metadata.get('generation', 0))}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]
