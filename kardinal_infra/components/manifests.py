"""From plain manifests to Pulumi inputs and resources."""

from collections.abc import Mapping
from typing import Any

import pulumi
import pulumi_kubernetes as k8s

from kardinal_infra.forking import SecretText


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
    metadata = manifest["metadata"]
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
