"""Removes a branch that the stack's state does not know, found by its name and its annotations."""

from __future__ import annotations

import os
from collections.abc import Mapping

from kardinal_infra.databases.neon.client import NeonClient
from kardinal_infra.databases.neon.ownership import is_ours
from kardinal_infra.databases.neon.removal import is_going, remove_branch
from kardinal_infra.databases.neon.settings import (
    CONFIG_NAMESPACE,
    HOST_CONFIG,
    KEY_CONFIG,
    KEY_VARIABLE,
    NeonSettings,
    resolve_settings,
)
from kardinal_infra.model.base import ConfigReader
from kardinal_infra.model.names import BRANCH_ANNOTATION_STACK


def settings_from(config: ConfigReader, api_host: str | None = None) -> NeonSettings:
    """Picks address and key, offline.

    Args:
        config: The stack's configuration, by `namespace:key`.
        api_host: Address of the API, when the resource named one.

    Raises:
        NeonKeyError: There is no key.
        NeonSettingsError: The address is unusable.
    """
    return resolve_settings(
        # Not asked for in vain: to decrypt it may take a passphrase that is not there.
        config_key=None if os.environ.get(KEY_VARIABLE) else config(f"{CONFIG_NAMESPACE}:{KEY_CONFIG}"),
        config_host=config(f"{CONFIG_NAMESPACE}:{HOST_CONFIG}"),
        argument_host=api_host,
    )


def discard_branch(
    project: str,
    name: str,
    annotations: Mapping[str, str],
    config: ConfigReader,
    api_host: str | None = None,
) -> bool:
    """Deletes a branch if there is one of this name with all of these annotations.

    Args:
        project: Project id or name.
        name: Branch name.
        annotations: Our marks; without the one that names the stack nothing is deleted.
        config: The stack's configuration, by `namespace:key`.
        api_host: Address of the API, when the resource named one.

    Returns:
        Whether there was one.

    Raises:
        BranchingError: There is no key, or the branch cannot be deleted.
        NeonError: A call failed.
    """
    if BRANCH_ANNOTATION_STACK not in annotations:
        return False
    with NeonClient(settings_from(config, api_host)) as client:
        project_id = client.projects.find(project).id
        found = [
            item
            for item in client.branches.named(project_id, name)
            if is_ours(item, annotations) and not is_going(item.branch)
        ]
        for item in found:
            remove_branch(client, project_id, item.branch.id)
        return bool(found)
