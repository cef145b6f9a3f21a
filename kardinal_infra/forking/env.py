"""Environment variables of a fork's containers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kardinal_infra.config import EnvReference, EnvValue
from kardinal_infra.forking.spec import DatabaseEnv, SecretText, StoreEnv


def hide_values(container: Mapping[str, Any]) -> None:
    """Marks every literal value of the baseline as one that may be secret.

    Args:
        container: A container; changed in place.
    """
    for entry in container.get("env") or ():
        if "value" in entry:
            entry["value"] = SecretText(entry["value"])


def point_to_branches(
    container: dict[str, Any], databases: tuple[DatabaseEnv, ...], secrets: Mapping[str, Any]
) -> None:
    """Replaces the variables that lead to branched databases, in a container that has them.

    Args:
        container: The container; changed in place.
        databases: The databases.
        secrets: Name of the Secret with each database's connection.
    """
    for use in databases:
        if use.handover == "env":
            for name in use.environment:
                reference = {"secretKeyRef": {"name": secrets[use.database], "key": name}}
                _replace(container, {"name": name, "valueFrom": reference})


def point_to_stores(container: dict[str, Any], stores: tuple[StoreEnv, ...]) -> None:
    """Replaces the variables that lead to fresh stores, in a container that has them.

    Args:
        container: The container; changed in place.
        stores: The stores.
    """
    for use in stores:
        for name, value in use.environment.items():
            _replace(container, {"name": name, "value": SecretText(value)})


def set_requested(container: dict[str, Any], env: Mapping[str, EnvValue]) -> None:
    """Adds or replaces the variables that a flow asks for.

    Args:
        container: The container; changed in place.
        env: Texts, and references to Secrets and ConfigMaps.
    """
    for name, value in env.items():
        # New ones last, so that they may refer to all others as $(NAME).
        _set(container, _entry(name, value), new_at=len(container.get("env") or ()))


def _replace(container: dict[str, Any], entry: dict[str, Any]) -> None:
    own = {other["name"] for other in container.get("env") or ()}
    # A variable of envFrom is overridden without asking whether it is there: an unused one does no harm.
    if entry["name"] in own or container.get("envFrom"):
        # First, so that later values that refer to it get the flow's.
        _set(container, entry, new_at=0)


def _entry(name: str, value: EnvValue) -> dict[str, Any]:
    if isinstance(value, EnvReference):
        return {"name": name, "valueFrom": value.to_plain()}
    return {"name": name, "value": SecretText(value)}


def _set(container: dict[str, Any], entry: dict[str, Any], *, new_at: int) -> None:
    entries = container.get("env") or []
    places = [index for index, other in enumerate(entries) if other["name"] == entry["name"]]
    # Of entries with one name the last counts to Kubernetes: none may be left behind the new one.
    kept = [other for other in entries if other["name"] != entry["name"]]
    kept.insert(places[0] if places else new_at, entry)
    container["env"] = kept
