"""The provider's inputs: from the program's `Provider`, the stack's config, or the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

_VARIABLE = "kubernetes:config:"


@dataclass(frozen=True)
class Settings:
    """How the provider was configured.

    Attributes:
        kubeconfig: path or text; empty for the environment's.
        context: the context's name; empty for the current one.
        cluster: a cluster instead of the context's own; empty for that.
        namespace: the namespace of objects that name none; empty for the context's.
        upsert_existing_objects: create by server-side apply, so that an existing object is taken over.
        secret_mutable: change the data of a Secret in place.
        config_map_mutable: change the data of a ConfigMap in place.
        patch_force: take fields over from other managers.
        delete_unreachable: forget resources of a cluster that does not answer.
        skip_update_unreachable: keep the recorded state of resources of a cluster that does not answer.
    """

    kubeconfig: str = ""
    context: str = ""
    cluster: str = ""
    namespace: str = ""
    upsert_existing_objects: bool = False
    secret_mutable: bool = False
    config_map_mutable: bool = False
    patch_force: bool = False
    delete_unreachable: bool = False
    skip_update_unreachable: bool = False


def read_settings(variables: Mapping[str, str]) -> Settings:
    """Read the settings from what the engine sends with Configure.

    Args:
        variables: `kubernetes:config:NAME` to text, booleans as `true` or `false`.
    """

    def text(name: str) -> str:
        return variables.get(_VARIABLE + name, "")

    def flag(name: str, environment: str) -> bool:
        return variables.get(_VARIABLE + name, os.environ.get(environment, "")) == "true"

    return Settings(
        kubeconfig=text("kubeconfig"),
        context=text("context"),
        cluster=text("cluster"),
        namespace=text("namespace"),
        upsert_existing_objects=flag("upsertExistingObjects", "PULUMI_K8S_UPSERT_EXISTING_OBJECTS"),
        secret_mutable=flag("enableSecretMutable", "PULUMI_K8S_ENABLE_SECRET_MUTABLE"),
        config_map_mutable=flag("enableConfigMapMutable", "PULUMI_K8S_ENABLE_CONFIGMAP_MUTABLE"),
        patch_force=flag("enablePatchForce", "PULUMI_K8S_ENABLE_PATCH_FORCE"),
        delete_unreachable=flag("deleteUnreachable", "PULUMI_K8S_DELETE_UNREACHABLE"),
        skip_update_unreachable=flag("skipUpdateUnreachable", "PULUMI_K8S_SKIP_UPDATE_UNREACHABLE"),
    )
